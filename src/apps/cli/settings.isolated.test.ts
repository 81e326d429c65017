import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PassThrough } from 'node:stream'
import { simWorld } from '#ground/base/world.ts'
import { parseFlags } from '#ground/text/flags.ts'
import { httpFlags } from './flag-sets.ts'
import { resolveSettings } from './settings.ts'

function settings(argv: string, env: Record<string, string> = {}) {
  const parsed = parseFlags(
    httpFlags,
    argv.split(' ').filter(arg => arg !== ''),
  )
  const io = {
    stdout: () => undefined,
    stderr: () => undefined,
    stdin: new PassThrough(),
    isInputTerminal: false,
    isOutputTerminal: false,
    env: { HOME: '/nonexistent', ...env },
    cwd: '/',
    calledAs: 'coffer',
    world: simWorld({ seed: 1 }),
  }
  return resolveSettings(io, parsed.values, parsed.given)
}

for (const [rule, argv, env, member, want] of [
  ['-address beats the environment', '-address=http://f:1', { VAULT_ADDR: 'http://e:1' }, 'address', 'http://f:1'],
  ['VAULT_ADDR beats the default', '', { VAULT_ADDR: 'http://e:1' }, 'address', 'http://e:1'],
  ['the default address', '', {}, 'address', 'https://127.0.0.1:8200'],
  ['-agent-address beats -address', '-address=http://f:1 -agent-address=http://a:1', {}, 'address', 'http://a:1'],
  ['-namespace gets its slash', '-namespace=/team', {}, 'namespace', 'team/'],
  ['-ns beats -namespace', '-namespace=a -ns=b', {}, 'namespace', 'b/'],
  ['an empty -namespace beats the environment', '-namespace=', { VAULT_NAMESPACE: 'e' }, 'namespace', ''],
  ['-wrap-ttl in seconds', '-wrap-ttl=5m', {}, 'wrapTtlSeconds', 300],
  ['-wrap-ttl=0 beats the environment', '-wrap-ttl=0', { VAULT_WRAP_TTL: '60' }, 'wrapTtlSeconds', 0],
  ['-policy-override', '-policy-override', {}, 'policyOverride', true],
  ['-disable-redirects', '-disable-redirects', {}, 'disableRedirects', true],
  ['-mfa may be given twice', '-mfa=a -mfa=b', {}, 'mfa', ['a', 'b']],
  ['-header', '-header=X-A=1 -header=X-B=2', {}, 'headers', { 'X-A': '1', 'X-B': '2' }],
  ['the CLI retries nothing by itself', '', {}, 'maxRetries', 0],
  ['VAULT_MAX_RETRIES makes it', '', { VAULT_MAX_RETRIES: '3' }, 'maxRetries', 3],
  ['VAULT_CLIENT_TIMEOUT', '', { VAULT_CLIENT_TIMEOUT: '5s' }, 'timeoutMs', 5000],
] as const) {
  test(`settings: ${rule}`, async () => assert.deepEqual((await settings(argv, env)).options[member], want))
}

for (const [rule, argv, env, want] of [
  [
    '-ca-cert replaces what the environment names',
    '-ca-cert=/f',
    { VAULT_CACERT_BYTES: 'PEM', VAULT_CAPATH: '/p' },
    { caCert: '/f' },
  ],
  ['-ca-path replaces it too', '-ca-path=/f', { VAULT_CACERT: '/e' }, { caPath: '/f' }],
  ['-client-cert and -client-key', '-client-cert=/c -client-key=/k', {}, { clientCert: '/c', clientKey: '/k' }],
  ['-tls-server-name beats the environment', '-tls-server-name=f', { VAULT_TLS_SERVER_NAME: 'e' }, { serverName: 'f' }],
  [
    '-tls-skip-verify=false beats the environment',
    '-tls-skip-verify=false',
    { VAULT_SKIP_VERIFY: 'true' },
    { skipVerify: false },
  ],
] as const) {
  test(`settings of TLS: ${rule}`, async () => assert.deepEqual((await settings(argv, env)).options.tls, want))
}

test('settings: VAULT_TOKEN beats the stored token', async () => {
  const found = await settings('', { VAULT_TOKEN: 'hvs.e' })
  assert.equal(found.token?.reveal('test'), 'hvs.e')
})
