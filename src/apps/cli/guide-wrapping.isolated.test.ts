import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parsePolicy } from '#core/policy/parse.ts'
import { startReal } from '#core/testing/real-server.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/wrapping.md'), 'utf8')
const commands = [...guide.matchAll(/^\$ (VAULT_TOKEN=\$WRAPPING )?coffer (.*)$/gm)]

test('the guide on wrapping: its commands, in their order', async () => {
  await using real = await startReal([kvV2])
  const run = async (line: string, token = real.rootToken): Promise<string> => {
    const [name = '', ...argv] = line.split(' ')
    const env = { VAULT_ADDR: real.address, VAULT_TOKEN: token, HOME: '/nonexistent' }
    const end = await runCommand(cliCommand(name), argv, { env })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    return end.stdout
  }
  await run('secrets enable -path=secret -version=2 kv')
  await run('kv put secret/app password=swordfish')
  let wrapping = ''
  const said: string[] = []
  for (const [, own, line = ''] of commands) {
    const out = await run(line.replace('$WRAPPING', wrapping), own === undefined ? undefined : wrapping)
    wrapping = /^wrapping_token: +(\S+)$/m.exec(out)?.[1] ?? wrapping
    said.push(out)
  }
  assert.match(said[1]!, /map\[password:swordfish\]/)
  assert.match(said[3]!, /^creation_path +sys\/wrapping\/wrap$/m)
  assert.match(said[4]!, /"creation_path": "sys\/wrapping\/wrap"/)
  const rules = /```hcl\n([^`]*)```/.exec(guide)![1]!
  assert.partialDeepStrictEqual(parsePolicy(rules).rules[0], { minWrapTtl: 60, maxWrapTtl: 600 })
})
