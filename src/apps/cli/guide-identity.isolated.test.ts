import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import { doorman } from '#core/testing/engines.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/identity.md'), 'utf8')
/** `$ NAME=$(coffer …)` or `$ coffer …`, and the lines that a command reads. */
const commands = [...guide.matchAll(/^\$ (?:(\w+)=\$\()?coffer ([^)\n]*)\)?\n((?:path .*\n)*)/gm)].map(
  ([, name, line, input]) => ({ name, line: line!, input: input! }),
)

test('the guide on identity: its commands, in their order', async () => {
  await using real = await startReal([doorman()])
  const env = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent' }
  const world = { ...simWorld({ seed: 1 }), clock: systemClock }
  const run = async (line: string, token = real.rootToken, input = ''): Promise<string> => {
    const [name = '', ...argv] = line.split(' ')
    const end = await runCommand(cliCommand(name), argv, { env: { ...env, VAULT_TOKEN: token }, world, input })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
    return end.stdout
  }
  for (const path of ['userpass', 'sso']) await run(`auth enable -path=${path} doorman`)
  const login = (path: string, name: string): Promise<string> =>
    run(`write -field=token auth/${path}/login name=${name} groups=operators`)
  const policies = async (token: string): Promise<string> =>
    run('read -field=identity_policies auth/token/lookup-self', token)
  const known: Record<string, string> = {}
  const said: Record<string, string> = {}
  const tokens: string[] = []
  for (const { name, line, input } of commands) {
    if (line.includes('disabled=true')) tokens.push(await login('userpass', 'bob'), await login('sso', 'robert'))
    for (const token of tokens)
      if (line.includes('disabled=true')) assert.equal(await policies(token), '[dev everybody operate team-read]')
    const out = await run(
      line.replaceAll(/\$(\w+)/g, (_, one: string) => known[one]!),
      real.rootToken,
      input,
    )
    if (name !== undefined) known[name] = out.trim()
    said[line] = out
  }
  assert.match(said['read identity/entity/name/bob']!, /^policies +\[dev\]$/m)
  assert.match(said['read identity/group/name/team']!, /^policies +\[team-read\]$/m)
  assert.match(said['list identity/group/name']!, /^all-teams\nops\nteam$/m)
  assert.match(said['read sys/internal/counters/entities']!, /entities:map\[total:1\]/)
  assert.match(said['auth move sso/ people/']!, /^Success! Finished moving auth method auth\/sso\/ to auth\/people\//m)
  assert.equal(commands.length, 20)
})
