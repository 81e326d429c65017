import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { doorman } from '#core/testing/engines.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/tokens.md'), 'utf8')
/** Each with what it reads, up to EOF. */
const commands = [...guide.matchAll(/^\$ coffer (.*?)(?: <<EOF\n([^]*?)\nEOF)?$/gm)].map(([, line, input]) => ({
  line: line!,
  input,
}))

test('the guide on tokens: its commands, in their order', async () => {
  // In the place of userpass: which method logs in plays no part.
  await using real = await startReal([{ ...doorman(), type: 'userpass' }])
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const names: Record<string, string> = {}
  const said: Record<string, string> = {}
  for (const { line, input } of commands) {
    const [name = '', ...argv] = line.replace(/\$([A-Z]+)/g, (_, variable: string) => names[variable]!).split(' ')
    const end = await runCommand(cliCommand(name), argv, { env, ...(input !== undefined && { input }) })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    said[line] = end.stdout
    if (!line.startsWith('token create -policy')) continue
    names['TOKEN'] = /^token +(\S+)$/m.exec(end.stdout)![1]!
    names['ACCESSOR'] = /^token_accessor +(\S+)$/m.exec(end.stdout)![1]!
  }
  assert.match(said['token create -type=batch -ttl=10m -policy=app']!, /^token +hvb\.\S+\ntoken_accessor +n\/a$/m)
  assert.equal(said['token capabilities $TOKEN secret/data/app'], 'read\n')
  assert.equal(said['token capabilities -accessor $ACCESSOR secret/data/app'], 'read\n')
  assert.match(said['read auth/token/roles/ci']!, /^path_suffix +build$/m)
  assert.match(said['token create -role=ci -policy=team-web']!, /^token_policies +\["default" "team-web"\]$/m)
  assert.match(said['token create -role=job -entity-alias=job-7 -ttl=5m']!, /^token +hvb\./m)
  assert.match(said['read sys/internal/counters/tokens']!, /service_tokens:map\[total:2\]/)
})
