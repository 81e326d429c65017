import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnvelope } from '#protocol/envelope.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { type ScriptedAnswer, type SentRequest, scriptedClient } from '#client/scripted-wire.ts'
import { readAgentConfig } from '#delivery/agent-config/read.ts'
import { Agent } from './agent.ts'

const ok = (body: string): ScriptedAnswer => ({ status: 200, body })
const gone: ScriptedAnswer = { status: 403, body: '{"errors":["permission denied","invalid token"]}' }
const auth = (token: string): string => `{"auth":{"client_token":"${token}","lease_duration":3600,"renewable":true}}`
const tokenOf = ({ headers }: SentRequest): string => headers.find(([name]) => name === 'X-Vault-Token')?.[1] ?? ''

/** An agent with one leased secret and a token a login; `dead` are tokens that the server doesn't know any more. */
function start(more = '') {
  const dead = new Set<string>()
  let leases = 0
  const scripted = scriptedClient(request => {
    if (dead.has(tokenOf(request))) return gone
    if (request.target.includes('ui/mounts')) return ok('{"data":{"path":"database/","options":null}}')
    if (request.target.includes('renew-self')) return ok(auth(tokenOf(request)))
    if (request.target.includes('revoke-self')) return { status: 204 }
    const lease = `{"lease_id":"l${++leases}","lease_duration":60,"renewable":true,"data":{"username":"u${leases}"}}`
    return ok(lease)
  })
  const text = `${more}
    auto_auth { method "token_file" { config = { token_file_path = "none" } } }
    template {
      contents    = "{{ with secret \\"database/creds/app\\" }}{{ .Data.username }}{{ end }}"
      destination = "out"
    }`
  const stop = new AbortController()
  let logins = 0
  const agent = new Agent({
    world: { ...scripted.world, signal: stop.signal },
    config: readAgentConfig([{ name: 'agent.hcl', text }], true).config,
    client: scripted.client.with({ maxRetries: 0 }),
    env: {},
    exitAfterAuth: false,
    handover: null,
    handsOverAt: null,
    login: { describes: 'a test', login: async () => parseEnvelope(parseJson(auth(`t${++logins}`)))! },
    sinkFor: () => ({ land: async () => 'changed' }),
    openNotices: async () => null,
  })
  const done = agent.run()
  const revoked = (): string[] => scripted.sent.filter(({ target }) => target.includes('revoke-self')).map(tokenOf)
  const { clock } = scripted.world
  const end = async (): Promise<void> => {
    stop.abort()
    for (let i = 0; i < 10; i++) await clock.advance(1000)
    await done
  }
  return { dead, end, revoked, logins: () => logins, advance: (ms: number) => clock.advance(ms) }
}

for (const [rule, afterMs, wanted] of [
  ['just before', 1_000, ['t2']],
  ['some time before', 60_000, []],
] as const) {
  test(`an agent whose token was revoked ${rule} it is told to end revokes what it has got since: ${wanted.length}`, async () => {
    const run = start()
    await run.advance(10_000)
    run.dead.add('t1')
    for (let atMs = 0; run.logins() < 2 && atMs < 120_000; atMs += 500) await run.advance(500)
    assert.equal(run.logins(), 2)
    await run.advance(afterMs)
    await run.end()
    assert.deepEqual(run.revoked(), wanted)
  })
}

test('an agent that is asked to revokes its token at its end', async () => {
  const run = start('revoke_on_shutdown = true')
  await run.advance(10_000)
  await run.end()
  assert.deepEqual(run.revoked(), ['t1'])
})
