import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import type { Io } from '#protocol/command.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { Progress } from './progress.ts'
import { runCommand, type StubAnswer, startStub } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const denied = { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }
const outlook = { leases: 30, leases_per_hour: 360, ttl: 3600, forecast: 360, forecast_if_renewed: null }
const forecast = {
  mounts: { 'db/': { ...outlook, roles: { app: { ...outlook, forecast_if_renewed: 8640 } } } },
  quotas: {
    q: { path: 'db/', leases: 30, max_leases: 100, full_in: 780 },
    r: { path: '', leases: 1, max_leases: 9, full_in: null },
  },
}

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
    asked: ['PUT /v1/sys/leases/revoke-prefix/db/creds {"sync":true,"batch":1000}'],
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
  {
    rule: 'lease list below a path',
    argv: 'lease list /db/creds/',
    stub: { 'GET /v1/sys/leases/lookup/db/creds?list=true': { body: { data: { keys: ['app/', 'web/'] } } } },
    out: 'Keys\n----\napp/\nweb/\n',
  },
  {
    rule: 'lease list of all',
    argv: 'lease list',
    stub: { 'GET /v1/sys/leases/lookup?list=true': { body: { data: { keys: ['db/'] } } } },
    out: 'Keys\n----\ndb/\n',
  },
  {
    rule: 'lease list where there is nothing ends with 2',
    argv: 'lease list db',
    stub: {},
    err: 'No value found at sys/leases/lookup/db\n',
    code: 2,
  },
  {
    rule: 'lease list -irrevocable shows the words of the system',
    argv: 'lease list -irrevocable -limit=none',
    stub: {
      'GET /v1/sys/leases?limit=none&type=irrevocable': {
        body: {
          data: { lease_count: 1, leases: [{ lease_id: 'db/creds/a/x', mount_id: 'database_1', error: 'in use' }] },
        },
      },
    },
    out: 'Lease           Mount         Error\n-----           -----         -----\ndb/creds/a/x    database_1    in use\n',
  },
  {
    rule: 'lease list -irrevocable of none',
    argv: 'lease list -irrevocable',
    stub: { 'GET /v1/sys/leases?type=irrevocable': { body: { data: { lease_count: 0, leases: [] } } } },
    out: 'Every lease that ended is revoked.\n',
  },
  {
    rule: 'lease list -irrevocable of a server that has no such list is no good news',
    argv: 'lease list -irrevocable',
    stub: {},
    err: 'No value found at sys/leases\n',
    code: 2,
  },
  {
    rule: 'lease list -irrevocable takes no path',
    argv: 'lease list -irrevocable db',
    stub: {},
    err: '-irrevocable takes no PREFIX\n',
    code: 1,
  },
  {
    rule: 'lease count by mount',
    argv: 'lease count',
    stub: {
      'GET /v1/sys/leases/count?type=irrevocable': { body: { data: { lease_count: 3, counts: { b_1: 1, a_1: 2 } } } },
    },
    out: 'Mount    Irrevocable\n-----    -----------\na_1      2\nb_1      1\nall      3\n',
  },
  {
    rule: 'lease count -field',
    argv: 'lease count -field=lease_count',
    stub: { 'GET /v1/sys/leases/count?type=irrevocable': { body: { data: { lease_count: 3, counts: {} } } } },
    out: '3',
  },
  {
    rule: 'lease forecast by mount, with quotas',
    argv: 'lease forecast',
    stub: { 'GET /v1/sys/leases/forecast': { body: { data: forecast } } },
    out:
      'Mount    Leases    Per hour    TTL    Forecast    If renewed\n-----    ------    --------    ---    --------    ----------\n' +
      'db/      30        360         1h     360         no end\n\n' +
      'Quota    Path    Used         Full\n-----    ----    ----         ----\n' +
      'q        db/     30 of 100    in 13m\nr        n/a     1 of 9       never\n',
  },
  {
    rule: 'lease forecast -detailed has roles',
    argv: 'lease forecast -detailed db/',
    stub: { 'GET /v1/sys/leases/forecast?prefix=db%2F': { body: { data: { ...forecast, quotas: {} } } } },
    out:
      'Mount        Leases    Per hour    TTL    Forecast    If renewed\n-----        ------    --------    ---    --------    ----------\n' +
      'db/          30        360         1h     360         no end\ndb/ (app)    30        360         1h     360         8640\n',
  },
  {
    rule: 'lease forecast of another server is refused',
    argv: 'lease forecast',
    stub: {},
    err: 'The server makes no forecasts: sys/leases/forecast is not there\n',
    code: 2,
  },
]
play(cases)

const part = (ended: number, next: string | null, more: Record<string, unknown> = {}) => ({
  body: { data: { ended, failed: 0, error: null, next, ...more } },
})

/** Runs a command against answers in turn; each part takes as long as is said. */
async function revoke(argv: string, answers: readonly StubAnswer[], given: Partial<Io> = {}) {
  const path = `PUT /v1/sys/leases/${argv.includes('-force') ? 'revoke-force' : 'revoke-prefix'}/db`
  await using stub = await startStub({ [path]: answers })
  const env = { VAULT_ADDR: stub.address, VAULT_TOKEN: 't', HOME: '/nonexistent', VAULT_MAX_RETRIES: '0' }
  const run = await runCommand(cliCommand('lease'), ['revoke', ...argv.split(' '), 'db'], { env, ...given })
  return { ...run, bodies: stub.asked.map(asked => asked.slice(path.length + 1)) }
}

test('lease revoke -prefix goes on part by part, on a terminal in one line', async () => {
  const parts = [part(1000, 'lease:db/m'), part(1000, 'lease:db/x'), part(12, null)]
  const run = await revoke('-prefix -sync', parts, { isErrorTerminal: true })
  assert.deepEqual([run.code, run.stdout], [0, 'Success! Revoked any leases with prefix: db\n'])
  assert.equal(run.stderr, '\r1000 leases revoked, 0 failed\u001b[K\r2000 leases revoked, 0 failed\u001b[K\n')
  assert.deepEqual(run.bodies, [
    '{"sync":true,"batch":1000}',
    '{"sync":true,"batch":1000,"after":"lease:db/m"}',
    '{"sync":true,"batch":1000,"after":"lease:db/x"}',
  ])
})

test('lease revoke -prefix in a log tells now and then, not of each part', async () => {
  const world = simWorld({ seed: 1 })
  const progress: string[] = []
  const io = { isErrorTerminal: false, world, stderr: (text: string) => void progress.push(text) }
  const told = new Progress(io)
  for (let i = 1; i <= 5; i++) {
    told.tell(`${i}000 leases`)
    await world.clock.advance(6_000)
  }
  told[Symbol.dispose]()
  assert.deepEqual(progress, ['3000 leases\n', '5000 leases\n'])
})

test('lease revoke -prefix says how many could not be revoked, and goes on over them', async () => {
  const failure = { failed: 2, error: 'db/creds/a/x: it is in use' }
  const run = await revoke('-prefix -sync', [part(10, 'lease:db/m', failure), part(5, null)])
  assert.deepEqual([run.code, run.stdout], [2, ''])
  assert.match(
    run.stderr,
    /^Error revoking leases with prefix db: 2 of 17 could not be revoked, the first one db\/creds\/a\/x: it is in use\n\nThey are tried again/,
  )
})

test('lease revoke -prefix of a server that knows no parts is one call', async () => {
  const run = await revoke('-prefix', [{ status: 202 }])
  assert.deepEqual([run.code, run.stdout], [0, 'All revocation operations queued successfully!\n'])
  assert.deepEqual(run.bodies, ['{"sync":false,"batch":1000}'])
})

test('lease revoke -prefix -force goes on part by part, too', async () => {
  const run = await revoke('-prefix -force', [part(1000, 'lease:db/m'), part(1, null)])
  assert.deepEqual([run.code, run.bodies.length], [0, 2])
})

test('lease revoke -prefix -output-curl-string asks for all at once', async () => {
  const run = await revoke('-prefix -sync -output-curl-string', [])
  assert.match(run.stdout, /\{"sync":true\}/)
})

test('lease revoke -prefix that is interrupted says that the same command goes on', async () => {
  const ending = new AbortController()
  const world = simWorld({ seed: 1, signal: ending.signal })
  let told = ''
  const run = await revoke('-prefix', [part(1000, 'lease:db/m')], {
    world,
    isErrorTerminal: true,
    stderr: text => {
      told += text
      ending.abort(new Error('ended by SIGINT'))
    },
  })
  assert.equal(run.code, 1)
  assert.match(told, /Broken off after 1000 leases. The same command goes on.\n$/)
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
  assert.match(await run('lease forecast'), /^accounts\/ +3 +\d+ +1m +/m)
  await run('lease revoke -prefix -sync accounts/')
  assert.equal(outside.accounts.size, 0)
  assert.match(await run('lease list -irrevocable'), /^Every lease that ended is revoked\.$/m)
  assert.match(await run('lease count'), /^all +0$/m)
})
