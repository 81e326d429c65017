import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readServerConfig } from './config.ts'

const listener = (stanza: object, type = 'tcp') =>
  readServerConfig([{ name: 'test', text: JSON.stringify({ listener: { [type]: stanza }, storage: { inmem: {} } }) }])
    .config.listeners[0]!

const tls = { tls_cert_file: '/c', tls_key_file: '/k' }

for (const [rule, stanza, type, text] of [
  [
    'a TLS version that is none',
    { ...tls, tls_max_version: 'tls10' },
    'tcp',
    /tls_max_version "tls10" must be tls12 or tls13/,
  ],
  [
    'versions the wrong way round',
    { ...tls, tls_min_version: 'tls13', tls_max_version: 'tls12' },
    'tcp',
    /tls_min_version is above/,
  ],
  [
    'a cipher suite without forward secrecy',
    { ...tls, tls_cipher_suites: 'TLS_RSA_WITH_AES_128_CBC_SHA' },
    'tcp',
    /tls_cipher_suites: "TLS_RSA_WITH_AES_128_CBC_SHA" is none of/,
  ],
  [
    'a PROXY behaviour that is none',
    { tls_disable: true, proxy_protocol_behavior: 'maybe' },
    'tcp',
    /proxy_protocol_behavior "maybe" is none of use_always/,
  ],
  [
    'a PROXY behaviour without addresses',
    { tls_disable: true, proxy_protocol_behavior: 'deny_unauthorized' },
    'tcp',
    /needs proxy_protocol_authorized_addrs/,
  ],
  [
    'a network that is none',
    { tls_disable: true, x_forwarded_for_authorized_addrs: '10.0.0.0/99' },
    'tcp',
    /x_forwarded_for_authorized_addrs: "10.0.0.0\/99" is no address/,
  ],
  [
    'hops below zero',
    { tls_disable: true, x_forwarded_for_hop_skips: -1 },
    'tcp',
    /x_forwarded_for_hop_skips can not be negative/,
  ],
  ['a mode that is none', { address: '/s', socket_mode: 'rw' }, 'unix', /socket_mode "rw" is no octal file mode/],
  [
    'a user whom nobody knows',
    { address: '/s', socket_user: 'nobody-has-this-name' },
    'unix',
    /socket_user "nobody-has-this-name" is not in \/etc\/passwd/,
  ],
  ['a socket without a path', {}, 'unix', /address must be the path of the socket/],
] as const) {
  test(`listener: ${rule} is refused by its key`, () => {
    assert.throws(() => listener(stanza, type), text)
  })
}

test('listener: TLS versions and cipher suites by their Go names', () => {
  const found = listener({
    ...tls,
    tls_max_version: 'tls12',
    tls_cipher_suites: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  })
  assert.equal(found.tls?.maxVersion, 'TLSv1.2')
  assert.match(found.tls?.ciphers ?? '', /:ECDHE-RSA-AES128-GCM-SHA256$/)
})

test('listener: a socket has mode, user and group, by id or by name', () => {
  const { address } = listener(
    { address: '/s', socket_mode: '0660', socket_user: 'root', socket_group: '1234' },
    'unix',
  )
  assert.deepEqual(address, { path: '/s', mode: 0o660, user: 0, group: 1234 })
})

test('listener: whose PROXY header is believed', () => {
  const { proxy } = listener({
    tls_disable: true,
    proxy_protocol_behavior: 'allow_authorized',
    proxy_protocol_authorized_addrs: '10.0.0.0/8, 192.0.2.1',
  })
  assert.deepEqual(
    ['10.1.1.1', '192.0.2.1', '192.0.2.2'].map(one => proxy?.authorized(one)),
    [true, true, false],
  )
})

test('listener: whose X-Forwarded-For is believed', () => {
  const { forwardedFor } = listener({ tls_disable: true, x_forwarded_for_authorized_addrs: ['10.0.0.0/8'] })
  assert.deepEqual(
    [forwardedFor?.hopSkips, forwardedFor?.rejectsNotPresent, forwardedFor?.rejectsNotAuthorized],
    [0, true, true],
  )
  assert.equal(listener({ tls_disable: true }).forwardedFor, null)
})
