import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client } from 'pg'
import { startServer } from '../clients/server.ts'
import { capture } from '../cluster/process.ts'
import { postgresUnable, startPostgres } from './postgres.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guides/dynamic-secrets.md'), 'utf8')
// What needs pods is run by `test/cluster/credentials.pods.test.ts`.
const commands = guide
  .split(/^(?=## )/m)
  .filter(section => !section.startsWith('## In a pod'))
  .flatMap(section => [...section.matchAll(/^\$ coffer (.*)$/gm)].map(match => match[1]!))
const sql = /```sql\n([^]*?)```/.exec(guide)![1]!
const policy = /```hcl\n([^]*?)```/.exec(guide)![1]!

test('the guide on credentials that end: its commands, in their order, by the CLI', {
  skip: postgresUnable(),
}, async () => {
  await using postgres = await startPostgres()
  await using server = await startServer()
  const folder = mkdtempSync(join(tmpdir(), 'coffer-guide-'))
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  writeFileSync(join(folder, 'app.sql'), sql)
  writeFileSync(join(folder, 'long.hcl'), policy)
  const client = new Client(postgres.url)
  await client.connect()
  await client.query("CREATE ROLE coffer SUPERUSER LOGIN PASSWORD 'first'; CREATE ROLE reports LOGIN")
  const env: Record<string, string> = { COFFER_ADDR: server.address, HOME: folder }
  const coffer = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await capture([join(root, 'bin/coffer'), ...argv], {
      cwd: folder,
      env,
      timeoutMs: 60_000,
    })
    assert.equal(code, 0, `${argv.join(' ')}\n${stderr}`)
    return stdout
  }
  const init = JSON.parse(await coffer('operator', 'init', '-key-shares=1', '-key-threshold=1', '-format=json')) as {
    unseal_keys_b64: string[]
    root_token: string
  }
  await coffer('operator', 'unseal', init.unseal_keys_b64[0]!)
  env['COFFER_TOKEN'] = init.root_token
  const values: Record<string, string> = { URL: postgres.templatedUrl, USERNAME: 'coffer', PASSWORD: 'first' }
  const accounts = async (): Promise<number> =>
    (await client.query("SELECT 1 FROM pg_roles WHERE rolname LIKE 'v-%'")).rowCount ?? 0
  for (const line of commands) {
    const argv = line.split(' ').map(word => word.replaceAll(/\$([A-Z]+)/g, (_, name: string) => values[name]!))
    const said = await coffer(...argv)
    values['LEASE'] = /^lease_id +(\S+)$/m.exec(said)?.[1] ?? values['LEASE'] ?? ''
    if (line.startsWith('read database/creds')) assert.equal(await accounts(), 1)
    if (line.startsWith('lease revoke')) assert.equal(await accounts(), 0)
    if (line.startsWith('read sys/leases/count')) assert.match(said, /^lease_count +0$/m)
  }
  await client.end()
})
