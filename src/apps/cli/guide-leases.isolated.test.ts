import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/leases.md'), 'utf8')
const commands = [...guide.matchAll(/^\$ coffer (.*)$/gm)].map(match => match[1]!)

test('the guide on leases: its commands, in their order', async () => {
  const outside = new Outside()
  await using real = await startReal([accountsEngine(outside)])
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const run = async (line: string): Promise<string> => {
    const [name = '', ...argv] = line.split(' ')
    const end = await runCommand(cliCommand(name), argv, { env })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    return end.stdout
  }
  await run('secrets enable -path=database accounts')
  await run('token create -policy=default -ttl=1h')
  let lease = ''
  for (let i = 0; i < 3; i++) lease = /^lease_id +(\S+)$/m.exec(await run('read database/creds/app ttl=60'))![1]!
  const said: Record<string, string> = {}
  for (const line of commands) said[line] = await run(line.replace('$LEASE', lease))
  assert.match(said['lease list']!, /^auth\/\ndatabase\/$/m)
  assert.match(said['lease forecast']!, /^database\/ +2 /m)
  assert.match(said['read sys/quotas/lease-count/database']!, /^max_leases +500$/m)
  assert.match(said['lease count']!, /^all +0$/m)
  assert.equal(outside.accounts.size, 0)
  assert.equal((await runCommand(cliCommand('lease'), ['list'], { env })).code, 2)
})
