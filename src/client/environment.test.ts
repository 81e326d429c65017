import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from './environment.ts'

for (const [rule, env, want] of [
  ['VAULT_ADDR alone counts', { VAULT_ADDR: 'http://a' }, 'http://a'],
  ['BAO_ADDR beats VAULT_ADDR', { VAULT_ADDR: 'http://a', BAO_ADDR: 'http://b' }, 'http://b'],
  ['COFFER_ADDR beats both', { VAULT_ADDR: 'http://a', BAO_ADDR: 'http://b', COFFER_ADDR: 'http://c' }, 'http://c'],
  ['a variable set to nothing still beats the weaker ones', { VAULT_ADDR: 'http://a', BAO_ADDR: '' }, undefined],
] as const) {
  test(rule, () => assert.equal(readEnvironment(env).address, want))
}

test('every client variable lands in its setting', () => {
  const read = readEnvironment({
    VAULT_TOKEN: 'hvs.abc',
    VAULT_NAMESPACE: 'team',
    VAULT_CACERT: '/ca.pem',
    VAULT_CACERT_BYTES: 'PEM',
    VAULT_CAPATH: '/cas',
    VAULT_CLIENT_CERT: '/c.pem',
    VAULT_CLIENT_KEY: '/k.pem',
    VAULT_TLS_SERVER_NAME: 'vault.local',
    VAULT_SKIP_VERIFY: 'true',
    VAULT_CLIENT_TIMEOUT: '90',
    VAULT_MAX_RETRIES: '0',
    VAULT_WRAP_TTL: '5m',
    VAULT_FORMAT: 'json',
    VAULT_DISABLE_REDIRECTS: '1',
  })
  assert.equal(read.token?.reveal('test'), 'hvs.abc')
  assert.equal(read.tokenVariable, 'VAULT_TOKEN')
  assert.deepEqual(
    { ...read, token: null },
    {
      token: null,
      tokenVariable: 'VAULT_TOKEN',
      namespace: 'team',
      tls: {
        caCert: '/ca.pem',
        caPath: '/cas',
        caBytes: 'PEM',
        clientCert: '/c.pem',
        clientKey: '/k.pem',
        serverName: 'vault.local',
        skipVerify: true,
      },
      timeoutMs: 90_000,
      maxRetries: 0,
      wrapTtlSeconds: 300,
      format: 'json',
      disableRedirects: true,
    },
  )
})

test('nothing set reads as nothing', () => assert.deepEqual(readEnvironment({}), { tls: {} }))

test('VAULT_SKIP_VERIFY=false leaves verification on', () => {
  assert.equal(readEnvironment({ VAULT_SKIP_VERIFY: 'false' }).tls.skipVerify, false)
})

for (const [name, value] of [
  ['VAULT_SKIP_VERIFY', 'maybe'],
  ['BAO_CLIENT_TIMEOUT', 'soon'],
  ['COFFER_MAX_RETRIES', '-1'],
] as const) {
  test(`${name}=${value} is refused and the error names it`, () => {
    assert.throws(() => readEnvironment({ [name]: value }), { name: 'EnvironmentError', message: new RegExp(name) })
  })
}
