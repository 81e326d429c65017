import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { certAuth } from './engine.ts'
import { bytes, der, pem } from './golden.lab.ts'

// After the answers of the responder were made; what they say holds for a century, but for one.
const start = Date.UTC(2030, 0, 1)

type Web = AsyncDisposable & {
  readonly url: string
  /** What it answers; null = 503. */
  body: Uint8Array | null
  readonly asked: string[]
}

async function openWeb(): Promise<Web> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.headers['content-type'] ?? ''}`.trim())
    request.resume()
    request.on('end', () => {
      if (web.body === null) response.writeHead(503).end()
      else response.writeHead(200).end(web.body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const web: Web = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    body: null,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return web
}

async function open(role: Record<string, Json> = {}): Promise<TestServer> {
  const server = await openTestMount(certAuth, { start })
  const body = { certificate: pem('root'), ...role }
  assert.equal((await server.ask('POST', 'auth/cert/certs/all', { body })).status, 204)
  return server
}

const login = (server: TestServer, ...chain: readonly string[]): Promise<TestAnswer> =>
  server.ask('POST', 'auth/cert/login', { token: null, certificates: chain.map(der) })

const statuses = async (server: TestServer, ...names: readonly string[]): Promise<readonly number[]> => {
  const seen: number[] = []
  for (const name of names) seen.push((await login(server, ...name.split(' '))).status)
  return seen
}

const putList = (server: TestServer, name: string, body: Record<string, Json>): Promise<TestAnswer> =>
  server.ask('POST', `auth/cert/crls/${name}`, { body })

test('cert crl: a certificate on a list of its issuer is refused, until the list is deleted', async () => {
  await using server = await open()
  assert.deepEqual(await statuses(server, 'bob', 'revoked'), [200, 200])
  assert.equal((await putList(server, 'root', { crl: pem('root.crl') })).status, 204)
  await server.restart()
  const answer = await login(server, 'revoked')
  assert.deepEqual(answer.errors, ['no chain matching all constraints could be found for this login certificate'])
  assert.deepEqual(await statuses(server, 'bob', 'nested between'), [200, 200])
  const { data } = await server.ask('GET', 'auth/cert/crls/root')
  const { serials, cdp } = data as { serials: Record<string, Json>; cdp: Json }
  assert.deepEqual([Object.keys(serials).length, cdp], [1, null])
  assert.deepEqual((await server.ask('LIST', 'auth/cert/crls')).data, { keys: ['root'] })
  assert.equal((await server.ask('DELETE', 'auth/cert/crls/root')).status, 204)
  assert.deepEqual(await statuses(server, 'revoked'), [200])
})

test('cert crl: an authority between that is revoked takes its clients with it', async () => {
  await using server = await open()
  await putList(server, 'root', { crl: pem('between-revoked.crl') })
  assert.deepEqual(await statuses(server, 'bob', 'nested between'), [200, 400])
})

test('cert crl: the list of another issuer says nothing, whatever the numbers on it', async () => {
  await using server = await open()
  await putList(server, 'other', { crl: pem('other.crl') })
  assert.deepEqual(await statuses(server, 'bob', 'revoked'), [200, 200])
})

for (const [what, body, text] of [
  ['neither list nor address', {}, "one of 'crl' or 'url' must be provided"],
  ['what is no list', { crl: 'x' }, 'failed to parse CRL: not a certificate revocation list'],
  ['a certificate', { crl: pem('root') }, 'failed to parse CRL: not a certificate revocation list'],
  [
    'an address of another kind',
    { url: 'file:///etc/passwd' },
    '"file:///etc/passwd" is no address with http:// or https://',
  ],
] as const) {
  test(`cert crl: refused is ${what}`, async () => {
    await using server = await open()
    const answer = await putList(server, 'root', body)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.equal((await server.ask('LIST', 'auth/cert/crls')).status, 404)
  })
}

test('cert crl: one that is not there is 400, to read and to delete', async () => {
  await using server = await open()
  for (const method of ['GET', 'DELETE']) {
    const answer = await server.ask(method, 'auth/cert/crls/none')
    assert.deepEqual([answer.status, answer.errors], [400, ['no such CRL none']])
  }
})

test('cert crl: a list is fetched from its address, and again each day; without an answer the old one counts', async () => {
  await using web = await openWeb()
  await using server = await open()
  const refused = await putList(server, 'root', { url: web.url })
  assert.deepEqual([refused.status, refused.errors], [400, ['error fetching CRL: status 503']])
  web.body = new TextEncoder().encode(pem('other.crl'))
  assert.equal((await putList(server, 'root', { url: web.url })).status, 204)
  assert.deepEqual(((await server.ask('GET', 'auth/cert/crls/root')).data as { cdp: Json }).cdp, { url: web.url })
  assert.deepEqual(await statuses(server, 'revoked'), [200])
  web.body = der('root.crl')
  const fetched = web.asked.length
  await server.world.clock.advance(86_400_000)
  for (let turn = 0; web.asked.length === fetched && turn < 1_000; turn++) await new Promise(setImmediate)
  for (let turn = 0; (await login(server, 'revoked')).status === 200 && turn < 1_000; turn++)
    await new Promise(setImmediate)
  assert.deepEqual(await statuses(server, 'bob', 'revoked'), [200, 400])
  web.body = null
  await server.world.clock.advance(86_400_000)
  assert.deepEqual(await statuses(server, 'bob', 'revoked'), [200, 400])
})

for (const [rule, answer, certificate, more, want] of [
  ['good, by the issuer', 'good', 'bob', {}, null],
  ['good, without the certificate of the signer', 'good-bare', 'bob', {}, null],
  ['good, by one to whom the issuer gave the purpose', 'good-delegated', 'bob', {}, null],
  ['revoked', 'revoked', 'revoked', {}, /says that it is revoked/],
  [
    'revoked, by one to whom the issuer gave the purpose',
    'revoked-delegated',
    'revoked',
    {},
    /says that it is revoked/,
  ],
  ['revoked, and silence would let in', 'revoked', 'revoked', { ocsp_fail_open: true }, /says that it is revoked/],
  ['not known', 'unknown', 'bob', {}, /not known/],
  ['not known, and silence would let in', 'unknown', 'bob', { ocsp_fail_open: true }, /not known/],
  ['about another certificate', 'good', 'revoked', {}, /about another certificate/],
  ['signed by another authority', 'stranger', 'bob', {}, /nobody who may signed/],
  ['signed by a client of the issuer', 'client', 'bob', {}, /nobody who may signed/],
  [
    'signed by another authority, which the role names',
    'stranger',
    'bob',
    { ocsp_ca_certificates: pem('other') },
    null,
  ],
  ['out of date', 'short', 'bob', {}, /out of date/],
  ['nothing', null, 'bob', {}, /no OCSP server answered: status 503/],
  ['nothing, and silence lets in', null, 'bob', { ocsp_fail_open: true }, null],
] as const) {
  test(`cert ocsp: the answer is ${rule}`, async () => {
    await using web = await openWeb()
    web.body = answer === null ? null : bytes(`${answer}.ocsp`)
    await using server = await open({ ocsp_enabled: true, ocsp_servers_override: web.url, ...more })
    const { status, headers, text } = await login(server, certificate)
    assert.deepEqual(web.asked, ['POST application/ocsp-request'])
    if (want === null) return assert.equal(status, 200, text)
    assert.equal(status, 400)
    const id = headers.get('x-coffer-request-id') ?? ''
    const { data } = await server.ask('POST', 'sys/policies/explain', { body: { request_id: id } })
    assert.match((data as { reason: string }).reason, want)
  })
}

test('cert ocsp: an answer is kept as long as it says, and asked for by each certificate', async () => {
  await using web = await openWeb()
  web.body = bytes('good.ocsp')
  await using server = await open({ ocsp_enabled: true, ocsp_servers_override: web.url })
  assert.deepEqual(await statuses(server, 'bob', 'bob', 'bob'), [200, 200, 200])
  assert.equal(web.asked.length, 1)
  assert.deepEqual(await statuses(server, 'ed'), [400])
  assert.equal(web.asked.length, 2)
})

test('cert ocsp: of two servers one is enough, or both are asked', async () => {
  await using good = await openWeb()
  await using silent = await openWeb()
  good.body = bytes('good.ocsp')
  const servers = `${silent.url},${good.url}`
  for (const [asksAll, want] of [
    [false, 200],
    [true, 400],
  ] as const) {
    await using server = await open({
      ocsp_enabled: true,
      ocsp_servers_override: servers,
      ocsp_query_all_servers: asksAll,
    })
    assert.deepEqual(await statuses(server, 'bob'), [want])
  }
})

test('cert ocsp: a certificate that names no server is refused, or let in where silence lets in', async () => {
  for (const [more, want] of [
    [{}, 400],
    [{ ocsp_fail_open: true }, 200],
  ] as const) {
    await using server = await open({ ocsp_enabled: true, ...more })
    assert.deepEqual(await statuses(server, 'bob'), [want])
  }
})
