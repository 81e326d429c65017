import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import type { KubeConfig } from './config.ts'
import { discover, ResourceFinder } from './discovery.ts'
import { KubeError } from './errors.ts'
import { pods, secrets } from './resources.ts'
import { selfSubjectAccessReview, tokenRequest, tokenReview } from './reviews.ts'

type Asked = { method: string; url: string; headers: IncomingMessage['headers']; body: string }
type Answer = { status?: number; headers?: Record<string, string>; body?: unknown } | 'hang' | 'break'

/** A server that answers from a list and remembers what it was asked; the last answer stays. */
async function fakeApi(
  ...answers: Answer[]
): Promise<{ url: string; asked: Asked[]; server: Server } & AsyncDisposable> {
  const asked: Asked[] = []
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (answer === 'hang') return
    if (answer === 'break' || answer === undefined) {
      request.socket.destroy()
      return
    }
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {}))
  }
  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    server,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const world: World = {
  // Waits between attempts take no time.
  clock: {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    after: (ms, callback, options) => systemClock.after(ms, callback, options),
    sleep: (_ms, signal) => systemClock.sleep(0, signal),
  },
  entropy: seededEntropy(1),
  log: silentLog,
  signal: new AbortController().signal,
}

const clientOf = (server: string, more: Partial<KubeConfig> = {}, deadlineMs = 5_000): KubeClient =>
  createKubeClient({
    config: {
      server,
      ca: { kind: 'system' },
      isInsecure: false,
      serverName: null,
      namespace: 'default',
      auth: { kind: 'token', token: new Secret('own') },
      clientCertificate: null,
      impersonate: null,
      origin: 'test',
      ...more,
    },
    world,
    deadlineMs,
  })

const pod = { ...pods, namespace: 'a', name: 'b' }

test('every verb asks the right thing', async () => {
  await using api = await fakeApi({ body: { metadata: {} } })
  using client = clientOf(`${api.url}/prefix`)
  await client.get(pod)
  await client.create({ ...secrets, namespace: 'a' }, { kind: 'Secret' }, { isDryRun: true, fieldValidation: 'Strict' })
  await client.replace(pod, { apiVersion: 'v1' })
  await client.patch({ ...pod, subresource: 'status' }, { type: 'merge', body: { a: null } })
  await client.patch(pod, { type: 'json', body: [] })
  await client.apply(pod, { kind: 'Pod' }, { isForced: true, fieldManager: 'me' })
  await client.delete(pod, { propagationPolicy: 'Background', preconditions: { uid: 'u' } })
  await client.list(pods, { labelSelector: 'a=b,c in (d)', continueToken: 'x', resourceVersion: '0' })
  const rows = api.asked.map(a => [a.method, a.url.replace('/prefix', ''), a.headers['content-type'], a.body])
  assert.deepEqual(rows, [
    ['GET', '/api/v1/namespaces/a/pods/b', undefined, ''],
    [
      'POST',
      '/api/v1/namespaces/a/secrets?fieldManager=coffer&dryRun=All&fieldValidation=Strict',
      'application/json',
      '{"apiVersion":"v1","kind":"Secret"}',
    ],
    ['PUT', '/api/v1/namespaces/a/pods/b?fieldManager=coffer', 'application/json', '{"apiVersion":"v1"}'],
    ['PATCH', '/api/v1/namespaces/a/pods/b/status?fieldManager=coffer', 'application/merge-patch+json', '{"a":null}'],
    ['PATCH', '/api/v1/namespaces/a/pods/b?fieldManager=coffer', 'application/json-patch+json', '[]'],
    [
      'PATCH',
      '/api/v1/namespaces/a/pods/b?fieldManager=me&force=true',
      'application/apply-patch+yaml',
      '{"apiVersion":"v1","kind":"Pod"}',
    ],
    [
      'DELETE',
      '/api/v1/namespaces/a/pods/b',
      'application/json',
      '{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background","preconditions":{"uid":"u"}}',
    ],
    ['GET', '/api/v1/pods?limit=500&labelSelector=a%3Db%2Cc%20in%20(d)&continue=x', undefined, ''],
  ])
  assert.ok(api.asked.every(a => a.headers.authorization === 'Bearer own' && a.headers['user-agent'] === 'coffer'))
})

test('a name can not leave its path segment', () => {
  using client = clientOf('http://127.0.0.1:1')
  for (const name of ['', '.', '..', 'a/b', 'a%2fb']) {
    assert.throws(() => client.get({ ...pods, namespace: 'a', name }), RangeError)
  }
})

test('a Status becomes a KubeError with code, reason and message', async () => {
  const body = { kind: 'Status', reason: 'NotFound', message: 'pods "b" not found', code: 404 }
  await using api = await fakeApi({ status: 404, body })
  using client = clientOf(api.url)
  await assert.rejects(client.get(pod), (error: KubeError) => {
    assert.deepEqual([error.code, error.reason, error.message], [404, 'NotFound', 'pods "b" not found'])
    assert.equal(error.operation, 'GET /api/v1/namespaces/a/pods/b')
    return true
  })
  assert.equal(await client.find(pod), null)
})

test('an answer that is no Status gives its status code and first words', async () => {
  await using api = await fakeApi({ status: 403, body: '<html>proxy says no</html>' })
  using client = clientOf(api.url)
  await assert.rejects(client.get(pod), { code: 403, reason: 'Forbidden', message: '<html>proxy says no</html>' })
})

const repetitions: readonly (readonly [
  rule: string,
  verb: 'GET' | 'POST',
  answers: Answer[],
  asked: number,
  ok: boolean,
])[] = [
  ['429 is repeated, for a POST too', 'POST', [{ status: 429, headers: { 'retry-after': '1' } }, {}], 2, true],
  ['503 is repeated for a GET', 'GET', [{ status: 503 }, {}], 2, true],
  ['503 is not repeated for a POST', 'POST', [{ status: 503 }, {}], 1, false],
  [
    '503 with Retry-After is repeated for a POST',
    'POST',
    [{ status: 503, headers: { 'retry-after': '1' } }, {}],
    2,
    true,
  ],
  ['a broken connection is repeated for a GET', 'GET', ['break', {}], 2, true],
  ['a broken connection is not repeated for a POST', 'POST', ['break', {}], 1, false],
  ['five tries are the most', 'GET', [{ status: 500 }], 5, false],
  ['a wait beyond 20 s is not taken', 'GET', [{ status: 429, headers: { 'retry-after': '60' } }, {}], 1, false],
  ['404 is final', 'GET', [{ status: 404 }, {}], 1, false],
  ['401 is final for a fixed token', 'GET', [{ status: 401 }, {}], 1, false],
]

for (const [rule, verb, answers, count, ok] of repetitions) {
  test(`repetition: ${rule}`, async () => {
    await using api = await fakeApi(...answers)
    using client = clientOf(api.url)
    const work = verb === 'GET' ? client.get(pod) : client.create(pods, {})
    if (ok) await work
    else await assert.rejects(work, KubeError)
    assert.equal(api.asked.length, count)
  })
}

test('a hanging server ends with Timeout, an absent one with Unreachable', async () => {
  await using api = await fakeApi('hang')
  using client = clientOf(api.url, {}, 50)
  await assert.rejects(client.get(pod), { code: 0, reason: 'Timeout', message: /gave no answer within 50 ms/ })
  using nobody = clientOf('http://127.0.0.1:1')
  await assert.rejects(nobody.get(pod), {
    code: 0,
    reason: 'Unreachable',
    message: /cannot reach the Kubernetes API at http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED/,
  })
})

test('an aborted signal gives its reason, closing the client ends what runs', async () => {
  await using api = await fakeApi('hang')
  using client = clientOf(api.url)
  const controller = new AbortController()
  const reason = new Error('enough')
  const running = client.get(pod, { signal: controller.signal })
  await once(api.server, 'request')
  controller.abort(reason)
  await assert.rejects(running, reason)
  const second = client.get(pod)
  await once(api.server, 'request')
  client.close()
  await assert.rejects(second, /the Kubernetes client was closed/)
})

test('pages follow the continue token to the end', async () => {
  await using api = await fakeApi(
    { body: { metadata: { continue: 'c1' }, items: [{ metadata: { name: 'a' } }] } },
    { body: { metadata: { resourceVersion: '7' }, items: null } },
  )
  using client = clientOf(api.url)
  const pages = client.pages(secrets, { resourceVersion: '0', isMetadataOnly: true })
  assert.deepEqual((await pages.next()).value, [{ metadata: { name: 'a' } }])
  assert.deepEqual((await pages.next()).value, [])
  assert.deepEqual((await pages.next()).value, { resourceVersion: '7' })
  assert.deepEqual(
    api.asked.map(a => a.url),
    ['/api/v1/secrets?limit=500&resourceVersion=0', '/api/v1/secrets?limit=500&continue=c1'],
  )
  assert.match(api.asked[0]?.headers.accept ?? '', /PartialObjectMetadataList/)
})

test('impersonation goes out as headers', async () => {
  await using api = await fakeApi({})
  using client = clientOf(api.url, {
    impersonate: { user: 'u', uid: null, groups: ['g', 'h'], extra: { 'a/b': ['x'] } },
  })
  await client.get(pod)
  const headers = api.asked[0]?.headers ?? {}
  assert.equal(headers['impersonate-user'], 'u')
  assert.equal(headers['impersonate-group'], 'g, h')
  assert.equal(headers['impersonate-extra-a%2fb'], 'x')
})

test('a token review may be asked with the reviewed token itself', async () => {
  await using api = await fakeApi({ status: 201, body: { status: { authenticated: true, user: { username: 'x' } } } })
  using client = clientOf(api.url)
  const status = await tokenReview(client, new Secret('jwt'), ['aud'], { bearer: new Secret('jwt') })
  assert.equal(status.user?.username, 'x')
  assert.equal(api.asked[0]?.headers.authorization, 'Bearer jwt')
  assert.deepEqual(JSON.parse(api.asked[0]?.body ?? '').spec, { token: 'jwt', audiences: ['aud'] })
  assert.equal(api.asked[0]?.url, '/apis/authentication.k8s.io/v1/tokenreviews')
})

test('a token request gives a secret and its end', async () => {
  await using api = await fakeApi({ body: { status: { token: 't', expirationTimestamp: '2026-01-01T00:00:00Z' } } })
  using client = clientOf(api.url)
  const got = await tokenRequest(client, 'ns', 'sa', { audiences: ['x'], expirationSeconds: 600 })
  assert.deepEqual([got.token.reveal('test'), got.expiresAt], ['t', 1_767_225_600_000])
  assert.equal(api.asked[0]?.url, '/api/v1/namespaces/ns/serviceaccounts/sa/token')
})

test('an access review tells why', async () => {
  await using api = await fakeApi({ body: { status: { allowed: false, reason: 'no rule' } } })
  using client = clientOf(api.url)
  const review = await selfSubjectAccessReview(client, { verb: 'get', resource: 'pods' })
  assert.deepEqual(review, { isAllowed: false, reason: 'no rule' })
})

test('discovery finds a kind, remembers it, and asks again for an absent one', async () => {
  const resources = [
    { name: 'widgets', kind: 'Widget', namespaced: true },
    { name: 'widgets/status', kind: 'Widget', namespaced: true },
  ]
  await using api = await fakeApi({ status: 404 }, { body: { resources } })
  using client = clientOf(api.url)
  const finder = new ResourceFinder(client)
  assert.equal(await finder.find('x.io/v1', 'Widget'), null)
  const want = { group: 'x.io', version: 'v1', resource: 'widgets', kind: 'Widget', isNamespaced: true }
  assert.deepEqual(await finder.find('x.io/v1', 'Widget'), want)
  assert.deepEqual(await finder.find('x.io/v1', 'Widget'), want)
  assert.equal(api.asked.length, 2)
  assert.equal((await discover(client, 'v1'))?.length, 1)
})
