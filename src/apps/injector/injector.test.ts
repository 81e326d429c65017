import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { HttpRequest, HttpResponse } from '#ground/http/message.ts'
import { FlagError, parseFlags } from '#ground/text/flags.ts'
import { noImprovements, originalDefaults } from '#delivery/annotations/defaults.ts'
import { injectorFlags, levelOf, withEnvironment, withoutHarmless } from './flags.ts'
import { chooseImprovements, injectorHandler, parseListen } from './injector.ts'

// @source vault-k8s agent-inject/handler.go, subcommand/injector/flags.go, and what the running webhook answers

const world = simWorld({ seed: 1 })
const defaults = { ...originalDefaults, address: 'https://coffer:8200', caCertBytes: '', image: 'coffer:1' }
let isReady = true
const handler = injectorHandler(defaults, noImprovements, world, () => isReady)

const request = (path: string, body = ''): HttpRequest => ({
  method: 'POST',
  path,
  query: 'timeout=5s',
  headers: headersOf([['content-type', 'application/json']]),
  body: {
    length: body.length,
    bytes: () => Buffer.from(body),
    stream: () => {
      throw new Error('not read so')
    },
  },
  peer: { transport: 'tcp', address: '127.0.0.1', port: 1, tls: null },
  signal: new AbortController().signal,
})

async function review(asked: unknown): Promise<Record<string, unknown>> {
  const answer = (await handler(request('/mutate', JSON.stringify({ request: asked })))) as HttpResponse
  assert.equal(answer.status, 200)
  return (JSON.parse(answer.body as string) as { response: Record<string, unknown> }).response
}

for (const [rule, asked] of [
  ['no object', { uid: 'a' }],
  ['a null object', { uid: 'a', object: null }],
  ['a deletion, which has none', { uid: 'a', operation: 'DELETE', object: null }],
] as const) {
  test(`the injector denies ${rule} in the original's words`, async () => {
    assert.deepEqual(await review(asked), {
      uid: 'a',
      allowed: false,
      status: { message: 'unexpected end of JSON input' },
    })
  })
}

test('an object that is no pod is denied, not failed', async () => {
  for (const object of ['text', 5, [], { metadata: 'x' }, { metadata: { annotations: 'x' } }]) {
    const { allowed } = await review({ uid: 'a', namespace: 'n', object })
    assert.equal(typeof allowed, 'boolean')
  }
})

test('a pod that asks without a token mount is denied, and one that does not ask is let in', async () => {
  const pod = (annotations: Record<string, string>) => ({
    namespace: 'n',
    object: { metadata: { name: 'p', annotations }, spec: { containers: [{ name: 'c' }] } },
  })
  const denied = await review(pod({ 'vault.hashicorp.com/agent-inject': 'true' }))
  assert.match(JSON.stringify(denied['status']), /failed to find service account volume mount/)
  assert.deepEqual(await review(pod({})), { uid: '', allowed: true })
})

test('the injector is ready until it stops, and other paths are not found', async () => {
  const status = async (path: string) => ((await handler(request(path))) as HttpResponse).status
  assert.deepEqual([await status('/health/ready'), await status('/other')], [204, 404])
  isReady = false
  assert.equal(await status('/health/ready'), 503)
  isReady = true
})

const read = (argv: readonly string[], env: Record<string, string> = {}) =>
  withEnvironment(parseFlags(injectorFlags, withoutHarmless(argv, env)).values, env)

test('the environment beats the flag, and an empty variable counts as absent', () => {
  assert.equal(read(['-cpu-limit=1'], { AGENT_INJECT_CPU_LIMIT: '2' })['cpu-limit'], '2')
  assert.equal(read(['-cpu-limit=1'], { AGENT_INJECT_CPU_LIMIT: '' })['cpu-limit'], '1')
  assert.equal(read([], { AGENT_INJECT_RUN_AS_USER: '65532' })['run-as-user'], 65_532)
})

test('the variables for TLS work without their prefix, others do not', () => {
  const flags = read([], { TLS_AUTO: 'cfg', TLS_AUTO_HOSTS: 'a,b', LISTEN: ':1' })
  assert.deepEqual([flags['tls-auto'], flags['tls-auto-hosts'], flags.listen], ['cfg', 'a,b', ':8080'])
  assert.equal(read([], { TLS_AUTO: 'bare', AGENT_INJECT_TLS_AUTO: 'full' })['tls-auto'], 'full')
})

test('a variable that can not be read is named', () => {
  assert.throws(() => read([], { AGENT_INJECT_RUN_AS_SAME_USER: 'yes' }), /AGENT_INJECT_RUN_AS_SAME_USER=yes: /)
})

test('a setting of the original that is not there yet is refused unless it changes nothing', () => {
  read(['-default-template=map', '-vault-auth-type=kubernetes', '-proxy-address='])
  read([], { AGENT_INJECT_TEMPLATE_MAX_CONNECTIONS_PER_HOST: '0', AGENT_INJECT_USE_LEADER_ELECTOR: 'true' })
  for (const [argv, env, text] of [
    [['-vault-auth-type=aws'], {}, /-vault-auth-type=aws is not supported yet/],
    [['--vault-namespace=team'], {}, /-vault-namespace=team is not supported yet/],
    [[], { AGENT_INJECT_TELEMETRY_PATH: '/metrics' }, /AGENT_INJECT_TELEMETRY_PATH=\/metrics is not supported yet/],
  ] as const) {
    assert.throws(
      () => read(argv, env),
      (error: unknown) => error instanceof FlagError && text.test(error.message),
    )
  }
})

test('log levels have the original names, and another is refused in its words', () => {
  assert.deepEqual(['notice', 'warning', 'err', 'trace'].map(levelOf), ['info', 'warn', 'error', 'trace'])
  assert.throws(() => levelOf('loud'), /^Error: unknown log level: loud$/)
})

test('a listen address without host is all addresses', () => {
  assert.deepEqual(parseListen(':8080'), { host: '0.0.0.0', port: 8080 })
  assert.deepEqual(parseListen('[::1]:1'), { host: '::1', port: 1 })
  assert.throws(() => parseListen('8080'), /-listen "8080" is not host:port/)
})

test('without a cluster whose version can be read, and with -compat, the patch is that of the original', async () => {
  const options = { defaults, namespace: 'n', world, kube: null }
  for (const argv of [[], ['-compat=vault-k8s']]) {
    assert.deepEqual(await chooseImprovements({ ...options, flags: read(argv) }), noImprovements)
  }
})
