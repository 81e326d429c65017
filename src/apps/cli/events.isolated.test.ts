import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Readable } from 'node:stream'
import { systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import type { Json } from '#ground/text/json.ts'
import { createApiClient } from '#client/api.ts'
import { type EventStream, subscribeEvents } from '#client/event-socket.ts'
import { SocketRefused } from '#client/socket.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { type RealServer, startReal } from '#core/testing/real-server.ts'
import { kvV1 } from '#engines/kv/v1/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

// Vault's event subscription against the server itself, through sockets.

const main = fileURLToPath(new URL('../../main.ts', import.meta.url))
let real: RealServer

before(async () => {
  real = await startReal([kvV1, kvV2, accountsEngine(new Outside())])
  await operator('secrets enable -path=secret -version=2 kv')
  await operator('secrets enable -path=old kv')
  await operator('secrets enable -path=database accounts')
})
after(() => real[Symbol.asyncDispose]())

async function operator(line: string, stdin = ''): Promise<string> {
  const [name = '', ...argv] = line.split(' ')
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const end = await runCommand(cliCommand(name), argv, { env, stdin: Readable.from([stdin]) })
  assert.equal(end.code, 0, `${line}: ${end.stderr}`)
  return end.stdout.trim()
}

async function tokenWith(policy: string, name: string): Promise<string> {
  await operator(`write sys/policies/acl/${name} policy=-`, policy)
  return operator(`token create -field=token -policy=${name}`)
}

type Seen = { readonly type: string; readonly metadata: Readonly<Record<string, string>> }

/** Subscribes; `next` waits for one more event. */
async function listen(types: string, { token = real.rootToken, filter = '' } = {}) {
  const ending = new AbortController()
  const world = { clock: systemClock, entropy: systemEntropy, signal: ending.signal }
  const client = createApiClient({ address: real.address, token: new Secret(token), world })
  const ask = { types, filter, namespaces: [] }
  const stream: EventStream = await subscribeEvents(client, ask, ending.signal)
  const events = stream.events[Symbol.asyncIterator]()
  return {
    closed: stream.closed,
    async next(): Promise<Seen> {
      const one = await events.next()
      assert.ok(!one.done, 'the subscription ended')
      const { data } = JSON.parse(one.value) as { data: { event_type: string; event: { metadata: Seen['metadata'] } } }
      return { type: data.event_type, metadata: data.event.metadata }
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      await client.close()
    },
  }
}

test('events: what happens to secrets of both kv versions, in order and without their values', async () => {
  await using heard = await listen('kv-v*')
  await operator('kv put secret/app password=hunter2')
  await operator('kv put secret/app password=hunter3')
  await operator('kv delete secret/app')
  await operator('kv undelete -versions=2 secret/app')
  await operator('kv destroy -versions=1 secret/app')
  await operator('kv metadata put -max-versions=5 secret/app')
  await operator('kv metadata delete secret/app')
  await operator('write secret/config max_versions=7')
  await operator('kv put old/app password=hunter2')
  await operator('kv delete old/app')
  const seen: Json[] = []
  for (let n = 0; n < 10; n++) {
    const { type, metadata } = await heard.next()
    const { path, data_path: data, operation, current_version: now, oldest_version: oldest } = metadata
    seen.push([type, path!, data!, operation!, now ?? null, oldest ?? null])
    assert.ok(!JSON.stringify(metadata).includes('hunter'))
  }
  assert.deepEqual(seen, [
    ['kv-v2/data-write', 'secret/data/app', 'secret/data/app', 'data-write', '1', '1'],
    ['kv-v2/data-write', 'secret/data/app', 'secret/data/app', 'data-write', '2', '1'],
    ['kv-v2/data-delete', 'secret/data/app', 'secret/data/app', 'data-delete', '2', '1'],
    ['kv-v2/undelete', 'secret/undelete/app', 'secret/data/app', 'undelete', '2', '1'],
    ['kv-v2/destroy', 'secret/destroy/app', 'secret/data/app', 'destroy', '2', '1'],
    ['kv-v2/metadata-write', 'secret/metadata/app', 'secret/data/app', 'metadata-write', '2', '1'],
    ['kv-v2/metadata-delete', 'secret/metadata/app', 'secret/data/app', 'metadata-delete', '2', '1'],
    ['kv-v2/config-write', 'secret/config', 'secret/config', 'config-write', null, null],
    ['kv-v1/write', 'old/app', 'old/app', 'write', null, null],
    ['kv-v1/delete', 'old/app', 'old/app', 'delete', null, null],
  ])
})

test('events: leases from their issue to their end', async () => {
  await using heard = await listen('lease/*')
  const lease = /^lease_id +(\S+)$/m.exec(await operator('read database/creds/app ttl=60'))![1]!
  await operator(`lease renew ${lease}`)
  await operator(`lease revoke -sync ${lease}`)
  for (const what of ['issue', 'renew', 'revoke']) {
    const { type, metadata } = await heard.next()
    assert.deepEqual(
      [type, metadata['data_path'], metadata['lease_id']],
      [`lease/${what}`, 'database/creds/app', lease],
    )
  }
})

test('events: only those are sent that the policy lets the holder hear of', async () => {
  const token = await tokenWith(
    `path "sys/events/subscribe/*" { capabilities = ["read"] }
     path "secret/data/mine/*" { capabilities = ["list", "subscribe"]  subscribe_event_types = ["kv-v2/data-*"] }
     path "secret/data/read/*" { capabilities = ["read", "list"] }
     path "secret/data/mine/deny" { capabilities = ["deny"] }`,
    'hearer',
  )
  await using heard = await listen('*', { token })
  for (const path of ['other/a', 'read/a', 'mine/deny', 'mine/a']) await operator(`kv put secret/${path} a=b`)
  await operator('kv metadata put -max-versions=5 secret/mine/a')
  await operator('kv put secret/mine/b a=b')
  assert.equal((await heard.next()).metadata['path'], 'secret/data/mine/a')
  assert.equal((await heard.next()).metadata['path'], 'secret/data/mine/b')
  // A policy that changes counts for what comes.
  await operator(
    'write sys/policies/acl/hearer policy=-',
    'path "secret/data/now/*" { capabilities = ["list", "subscribe"]  subscribe_event_types = ["*"] }',
  )
  await operator('kv put secret/mine/c a=b')
  await operator('kv put secret/now/a a=b')
  assert.equal((await heard.next()).metadata['path'], 'secret/data/now/a')
})

test('events: subscribing takes read on the type, and a filter that can be read', async () => {
  const token = await tokenWith('path "sys/events/subscribe/kv-v2/*" { capabilities = ["read"] }', 'subscriber')
  const refused = (status: number, text: RegExp) => (error: unknown) =>
    error instanceof SocketRefused && error.status === status && text.test(error.message)
  await assert.rejects(listen('kv-v1/*', { token }), refused(403, /permission denied/))
  await assert.rejects(listen('kv-v2/*', { filter: 'a ==' }), refused(400, /failed to parse filter: the filter ends/))
  await using _ = await listen('kv-v2/*', { token })
})

test('events: a subscription ends with its token', async () => {
  const token = await tokenWith('path "sys/events/subscribe/*" { capabilities = ["read"] }', 'mortal')
  await using heard = await listen('*', { token })
  await operator(`token revoke ${token}`)
  await real.advance(5_000)
  assert.deepEqual(await heard.closed, { code: 1008, reason: 'the token ended' })
})

test('events subscribe prints a line of JSON for each event, until it is ended', async () => {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    VAULT_ADDR: real.address,
    VAULT_TOKEN: real.rootToken,
  }
  const argv = ['--no-warnings', main, 'events', 'subscribe', '-filter=data_path contains "cli"', 'kv-v2/data-write']
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const line = once(child.stdout, 'data')
  // Until it has subscribed nothing comes of a write.
  const printed = new AbortController()
  void line.then(() => printed.abort())
  while (!printed.signal.aborted) await operator('kv put secret/cli a=b')
  const [first] = (await line) as [Buffer]
  const { type, data } = JSON.parse(first.toString().split('\n')[0]!) as { type: string; data: { event_type: string } }
  assert.deepEqual([type, data.event_type], ['*', 'kv-v2/data-write'])
  child.kill('SIGTERM')
  assert.deepEqual(await closed, [0, null])
})

test('events subscribe ends after its timeout', async () => {
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const io = { env, world: { ...simWorld({ seed: 1 }), clock: systemClock } }
  assert.deepEqual(await runCommand(cliCommand('events'), ['subscribe', '-timeout=50ms', 'kv-v2/*'], io), {
    code: 0,
    stdout: '',
    stderr: '',
  })
})

for (const [rule, argv, code, text] of [
  ['without a type', [], 1, /^Not enough arguments/],
  [
    'with a filter that is none',
    ['-filter=(', 'kv-v2/*'],
    2,
    /^Error subscribing to events: .*status 400: failed to parse filter/,
  ],
] as const) {
  test(`events subscribe ${rule} is refused`, async () => {
    const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
    const end = await runCommand(cliCommand('events'), ['subscribe', ...argv], { env })
    assert.equal(end.code, code)
    assert.match(end.stderr, text)
  })
}
