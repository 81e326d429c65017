import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '#ground/base/secret.ts'
import { NumberLiteral } from '#ground/text/json.ts'
import type { ApiClient } from './api.ts'
import { ApiError, isLeaseGone, isTokenGone } from './api-error.ts'
import { scriptedClient } from './scripted-wire.ts'

const read = (client: ApiClient, path = 'secret/data/app') => client.request({ method: 'GET', path })

test('a request carries token, namespace, the request mark and the wrapping it asks for', async () => {
  const { client, sent, settle } = scriptedClient([{ status: 204 }], {
    token: new Secret('hvs.t'),
    namespace: 'team',
    wrapTtlSeconds: 300,
    headers: { 'X-Extra': 'e' },
  })
  await settle(
    client.request({ method: 'PUT', path: '/secret/my app', body: { a: '<' }, query: { b: 1, a: ['x', 'y'] } }),
  )
  assert.equal(sent[0]?.target, '/v1/secret/my%20app?a=x&a=y&b=1')
  assert.equal(sent[0]?.body, '{"a":"\\u003c"}')
  assert.deepEqual(sent[0]?.headers, [
    ['X-Vault-Request', 'true'],
    ['X-Vault-Token', 'hvs.t'],
    ['X-Vault-Namespace', 'team/'],
    ['X-Vault-Wrap-TTL', '5m0s'],
    ['Content-Type', 'application/json'],
    ['X-Extra', 'e'],
  ])
})

test('number literals of an answer are kept', async () => {
  const { client, settle } = scriptedClient([{ status: 200, body: '{"data":{"n":1.50,"big":12345678901234567890}}' }])
  const answer = await settle(read(client))
  assert.deepEqual(answer.envelope?.data?.['n'], new NumberLiteral('1.50'))
  assert.deepEqual(answer.envelope?.data?.['big'], new NumberLiteral('12345678901234567890'))
})

for (const [rule, status, tries] of [
  ['412 is tried three times', 412, 3],
  ['429 is tried three times', 429, 3],
  ['500 is tried three times', 500, 3],
  ['503 is tried three times', 503, 3],
  ['501 is not tried again', 501, 1],
  ['403 is not tried again', 403, 1],
  ['400 is not tried again', 400, 1],
] as const) {
  test(rule, async () => {
    const { client, sent, settle } = scriptedClient([{ status, body: '{"errors":["no"]}' }])
    await assert.rejects(settle(read(client)), { name: 'ApiError', status })
    assert.equal(sent.length, tries)
  })
}

test('a refused connection is tried again, a bad certificate is not', async () => {
  const refused = scriptedClient([{ error: 'connect: connection refused' }])
  await assert.rejects(refused.settle(read(refused.client)), {
    message: 'Get "https://vault:8200/v1/secret/data/app": connect: connection refused',
  })
  assert.equal(refused.sent.length, 3)
  const bad = scriptedClient([{ error: 'certificate has expired', isRetryable: false }])
  await assert.rejects(bad.settle(read(bad.client)), { name: 'ConnectError' })
  assert.equal(bad.sent.length, 1)
})

test('Retry-After of a 429 is obeyed', async () => {
  const { client, sent, world } = scriptedClient([{ status: 429, headers: { 'Retry-After': '7' } }, { status: 204 }])
  const work = read(client)
  await world.clock.advance(0)
  await world.clock.advance(6_900)
  assert.equal(sent.length, 1)
  await world.clock.advance(200)
  await work
  assert.equal(sent.length, 2)
})

test('a 429 of sys/health is an answer: it is a standby', async () => {
  const { client, sent, settle } = scriptedClient([{ status: 429, body: '{"standby":true}' }])
  const answer = await settle(read(client, 'sys/health'))
  assert.equal(answer.status, 429)
  assert.equal(sent.length, 1)
})

test('a deadline ends a request that hangs, and all its tries', async () => {
  const { client, settle } = scriptedClient(['hang'], { timeoutMs: 5_000 })
  await assert.rejects(settle(read(client)), { message: /context deadline exceeded/ })
})

test('an aborted request rejects with the reason of the caller', async () => {
  const { client, world } = scriptedClient(['hang'])
  const stop = new AbortController()
  const work = client.request({ method: 'GET', path: 'a', signal: stop.signal })
  work.catch(() => undefined)
  await world.clock.advance(0)
  stop.abort(new Error('enough'))
  await assert.rejects(work, { message: 'enough' })
  assert.equal(world.clock.waiting, 0)
})

test('one redirect is followed with token and body, to the other server', async () => {
  const { client, sent, settle } = scriptedClient(
    [{ status: 307, headers: { Location: 'https://active:8200/v1/secret/data/app?x=1' } }, { status: 204 }],
    { token: new Secret('t') },
  )
  await settle(client.request({ method: 'PUT', path: 'secret/data/app', body: { a: 1 } }))
  assert.equal(sent[1]?.to, 'https://active:8200')
  assert.equal(sent[1]?.target, '/v1/secret/data/app?x=1')
  assert.equal(sent[1]?.body, '{"a":1}')
  assert.ok(sent[1]?.headers.some(([name]) => name === 'X-Vault-Token'))
})

test('a redirect behind a unix socket stays on it', async () => {
  const { client, sent, settle } = scriptedClient(
    [{ status: 307, headers: { Location: 'https://active:8200/v1/b' } }, { status: 204 }],
    { address: 'unix:///run/agent.sock' },
  )
  await settle(read(client))
  assert.deepEqual(
    sent.map(request => [request.to, request.target]),
    [
      ['unix:///run/agent.sock', '/v1/secret/data/app'],
      ['unix:///run/agent.sock', '/v1/b'],
    ],
  )
})

test('a second redirect is not followed', async () => {
  const { client, sent, settle } = scriptedClient([{ status: 307, headers: { Location: 'https://vault:8200/v1/a' } }])
  const answer = await settle(read(client))
  assert.equal(answer.status, 307)
  assert.equal(sent.length, 2)
})

test('a redirect from https to http is refused', async () => {
  const { client, sent, settle } = scriptedClient([{ status: 307, headers: { Location: 'http://vault:8200/v1/a' } }])
  await assert.rejects(settle(read(client)), { message: /redirect would cause protocol downgrade/ })
  assert.equal(sent.length, 1)
})

test('an error reads word for word as the Go client prints it', async () => {
  const { client, settle } = scriptedClient([{ status: 403, body: '{"errors":["permission denied"]}' }])
  await assert.rejects(settle(client.request({ method: 'PUT', path: 'secret/data/app', body: {} })), {
    message:
      'Error making API request.\n\nURL: PUT https://vault:8200/v1/secret/data/app\nCode: 403. Errors:\n\n* permission denied',
  })
})

test('an error that is no JSON is shown as it came, and a namespace is named', async () => {
  const { client, settle } = scriptedClient([
    { status: 404, body: '<html>', headers: { 'X-Vault-Namespace': 'team/' } },
  ])
  await assert.rejects(settle(read(client)), {
    message:
      'Error making API request.\n\nNamespace: team/\nURL: GET https://vault:8200/v1/secret/data/app\nCode: 404. Raw Message:\n\n<html>',
  })
})

test('a 404 with data keeps it beside the error', async () => {
  const body = '{"request_id":"r","data":{"data":null,"metadata":{"version":2}}}'
  const { client, settle } = scriptedClient([{ status: 404, body }])
  await assert.rejects(settle(read(client)), error => {
    assert.ok(error instanceof ApiError)
    assert.deepEqual(error.envelope?.data, { data: null, metadata: { version: 2 } })
    return true
  })
})

test('a token with control characters is refused before anything is sent', async () => {
  const { client, sent, settle } = scriptedClient([{ status: 204 }], { token: new Secret('hvs.\n') })
  await assert.rejects(settle(read(client)), { message: /non-printable/ })
  assert.equal(sent.length, 0)
})

for (const path of ['secret/../sys/seal', 'secret/./a', '..']) {
  test(`path ${path} is refused`, async () => {
    const { client, sent, settle } = scriptedClient([{ status: 204 }])
    await assert.rejects(settle(read(client, path)), { message: /not allowed/ })
    assert.equal(sent.length, 0)
  })
}

for (const [rule, errors, gone] of [
  ['the two-error form of a bad token', ['2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'], true],
  ['the bare form of a bad token', ['permission denied'], true],
  ['a policy that denies', ['1 error occurred:\n\t* permission denied\n\n'], false],
] as const) {
  test(`is the token gone? ${rule}`, () => {
    assert.equal(isTokenGone(new ApiError({ status: 403, errors, method: 'GET', url: '' })), gone)
  })
}

test('a lease that is not found is gone, a sealed server says nothing of it', () => {
  assert.equal(isLeaseGone(new ApiError({ status: 400, errors: ['lease not found'], method: 'PUT', url: '' })), true)
  assert.equal(isLeaseGone(new ApiError({ status: 503, errors: ['Vault is sealed'], method: 'PUT', url: '' })), false)
})
