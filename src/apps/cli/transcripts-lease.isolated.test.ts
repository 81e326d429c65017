import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { runCommand, startStub } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const denied = { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }
const unready = (text: string) => ({ status: 503, body: { errors: [text] } })

const cases: readonly Transcript[] = [
  {
    rule: 'lease lookup prints what the server knows',
    argv: 'lease lookup db/creds/a/x',
    stub: { 'PUT /v1/sys/leases/lookup': { body: { data: { id: 'db/creds/a/x', ttl: 50, expire_time: null } } } },
    out: 'Key            Value\n---            -----\nexpire_time    <nil>\nid             db/creds/a/x\nttl            50s\n',
    asked: ['PUT /v1/sys/leases/lookup {"lease_id":"db/creds/a/x"}'],
  },
  {
    rule: 'lease lookup -field prints one value',
    argv: 'lease lookup -field=ttl db/creds/a/x',
    stub: { 'PUT /v1/sys/leases/lookup': { body: { data: { id: 'db/creds/a/x', ttl: 50 } } } },
    out: '50',
  },
  {
    rule: 'lease lookup of an unknown one ends with 2',
    argv: 'lease lookup x',
    stub: { 'PUT /v1/sys/leases/lookup': { status: 400, body: { errors: ['invalid lease'] } } },
    err: /error looking up lease id x: .*\n[^]*\* invalid lease/,
    code: 2,
  },
  {
    rule: 'lease renew asks for the time of -increment',
    argv: 'lease renew -increment=90s db/creds/a/x',
    stub: {
      'PUT /v1/sys/leases/renew': {
        body: { lease_id: 'db/creds/a/x', lease_duration: 90, renewable: true, data: null },
      },
    },
    out: 'Key                Value\n---                -----\nlease_id           db/creds/a/x\nlease_duration     1m30s\nlease_renewable    true\n',
    asked: ['PUT /v1/sys/leases/renew {"increment":90,"lease_id":"db/creds/a/x"}'],
  },
  {
    rule: 'lease revoke queues',
    argv: 'lease revoke db/creds/a/x',
    stub: { 'PUT /v1/sys/leases/revoke': { status: 202 } },
    out: 'All revocation operations queued successfully!\n',
    asked: ['PUT /v1/sys/leases/revoke {"lease_id":"db/creds/a/x","sync":false}'],
  },
  {
    rule: 'lease revoke -sync waits',
    argv: 'lease revoke -sync db/creds/a/x',
    stub: { 'PUT /v1/sys/leases/revoke': { status: 204 } },
    out: 'Success! Revoked lease: db/creds/a/x\n',
    asked: ['PUT /v1/sys/leases/revoke {"lease_id":"db/creds/a/x","sync":true}'],
  },
  {
    rule: 'lease revoke -prefix names a path',
    argv: 'lease revoke -prefix -sync db/creds',
    stub: { 'PUT /v1/sys/leases/revoke-prefix/db/creds': { status: 204 } },
    out: 'Success! Revoked any leases with prefix: db/creds\n',
    asked: ['PUT /v1/sys/leases/revoke-prefix/db/creds {"sync":true}'],
  },
  {
    rule: 'lease revoke -force warns, and needs -prefix',
    argv: 'lease revoke -prefix -force db/creds',
    stub: { 'PUT /v1/sys/leases/revoke-force/db/creds': { status: 204 } },
    out: 'Success! Force revoked any leases with prefix: db/creds\n',
    err: /Warning! Force-removing leases can cause Vault to become out of sync/,
  },
  {
    rule: 'lease revoke -force alone is refused',
    argv: 'lease revoke -force db/creds',
    stub: {},
    err: 'Specifying -force requires also specifying -prefix\n',
    code: 1,
  },
  {
    rule: 'lease revoke says what refused it',
    argv: 'lease revoke -prefix db',
    stub: { 'PUT /v1/sys/leases/revoke-prefix/db': denied },
    err: /Error revoking leases with prefix db: [^]*permission denied/,
    code: 2,
  },
]
play(cases)

test('lease revoke -prefix goes on when the time of a request was too short, and says how far it is', async () => {
  const path = 'PUT /v1/sys/leases/revoke-prefix/db'
  await using stub = await startStub({
    [path]: [unready('40 leases were revoked in the time of a request; call again to go on'), { status: 204 }],
  })
  const env = { VAULT_ADDR: stub.address, VAULT_TOKEN: 't', HOME: '/nonexistent', VAULT_MAX_RETRIES: '0' }
  const run = await runCommand(cliCommand('lease'), ['revoke', '-prefix', '-sync', 'db'], { env })
  assert.deepEqual([run.code, run.stdout], [0, 'Success! Revoked any leases with prefix: db\n'])
  assert.match(run.stderr, /^40 leases are revoked; going on$/m)
  assert.equal(stub.asked.length, 2)
})

test('lease commands against a server: looked up, renewed, revoked alone and by path', async () => {
  const outside = new Outside()
  await using real = await startReal([accountsEngine(outside)])
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const run = async (line: string): Promise<string> => {
    const [name = '', ...argv] = line.split(' ')
    const end = await runCommand(cliCommand(name), argv, { env })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    return end.stdout
  }
  await run('secrets enable accounts')
  const id = /^lease_id +(\S+)$/m.exec(await run('read accounts/creds/app ttl=60'))![1]!
  assert.match(await run(`lease lookup ${id}`), /^renewable +true$/m)
  assert.match(await run(`lease renew -increment=120 ${id}`), /^lease_duration +2m$/m)
  assert.match(await run(`lease revoke -sync ${id}`), /^Success! Revoked lease: accounts/)
  assert.equal(outside.accounts.size, 0)
  for (let i = 0; i < 3; i++) await run('read accounts/creds/app ttl=60')
  assert.match(await run('list sys/leases/lookup/accounts/creds'), /^app\/$/m)
  await run('lease revoke -prefix -sync accounts/')
  assert.equal(outside.accounts.size, 0)
})
