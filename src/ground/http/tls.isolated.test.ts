import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import { test } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { listen, type ListenOptions } from './server.ts'
import type { TlsSettings } from './tls.ts'

const world = { clock: systemClock, entropy: systemEntropy }
const validity = { notBefore: instant(systemClock.now() - 60_000), notAfter: instant(systemClock.now() + 3_600_000) }
const ca = issueAuthority(world, { commonName: 'CA', ...validity })
const otherCa = issueAuthority(world, { commonName: 'other CA', ...validity })
const names = { dnsNames: ['coffer.test'], ipAddresses: ['127.0.0.1'], ...validity }
const one = issueLeaf(world, ca, { commonName: 'one', usage: 'server', ...names })
const two = issueLeaf(world, ca, { commonName: 'two', usage: 'server', ...names })
const known = issueLeaf(world, ca, { commonName: 'known', usage: 'client', ...validity, dnsNames: [], ipAddresses: [] })
const stranger = issueLeaf(world, otherCa, {
  commonName: 'stranger',
  usage: 'client',
  ...validity,
  dnsNames: [],
  ipAddresses: [],
})

async function serve(tls: TlsSettings, more: Partial<ListenOptions> = {}) {
  const server = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls,
    clock: systemClock,
    log: silentLog,
    handler: ({ peer }) => ({
      status: 200,
      headers: [],
      body: JSON.stringify({ ...peer.tls, certificates: peer.tls?.certificates.length, address: peer.address }),
    }),
    ...more,
  })
  const { port } = server.address as { port: number }
  return { server, port, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) }
}

async function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: ca.certificate, servername: 'coffer.test', ...options })
  await once(socket, 'secureConnect')
  return socket
}

const get = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

type Told = { version: string; certificates: number; isAuthorized: boolean; serverName: string | null; address: string }

async function ask(port: number, options: ConnectionOptions = {}): Promise<Told> {
  const socket = await open(port, options)
  socket.write(get)
  let got = ''
  for await (const chunk of socket.setEncoding('latin1')) got += chunk as string
  return JSON.parse(got.split('\r\n\r\n')[1] ?? '') as Told
}

const identity = (issued: { certificate: string; key: Secret }): ConnectionOptions => ({
  cert: issued.certificate,
  key: issued.key.reveal('test'),
})
const settings: TlsSettings = { certificate: one.certificate, key: one.key, clientCa: ca.certificate }

for (const [rule, clientCertificates, client, want] of [
  ['none is asked for', 'none', known, { certificates: 0, isAuthorized: false }],
  ["one that is asked for needn't come", 'request', null, { certificates: 0, isAuthorized: false }],
  ['a known one is authorized', 'request', known, { certificates: 2, isAuthorized: true }],
  ['a stranger is served, not authorized', 'request', stranger, { certificates: 1, isAuthorized: false }],
  ['a required one is authorized', 'require', known, { certificates: 2, isAuthorized: true }],
] as const) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`tls: client certificates, ${rule} (${version})`, async () => {
      await using served = await serve({ ...settings, clientCertificates })
      const {
        address,
        serverName,
        version: spoken,
        ...told
      } = await ask(served.port, { ...(client && identity(client)), maxVersion: version })
      assert.deepEqual([told, address, serverName, spoken], [want, '127.0.0.1', 'coffer.test', version])
    })
  }
}

for (const [rule, client] of [
  ['none', null],
  ["a stranger's", stranger],
] as const) {
  test(`tls: where a client certificate is required, ${rule} ends the handshake`, async () => {
    await using served = await serve({ ...settings, clientCertificates: 'require' })
    // In TLS 1.3 the client learns it with the first read.
    await assert.rejects(ask(served.port, client ? identity(client) : {}))
  })
}

test('tls: what is asked for without a CA of its own is authorized by nobody', async () => {
  await using served = await serve({ certificate: one.certificate, key: one.key, clientCertificates: 'request' })
  assert.equal((await ask(served.port, identity(known))).isAuthorized, false)
})

test('tls: to require certificates needs a CA', async () => {
  const bad: TlsSettings = { certificate: one.certificate, key: one.key, clientCertificates: 'require' }
  await assert.rejects(serve(bad), /tls_client_ca_file/)
})

test('tls: a session is not resumed past the check of the client', async () => {
  await using served = await serve(settings)
  const first = await open(served.port, identity(known))
  const sessions: Buffer[] = []
  first.on('session', session => sessions.push(session))
  first.end(get)
  first.resume()
  await once(first, 'close')
  const session = sessions[0] ?? first.getSession()
  const second = await open(served.port, { ...identity(known), ...(session && { session }) })
  assert.equal(second.isSessionReused(), false)
  second.destroy()
})

test('tls: ALPN is http/1.1 only', async () => {
  await using served = await serve(settings)
  const socket = await open(served.port, { ALPNProtocols: ['h2', 'http/1.1'] })
  assert.equal(socket.alpnProtocol, 'http/1.1')
  socket.destroy()
  await assert.rejects(open(served.port, { ALPNProtocols: ['h2'] }), {
    code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  })
})

test('tls: nothing below TLS 1.2 is spoken, and a higher floor is kept', async () => {
  await using served = await serve(settings)
  await assert.rejects(open(served.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
  await using strict = await serve({ ...settings, versionMin: 'TLSv1.3' })
  await assert.rejects(open(strict.port, { maxVersion: 'TLSv1.2' }))
})

test('tls: a reload is for new connections; kept ones live on; what is unusable changes nothing', async () => {
  await using served = await serve(settings)
  const nameOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN
  const kept = await open(served.port)
  assert.equal(nameOf(kept), 'one')
  served.server.reloadTls({ ...settings, certificate: two.certificate, key: two.key, clientCertificates: 'none' })
  const fresh = await open(served.port)
  assert.equal(nameOf(fresh), 'two')
  fresh.destroy()
  assert.equal(
    (await ask(served.port, identity(known))).certificates,
    0,
    'whether certificates are asked for changes too',
  )
  assert.throws(() => served.server.reloadTls({ ...settings, key: new Secret('no key') }))
  assert.equal((await ask(served.port)).certificates, 0)
  kept.end(get)
  let got = ''
  for await (const chunk of kept.setEncoding('latin1')) got += chunk as string
  assert.match(got, /200 OK/)
})

test('tls: who speaks plain HTTP is told so', async () => {
  await using served = await serve(settings)
  const socket = connectPlain(served.port, '127.0.0.1')
  socket.write(get)
  let got = ''
  for await (const chunk of socket.setEncoding('latin1')) got += chunk as string
  assert.equal(got, 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n')
})

test('tls: a PROXY header stands before the handshake', async () => {
  await using served = await serve(settings, { proxyProtocol: { behaviour: 'use_always', authorized: () => true } })
  const raw = connectPlain(served.port, '127.0.0.1')
  raw.write('PROXY TCP6 2001:db8::1 ::1 443 8200\r\n')
  assert.equal((await ask(served.port, { socket: raw })).address, '2001:db8::1')
  assert.equal((await ask(served.port)).address, '127.0.0.1')
})

test('tls: closing ends handshakes that never come to their end', async () => {
  const served = await serve(settings)
  const silent = connectPlain(served.port, '127.0.0.1').on('error', () => undefined)
  const begun = connectPlain(served.port, '127.0.0.1').on('error', () => undefined)
  begun.write(Buffer.from([0x16, 3, 1, 0, 200, 1]))
  await Promise.all([once(silent, 'connect'), once(begun, 'connect')])
  await ask(served.port)
  await Promise.all([served.server.close({ graceMs: 1 }), once(silent, 'close'), once(begun, 'close')])
  assert.equal(served.server.connections, 0)
})

test('tls: curl is served', async () => {
  await using served = await serve(settings)
  const { stdout } = await promisify(execFile)('curl', [
    '-sSk',
    '--max-time',
    '10',
    '-X',
    'LIST',
    `https://127.0.0.1:${served.port}/v1/a`,
  ])
  assert.match(stdout, /"certificates":0/)
})
