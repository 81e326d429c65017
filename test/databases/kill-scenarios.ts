import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import type { Json } from '#ground/text/json.ts'
import type { TestServer } from '#core/testing/mount.ts'
import { capture } from '../cluster/process.ts'
import { openOver } from './killed-child.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'

const skip = postgresUnable()
const stepsMax = 120
const folder = mkdtempSync(join(tmpdir(), 'coffer-killed-'))
let postgres: Postgres
let token = ''
let leaseId = ''
let superuser: Client
/** By the superuser; the first column. */
async function sql(text: string): Promise<string[]> {
  const found = await superuser.query<Record<string, string>>(text)
  return (Array.isArray(found) ? [] : found.rows).map(row => Object.values(row)[0]!)
}

async function logsIn(user: string, password: string): Promise<boolean> {
  const client = new Client({ host: '127.0.0.1', port: postgres.port, database: 'postgres', user, password })
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

const made = (): Promise<string[]> => sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1")

async function reset(): Promise<void> {
  await sql("DROP ROLE IF EXISTS steady; CREATE ROLE steady LOGIN PASSWORD 'old'")
  const known = await sql("SELECT rolname FROM pg_roles WHERE rolname IN ('manager', 'kept')")
  if (!known.includes('kept')) await sql("CREATE ROLE kept LOGIN PASSWORD 'old'")
  await sql(`${known.includes('manager') ? 'ALTER' : 'CREATE'} ROLE manager SUPERUSER LOGIN PASSWORD 'first'`)
}

async function must(server: TestServer, method: string, path: string, body?: Json): Promise<Record<string, Json>> {
  const answer = await server.ask(method, path, body === undefined ? {} : { body })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.errors.join()}`)
  return (answer.body ?? {}) as Record<string, Json>
}

/** Time passes until it is so; each turn waits for the database, since what falls due is done by it in real time. */
async function settle(server: TestServer, isDone: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await isDone()) return
    await server.world.clock.advance(500)
    await sql('SELECT pg_sleep(0.002)')
  }
  assert.fail('it does not settle')
}

type Scenario = {
  readonly ask: readonly [method: string, path: string, body?: string]
  readonly prepare?: () => Promise<void>
  /** What must hold once the new process is up and had some time. */
  readonly check: (server: TestServer) => Promise<void>
}

async function atSteps(stride: number, { ask, prepare, check }: Scenario): Promise<number> {
  const base = await made()
  for (let step = 1; step <= stepsMax; step += stride) {
    await reset()
    await prepare?.()
    const place = join(folder, 'run')
    rmSync(place, { recursive: true, force: true })
    cpSync(join(folder, 'base'), place, { recursive: true })
    const child = [process.execPath, '--no-warnings', join(import.meta.dirname, 'killed-child.ts')]
    const { stdout, stderr } = await capture([...child, place, token, `${step}`, ...(ask as readonly string[])], {
      inheritEnv: true,
    })
    assert.equal(stderr, '', stderr)
    await using server = await openOver(place, 5_000 + step)
    server.rootToken = token
    try {
      await check(server)
    } catch (error) {
      throw new Error(`killed at step ${step} of ${ask.join(' ')}: ${(error as Error).message}`, { cause: error })
    }
    for (const role of await made()) if (!base.includes(role)) await sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
    if (stdout === '') continue
    assert.ok((JSON.parse(stdout) as { status: number }).status < 300, stdout)
    return step
  }
  return assert.fail('it has more steps than are tried')
}

async function leases(server: TestServer): Promise<readonly string[]> {
  const { data } = await server.ask('LIST', 'sys/leases/lookup/database/creds/app')
  return (data as { keys?: string[] } | null)?.keys ?? []
}

async function open(): Promise<void> {
  if (skip !== false) return
  postgres = await startPostgres()
  superuser = new Client(postgres.url)
  await superuser.connect()
  await reset()
  const server = await openOver(join(folder, 'base'), 1)
  token = server.rootToken
  await must(server, 'POST', 'sys/mounts/database', { type: 'database' })
  await must(server, 'POST', 'database/config/app', {
    plugin_name: 'postgresql-database-plugin',
    connection_url: postgres.templatedUrl,
    username: 'manager',
    password: 'first',
    allowed_roles: '*',
  })
  await must(server, 'POST', 'database/roles/app', {
    db_name: 'app',
    creation_statements: [
      `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
      'GRANT USAGE ON SCHEMA public TO "{{name}}"',
    ],
  })
  await must(server, 'POST', 'database/static-roles/kept', {
    db_name: 'app',
    username: 'kept',
    rotation_period: 86_400,
  })
  leaseId = (await must(server, 'GET', 'database/creds/app'))['lease_id'] as string
  await server[Symbol.asyncDispose]()
}
async function close(): Promise<void> {
  await superuser?.end()
  await postgres?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
}

/**
 * A server process is killed at a step of a request, at one after the other; a new one on the same data, with the same
 * database, must then know every account there is, and a password that works for each.
 * @param stride 1 = at every step
 */
export function killScenarios(stride: number): void {
  before(open)
  after(close)
  killAccounts(stride)
  killPasswords(stride)
}

function killAccounts(stride: number): void {
  let gone = ''

  test('killed while an account is made: it has a lease, or is removed', { skip }, async () => {
    let kept = 0
    const steps = await atSteps(stride, {
      ask: ['GET', 'database/creds/app'],
      async check(server) {
        await settle(server, async () => (await made()).length === (await leases(server)).length)
        const ids = await leases(server)
        if (ids.length === 1) return
        kept++
        // The lease is the account's own, not another's.
        const before = await made()
        for (const id of ids) {
          const lease = `database/creds/app/${id}`
          if (lease !== leaseId) await must(server, 'PUT', 'sys/leases/revoke', { lease_id: lease, sync: true })
        }
        assert.equal((await made()).length, before.length - 1)
      },
    })
    assert.ok(steps > 20 && kept > 0 && kept < steps / stride, `${kept} of ${steps}`)
  })

  test('killed while an account is removed: it is gone in the end, with its lease', { skip }, async () => {
    const steps = await atSteps(stride, {
      ask: ['PUT', 'sys/leases/revoke', JSON.stringify({ lease_id: leaseId, sync: true })],
      async prepare() {
        const [name = ''] = await sql(`SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'`)
        if (name === '') await sql(`CREATE ROLE "${gone}" LOGIN; GRANT USAGE ON SCHEMA public TO "${gone}"`)
        else gone = name
      },
      async check(server) {
        const ids = await leases(server)
        if ((await made()).length === 0) assert.ok(ids.length <= 1)
        await must(server, 'PUT', 'sys/leases/revoke', { lease_id: leaseId, sync: true })
        await settle(server, async () => (await made()).length === 0 && (await leases(server)).length === 0)
      },
    })
    assert.ok(steps > 15)
  })
}

function killPasswords(stride: number): void {
  let original = ''

  test('killed while a static role is rotated: the password that readers get works', { skip }, async () => {
    let changed = 0
    const steps = await atSteps(stride, {
      ask: ['POST', 'database/rotate-role/kept', '{}'],
      // What the stored copy says must be in force at the beginning of each run.
      async prepare() {
        const server = await openOver(join(folder, 'base'), 9)
        server.rootToken = token
        const { data } = await server.ask('GET', 'database/static-creds/kept')
        original = (data as { password: string }).password
        await server[Symbol.asyncDispose]()
        await sql(`ALTER ROLE kept PASSWORD '${original}'`)
      },
      async check(server) {
        const current = async () =>
          ((await server.ask('GET', 'database/static-creds/kept')).data as { password: string }).password
        await settle(server, async () => logsIn('kept', await current()))
        if ((await current()) !== original) changed++
        await server.world.clock.advance(60_000)
        await settle(server, async () => logsIn('kept', await current()))
      },
    })
    assert.ok(steps > 10 && changed > 0 && changed < steps, `${changed} of ${steps}`)
  })

  test('killed while a static role is made: its password is known, or the old one is in force', { skip }, async () => {
    const steps = await atSteps(stride, {
      ask: [
        'POST',
        'database/static-roles/steady',
        JSON.stringify({ db_name: 'app', username: 'steady', rotation_period: 86_400 }),
      ],
      async check(server) {
        await settle(server, async () => {
          const { data } = await server.ask('GET', 'database/static-creds/steady')
          const password = (data as { password?: string } | null)?.password
          if (password !== undefined) return logsIn('steady', password)
          const role = await server.ask('GET', 'database/static-roles/steady')
          return role.status === 404 && (await logsIn('steady', 'old'))
        })
      },
    })
    assert.ok(steps > 10)
  })

  test('killed while the root password is rotated: the server still gets in', { skip }, async () => {
    let changed = 0
    const steps = await atSteps(stride, {
      ask: ['POST', 'database/rotate-root/app', '{}'],
      async check(server) {
        const answer = await must(server, 'GET', 'database/creds/app')
        await must(server, 'PUT', 'sys/leases/revoke', { lease_id: answer['lease_id']!, sync: true })
        if (!(await logsIn('manager', 'first'))) changed++
        // And again: whatever was left half done is not in the way.
        await must(server, 'POST', 'database/rotate-root/app')
        const other = await must(server, 'GET', 'database/creds/app')
        await must(server, 'PUT', 'sys/leases/revoke', { lease_id: other['lease_id']!, sync: true })
        assert.equal(await logsIn('manager', 'first'), false)
      },
    })
    assert.ok(steps > 10 && changed > 0 && changed < steps, `${changed} of ${steps}`)
  })
}
