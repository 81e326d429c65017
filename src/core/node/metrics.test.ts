import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { Audited } from '#core/testing/audited.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'
import { noTelemetry } from '#core/node/telemetry.ts'

async function opened(outside = new Outside()): Promise<TestServer> {
  const server = await openTestServer({ catalog: [accountsEngine(outside), doorman()] })
  await server.ask('POST', 'sys/mounts/db', { body: { type: 'accounts' } })
  return server
}

const textOf = async (server: TestServer): Promise<string> =>
  (await server.ask('GET', 'sys/metrics?format=prometheus')).text

/** The value of a series by its name, and labels as far as they are given. */
async function value(server: TestServer, name: string, labels = ''): Promise<number | null> {
  const lines = (await textOf(server)).split('\n')
  const line = lines.find(one => (one.startsWith(`${name} `) || one.startsWith(`${name}{`)) && one.includes(labels))
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1))
}

for (const [rule, path, headers, status, type, begins] of [
  [
    'JSON as go-metrics has it',
    'sys/metrics',
    {},
    200,
    'application/json',
    '{"Timestamp":"2026-01-01 00:00:00 +0000 UTC","Gauges":[{"Name":"vault.core.active","Value":1,',
  ],
  [
    'the text of Prometheus',
    'sys/metrics?format=prometheus',
    {},
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    '# ',
  ],
  [
    'a scraper that takes OpenMetrics gets the text',
    'sys/metrics',
    { accept: 'application/openmetrics-text; version=1.0.0,text/plain;q=0.5' },
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    '# HELP ',
  ],
  [
    'and so does one that asks for prometheus/telemetry',
    'sys/metrics',
    { accept: 'prometheus/telemetry' },
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    '# HELP ',
  ],
  ['a format that is none', 'sys/metrics?format=xml', {}, 400, 'text/plain', 'metric response format "xml" unknown'],
] as const) {
  test(`metrics: ${rule}`, async () => {
    await using server = await opened()
    const answer = await server.ask('GET', path, { headers })
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get('content-type'), type)
    assert.ok(answer.text.startsWith(begins), answer.text.slice(0, 80))
  })
}

test('metrics: without a telemetry stanza the text is off, and JSON is there', async () => {
  await using server = await openTestServer({ catalog: [], settings: { telemetry: noTelemetry } })
  const answer = await server.ask('GET', 'sys/metrics?format=prometheus')
  assert.deepEqual([answer.status, answer.text], [400, 'prometheus is not enabled'])
  assert.equal((await server.ask('GET', 'sys/metrics')).status, 200)
})

test('metrics: they need a token that may read sys/metrics', async () => {
  await using server = await opened()
  assert.equal((await server.ask('GET', 'sys/metrics', { token: null })).status, 403)
  const weak = await server.tokenWith('path "sys/health" { capabilities = ["read"] }')
  assert.equal((await server.ask('GET', 'sys/metrics', { token: weak })).status, 403)
  const able = await server.tokenWith('path "sys/metrics" { capabilities = ["read"] }')
  assert.equal((await server.ask('GET', 'sys/metrics', { token: able })).status, 200)
})

test('metrics: leases and tokens are counted as they come and go, and the same after a restart', async () => {
  await using server = await opened()
  const counts = async () => [await value(server, 'vault_expire_num_leases'), await value(server, 'vault_token_count')]
  assert.deepEqual(await counts(), [0, 0])
  await server.ask('POST', 'auth/token/create', { body: { ttl: '1h' } })
  const made = await server.ask('GET', 'db/creds/app?ttl=600')
  await server.ask('GET', 'db/creds/app?ttl=60')
  assert.deepEqual(await counts(), [3, 1])
  await server.restart()
  await server.world.clock.advance(10)
  assert.deepEqual(await counts(), [3, 1], 'a root token has no lease')
  await server.world.clock.advance(61_000)
  assert.deepEqual(await counts(), [2, 1])
  await server.ask('POST', 'sys/leases/revoke', { body: { lease_id: (made.body as { lease_id: string }).lease_id } })
  assert.deepEqual(await counts(), [1, 1])
  assert.equal(await value(server, 'vault_expire_lease_expiration'), 1)
  await server.world.clock.advance(600_000)
  assert.deepEqual(await counts(), [1, 1], 'counted anew')
  assert.equal(await value(server, 'vault_expire_leases_by_expiration', 'expiring="2026-01-01 01:00:00 +0000 UTC"'), 1)
})

test('metrics: a lease that can not be revoked is in sight by metric, API and log, until it is gone', async () => {
  const outside = new Outside()
  const lines: string[] = []
  await using server = await openTestServer({ catalog: [accountsEngine(outside)], log: line => lines.push(line) })
  await server.ask('POST', 'sys/mounts/db', { body: { type: 'accounts' } })
  await server.ask('GET', 'db/creds/app?ttl=60')
  outside.failures.set('drop', new Error('the system is down'))
  await server.world.clock.advance(3_600_000)
  assert.equal(await value(server, 'vault_expire_num_irrevocable_leases'), 1)
  assert.equal(await value(server, 'vault_expire_lease_expiration_error'), 6)
  const listed = await server.ask('GET', 'sys/leases?type=irrevocable')
  assert.equal((listed.data as { lease_count: number }).lease_count, 1)
  assert.ok(lines.some(line => line.includes('a lease can not be revoked; it needs you')))
  await server.restart()
  await server.world.clock.advance(10)
  assert.equal(await value(server, 'vault_expire_num_irrevocable_leases'), 1)
  await server.ask('PUT', 'sys/leases/revoke-force/db')
  assert.equal(await value(server, 'vault_expire_num_irrevocable_leases'), 0)
})

test('metrics: what a quota counts, allows and refused', async () => {
  await using server = await opened()
  await server.ask('POST', 'sys/quotas/lease-count/few', { body: { path: 'db', max_leases: 1 } })
  const app = await server.tokenWith('path "db/*" { capabilities = ["read"] }')
  for (const status of [200, 429])
    assert.equal((await server.ask('GET', 'db/creds/app', { token: app })).status, status)
  const of = (what: string) => value(server, `vault_quota_lease_count_${what}`, 'name="few"')
  assert.deepEqual([await of('counter'), await of('max'), await of('violation')], [1, 1, 1])
})

test('metrics: requests, logins, routes and tokens made are counted under their names', async () => {
  await using server = await opened()
  await server.ask('POST', 'auth/token/create', { body: { ttl: '90m' } })
  await server.ask('GET', 'db/creds/app?ttl=60')
  assert.equal(await value(server, 'vault_core_unsealed'), 1)
  assert.equal(await value(server, 'vault_core_active'), 1)
  assert.equal(await value(server, 'vault_route_read_db__count'), 1)
  assert.equal(await value(server, 'vault_expire_register_count'), 1)
  assert.equal(await value(server, 'vault_token_creation', 'creation_ttl="2h"'), 1)
  assert.equal(await value(server, 'vault_secret_lease_creation', 'mount_point="db/"'), 1)
  assert.equal(await value(server, 'vault_core_mount_table_num_entries', 'type="auth"'), 1)
  const requests = (await value(server, 'vault_core_handle_request_count'))!
  await server.ask('GET', 'nowhere/at/all')
  assert.equal(await value(server, 'vault_core_handle_request_count'), requests + 2, 'refusals are requests')
  await server.ask('GET', 'sys/health')
  assert.equal(await value(server, 'vault_core_handle_request_count'), requests + 3, 'and probes are none')
  for (const name of ['barrier_get', 'barrier_put', 'barrier_list', 'token_create', 'expire_register_auth'])
    assert.ok((await value(server, `vault_${name}_count`))! > 0, name)
})

test('metrics: nothing that a request brought is in a name or label but the paths of mounts', async () => {
  await using server = await opened()
  const token = await server.tokenWith('path "db/*" { capabilities = ["read"] }', { display_name: 'canary-a' })
  await server.ask('GET', 'db/creds/canary-b?ttl=60', { token })
  await server.ask('GET', 'canary-c/x', { token: 'hvs.canary-d' })
  await server.ask('PUT', 'db/creds/canary-e', { body: { canary: 'canary-f' } })
  for (const path of ['sys/metrics', 'sys/metrics?format=prometheus'])
    assert.doesNotMatch((await server.ask('GET', path)).text, /canary|hvs\./)
})

test('metrics: each that is offered moves when what it counts happens', async () => {
  await using server = await opened()
  const made = await server.ask('GET', 'db/creds/app?ttl=60')
  const { lease_id } = made.body as { lease_id: string }
  const token = await server.tokenWith('path "db/*" { capabilities = ["read"] }', { ttl: '1h' })
  await server.ask('GET', 'db/creds/app?ttl=60', { token })
  await server.ask('POST', 'sys/leases/lookup', { body: { lease_id } })
  await server.ask('POST', 'sys/leases/renew', { body: { lease_id, increment: 60 } })
  await server.ask('POST', 'auth/token/renew', { body: { token } })
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  await server.world.clock.advance(10)
  await server.ask('PUT', 'sys/leases/revoke-prefix/db/creds')
  await server.ask('PUT', 'sys/leases/revoke-force/db/creds')
  await server.ask('GET', 'db/creds/app?ttl=60')
  await server.world.clock.advance(61_000)
  for (const name of [
    'core_post_unseal',
    'barrier_delete',
    'expire_renew',
    'expire_renew_token',
    'expire_revoke',
    'expire_revoke_by_token',
    'expire_revoke_prefix',
    'expire_revoke_force',
    'expire_fetch_lease_times',
    'expire_lease_expiration_time_in_queue',
    'token_revoke_tree',
  ])
    assert.ok((await value(server, `vault_${name}_count`))! > 0, name)
  await server.ask('POST', 'sys/auth/door', { body: { type: 'doorman' } })
  await server.ask('POST', 'auth/door/login', { token: null, body: { name: 'ann' } })
  assert.ok((await value(server, 'vault_core_handle_login_request_count'))! > 0)
})

test('metrics: a line that no audit device takes is counted', async () => {
  await using audited = await Audited.open()
  const { server } = audited
  assert.ok((await value(server, 'vault_audit_log_request_count'))! > 0)
  assert.ok((await value(server, 'vault_audit_log_response_count'))! > 0)
  assert.equal(await value(server, 'vault_audit_log_request_failure'), 0)
  const { sink } = server.house.audit.devices[0]!
  const flush = sink.flush.bind(sink)
  sink.flush = () => {
    throw new Error('the disk is full')
  }
  assert.equal((await server.ask('GET', 'sys/mounts')).status, 500)
  sink.flush = flush
  assert.equal(await value(server, 'vault_audit_log_request_failure'), 1)
  assert.equal(await value(server, 'vault_audit_log_response_failure'), 1)
})
