import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { kvV1 } from '#engines/kv/v1/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { cliCommand } from './command.ts'
import { type RealServer, startReal } from '#core/testing/real-server.ts'
import { runCommand } from './stub-server.ts'

// The commands against the engine itself: what it says of its version, and what it takes, can't drift from them.

let real: RealServer

before(async () => {
  real = await startReal([kvV1, kvV2, { ...kvV1, type: 'generic' }])
})
after(() => real[Symbol.asyncDispose]())

const secret = '==== Data ====\nKey     Value\n---     -----\nttl     1m\nuser    app\n'

/** In order: each builds on those before. */
const steps: readonly (readonly [argv: string, out: string | RegExp, code?: number])[] = [
  ['secrets enable -path=kv kv', 'Success! Enabled the kv secrets engine at: kv/\n'],
  ['secrets enable -version=1 -path=team/kv kv', 'Success! Enabled the kv secrets engine at: team/kv/\n'],
  ['secrets enable generic', 'Success! Enabled the generic secrets engine at: generic/\n'],
  ['secrets list', /\ngeneric\/ +generic +generic_[0-9a-f]{8} /],
  ['kv put kv/app/db user=app ttl=1m', 'Success! Data written to: kv/app/db\n'],
  ['kv get kv/app/db', secret],
  ['kv get -mount=kv app/db', secret],
  ['kv get -version=3 kv/app/db', secret],
  ['kv get -field=user kv/app/db', 'app'],
  ['kv get -format=json kv/app/db', /"lease_id": "",\n {2}"lease_duration": 60,\n {2}"renewable": false,\n/],
  ['read -field=user kv/app/db', 'app'],
  ['read kv/app/db', /^Key +Value\n--- +-----\nrefresh_interval +1m\nttl +1m\nuser +app\n$/],
  ['kv put -cas=0 -mount=kv top a=1', 'Success! Data written to: kv/top\n'],
  ['kv put kv/app/db b=2', 'Success! Data written to: kv/app/db\n'],
  ['kv get kv/app/db', '== Data ==\nKey    Value\n---    -----\nb      2\n'],
  ['kv list kv', 'Keys\n----\napp/\ntop\n'],
  ['kv list -mount=kv app', 'Keys\n----\ndb\n'],
  ['kv put team/kv/x a=1', 'Success! Data written to: team/kv/x\n'],
  ['kv get -field=a team/kv/x', '1'],
  ['kv put generic/x a=1', 'Success! Data written to: generic/x\n'],
  ['kv get -field=a -mount=generic x', '1'],
  ['kv delete -versions=1 kv/app/db', 'Success! Data deleted (if it existed) at: kv/app/db\n'],
  ['kv get kv/app/db', 'No value found at kv/app/db\n', 2],
  ['kv list kv/app', 'No value found at kv/app\n', 2],
  ['kv patch kv/top a=2', 'K/V engine mount must be version 2 for patch support\n', 2],
  ['kv rollback -version=1 kv/top', 'K/V engine mount must be version 2 for rollback support\n', 2],
  ['kv undelete -versions=1 kv/top', 'Undelete not supported on KV Version 1\n', 1],
  ['kv destroy -versions=1 kv/top', 'Destroy not supported on KV Version 1\n', 1],
  ['kv metadata get kv/top', 'Metadata not supported on KV Version 1\n', 1],
  ['kv enable-versioning kv', 'Success! Tuned the secrets engine at: kv/\n'],
  ['kv get -field=a kv/top', '1'],
  ['kv patch kv/top a=2', /^== Secret Path ==\nkv\/data\/top\n/],
  ['kv get -field=a kv/top', '2'],
  ['kv rollback -version=1 kv/top', /\nversion +3\n$/],
  ['kv get -field=a kv/top', '1'],
  ['kv delete kv/top', 'Success! Data deleted (if it existed) at: kv/data/top\n'],
  ['kv rollback -version=2 kv/top', /\nversion +4\n$/],
  ['kv get -field=a kv/top', '2'],
]

test('kv commands work on a mount of version 1', async () => {
  for (const [line, want, code = 0] of steps) {
    const [name = '', ...argv] = line.split(' ')
    const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
    const run = await runCommand(cliCommand(name), argv, { env })
    const said = code === 0 ? run.stdout : run.stderr
    assert.equal(run.code, code, `${line}: ${run.stderr}`)
    if (want instanceof RegExp) assert.match(said, want, line)
    else assert.equal(said, want, line)
  }
})
