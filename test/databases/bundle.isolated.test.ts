import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { bundle } from '../../tools/bundle.ts'
import { debianUnable } from './debian.ts'
import { startMariaDb } from './mariadb.ts'
import { startMongoWire } from './mongo-wire.ts'
import { postgresUnable, startPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'

// The release form of the server against each database: its drivers are in the bundle, and load from there.

const checkout = dirname(dirname(import.meta.dirname))
const folder = mkdtempSync(join(tmpdir(), 'coffer-database-bundle-'))
let address = ''
let stop = async (): Promise<void> => undefined
before(async () => {
  await bundle(checkout, join(folder, 'dist'))
  const flags = ['server', '-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0']
  // Away from the checkout: nothing else is there to be found.
  const child = spawn(process.execPath, ['--no-warnings', join(folder, 'dist/main.js'), ...flags], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  let said = ''
  child.stderr.on('data', chunk => (said += String(chunk)))
  for await (const chunk of child.stdout) {
    said += String(chunk)
    address = /Api Address: (\S+)/.exec(said)?.[1] ?? ''
    if (address !== '' && said.includes('server started')) break
  }
  assert.notEqual(address, '', said)
  await ask('POST', 'sys/mounts/database', { type: 'database' })
})
after(async () => {
  await stop()
  rmSync(folder, { recursive: true, force: true })
})

type Answer = { lease_id: string; data: { username: string; password: string } }

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const answer = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { 'X-Vault-Token': 'root' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  assert.ok(answer.status < 300, `${method} ${path}: ${text}`)
  return (text === '' ? {} : JSON.parse(text)) as Answer
}

/** From the configuration to the end of an account, and a new root password on the way. */
async function walk(name: string, config: object, creation: readonly string[]): Promise<void> {
  await ask('POST', `database/config/${name}`, { allowed_roles: name, ...config })
  await ask('POST', `database/rotate-root/${name}`)
  await ask('POST', `database/roles/${name}`, { db_name: name, creation_statements: creation })
  const made = await ask('GET', `database/creds/${name}`)
  // It gets in, as the account of another connection.
  const { username, password } = made.data
  await ask('POST', `database/config/${name}-made`, { ...config, username, password })
  await ask('PUT', 'sys/leases/revoke', { lease_id: made.lease_id, sync: true })
  await assert.rejects(ask('POST', `database/config/${name}-made`, { ...config, username, password }))
}

test('bundle: postgresql', { skip: postgresUnable() }, async () => {
  await using postgres = await startPostgres()
  const { templatedUrl: connection_url, username, password } = postgres
  const config = { plugin_name: 'postgresql-database-plugin', connection_url, username, password }
  await walk('postgresql', config, [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`])
})

test('bundle: mysql', { skip: debianUnable() }, async () => {
  await using maria = await startMariaDb()
  const { port, username, password } = maria
  const connection_url = `{{username}}:{{password}}@tcp(127.0.0.1:${port})/`
  const config = { plugin_name: 'mysql-database-plugin', connection_url, username, password }
  await walk('mysql', config, [`CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`])
})

test('bundle: redis', { skip: debianUnable() }, async () => {
  await using redis = await startRedis()
  const { port, username, password } = redis
  const config = { plugin_name: 'redis-database-plugin', host: '127.0.0.1', port, username, password }
  await walk('redis', config, ['["~*", "+@read", "+ping"]'])
})

test('bundle: mongodb', async () => {
  await using mongo = await startMongoWire()
  const { port, username, password } = mongo
  const connection_url = `mongodb://{{username}}:{{password}}@127.0.0.1:${port}/admin`
  const config = { plugin_name: 'mongodb-database-plugin', connection_url, username, password }
  await walk('mongodb', config, ['{"db":"admin","roles":[{"role":"readWrite"}]}'])
})
