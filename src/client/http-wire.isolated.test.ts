import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { type HttpAddress, listen } from '#ground/http/server.ts'
import type { TlsSettings as ServerTls } from '#ground/http/tls.ts'
import { createApiClient } from './api.ts'
import type { TlsSettings } from './environment.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-wire-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const world = { clock: systemClock, entropy: systemEntropy, signal: new AbortController().signal }

async function serve(address: HttpAddress, tls: ServerTls | null = null) {
  const seen: string[] = []
  const server = await listen({
    address,
    tls,
    clock: systemClock,
    log: silentLog,
    handler: request => {
      seen.push(`${request.headers.get('host')} ${request.peer.tls?.certificates.length ?? '-'}`)
      return { status: 200, headers: [['Content-Type', 'application/json']], body: '{"data":{"ok":true}}' }
    },
  })
  const port = 'port' in server.address ? server.address.port : 0
  return { seen, port, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) }
}

async function ask(address: string, tls: TlsSettings = {}) {
  await using client = createApiClient({ address, tls, world, maxRetries: 0, timeoutMs: 5_000 })
  return (await client.request({ method: 'GET', path: 'a' })).envelope?.data
}

const now = systemClock.now()
const validity = { notBefore: instant(now - 60_000), notAfter: instant(now + 3_600_000) }
const authority = issueAuthority(world, { commonName: 'test CA', ...validity })
const leaf = issueLeaf(world, authority, {
  commonName: 'vault',
  dnsNames: ['vault.test'],
  ipAddresses: ['127.0.0.1'],
  usage: 'server',
  ...validity,
})
const serverTls: ServerTls = { certificate: leaf.certificate, key: leaf.key, clientCertificates: 'request' }
const local = { host: '127.0.0.1', port: 0 }

test('wire: plain HTTP sends the Host of the address', async () => {
  await using server = await serve(local)
  assert.deepEqual(await ask(`http://127.0.0.1:${server.port}`), { ok: true })
  assert.deepEqual(server.seen, [`127.0.0.1:${server.port} -`])
})

test('wire: a unix socket', async () => {
  const path = join(folder, 'agent.sock')
  await using server = await serve({ path })
  assert.deepEqual(await ask(`unix://${path}`), { ok: true })
  assert.deepEqual(server.seen, ['localhost -'])
})

test('wire: TLS with the CA as text, as a file, as a folder', async () => {
  await using server = await serve(local, serverTls)
  const address = `https://127.0.0.1:${server.port}`
  const caCert = join(folder, 'ca.pem')
  await writeFile(caCert, authority.certificate)
  for (const tls of [{ caBytes: authority.certificate }, { caCert }, { caPath: folder }]) {
    assert.deepEqual(await ask(address, tls), { ok: true })
  }
})

test('wire: TLS with the CA as base64 of its text, in one line or many', async () => {
  await using server = await serve(local, serverTls)
  const base64 = Buffer.from(authority.certificate).toString('base64')
  for (const caBytes of [base64, base64.replace(/.{76}/g, '$&\n')]) {
    assert.deepEqual(await ask(`https://127.0.0.1:${server.port}`, { caBytes }), { ok: true })
  }
})

test('wire: a certificate of an unknown CA is refused, and the error says what to set', async () => {
  await using server = await serve(local, serverTls)
  const address = `https://127.0.0.1:${server.port}`
  await assert.rejects(ask(address), { message: /x509: certificate signed by unknown authority .*VAULT_CACERT/ })
  assert.deepEqual(await ask(address, { skipVerify: true }), { ok: true })
})

test('wire: the certificate must name the host, or the name that is set', async () => {
  const other = issueLeaf(world, authority, { commonName: 'x', dnsNames: ['vault.test'], usage: 'server', ...validity })
  await using server = await serve(local, { ...serverTls, certificate: other.certificate, key: other.key })
  const address = `https://127.0.0.1:${server.port}`
  const caBytes = authority.certificate
  await assert.rejects(ask(address, { caBytes }), { message: /x509:/ })
  assert.deepEqual(await ask(address, { caBytes, serverName: 'vault.test' }), { ok: true })
})

test('wire: a client certificate is shown', async () => {
  const mine = issueLeaf(world, authority, { commonName: 'me', usage: 'client', ...validity })
  await using server = await serve(local, serverTls)
  const clientCert = join(folder, 'client.pem')
  const clientKey = join(folder, 'client.key')
  await writeFile(clientCert, mine.certificate)
  await writeFile(clientKey, mine.key.reveal('a file for the test'))
  await ask(`https://127.0.0.1:${server.port}`, { caBytes: authority.certificate, clientCert, clientKey })
  assert.match(server.seen[0] ?? '', / [12]$/)
})

for (const [rule, tls, message] of [
  ['a certificate without its key', { clientCert: '/c.pem' }, /both client cert and client key must be provided/],
  [
    'a CA file that is not there',
    { caCert: '/nonexistent/ca.pem' },
    /error loading CA certificate \/nonexistent\/ca\.pem/,
  ],
  ['a CA text that is no PEM', { caBytes: 'nonsense' }, /no PEM block found/],
] as const) {
  test(`wire: ${rule} is named`, () =>
    assert.rejects(ask('https://127.0.0.1:1', tls), { name: 'TlsSettingsError', message }))
}

test('wire: a refused connection and a missing socket read as in the Go client', async () => {
  await assert.rejects(ask('http://127.0.0.1:1'), {
    message: 'Get "http://127.0.0.1:1/v1/a": dial tcp 127.0.0.1:1: connect: connection refused',
  })
  await assert.rejects(ask('unix:///nonexistent.sock'), {
    message: 'Get "http://localhost/v1/a": dial unix /nonexistent.sock: connect: no such file or directory',
  })
})

test('wire: HTTPS to a server that speaks HTTP is named', async () => {
  await using server = await serve(local)
  await assert.rejects(ask(`https://127.0.0.1:${server.port}`), {
    message: /server gave HTTP response to HTTPS client/,
  })
})
