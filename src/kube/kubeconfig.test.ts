import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import type { KubeConfig } from './config.ts'
import { contextNames, loadKubeConfig } from './kubeconfig.ts'

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const keyPem = '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n'
const data = Buffer.from(pem).toString('base64')
const keyData = Buffer.from(keyPem).toString('base64')

async function folder(files: Readonly<Record<string, string>>): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'coffer-kubeconfig-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true })
    await writeFile(join(path, name), text)
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A kubeconfig of one context `c` whose cluster and user have these YAML flow mappings. */
const one = (cluster: string, user = '{}', context = ''): string =>
  `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: k, cluster: ${cluster}}],
  users: [{name: u, user: ${user}}], contexts: [{name: c, context: {cluster: k, user: u${context}}}]}`

const load = async (text: string): Promise<KubeConfig> => {
  await using home = await folder({ '.kube/config': text })
  const config = await loadKubeConfig({ env: { HOME: home.path } })
  return JSON.parse(JSON.stringify(config).replaceAll(home.path, '/home')) as KubeConfig
}

const https = '{server: "https://k.example:6443"}'
const forms: readonly (readonly [rule: string, text: string, want: Partial<Record<keyof KubeConfig, unknown>>])[] = [
  [
    'a server alone is enough',
    one(https),
    { server: 'https://k.example:6443', namespace: 'default', ca: { kind: 'system' }, auth: { kind: 'none' } },
  ],
  [
    'a path of the server is kept, its last slash is not',
    one('{server: "https://k.example/k8s/clusters/c-1/"}'),
    { server: 'https://k.example/k8s/clusters/c-1' },
  ],
  ['a bare host and port is plain http', one('{server: "localhost:8080"}'), { server: 'http://localhost:8080' }],
  ['the context names the namespace', one(https, '{}', ', namespace: shop'), { namespace: 'shop' }],
  ['an empty namespace is default', one(https, '{}', ', namespace: ""'), { namespace: 'default' }],
  [
    'inline CA data is decoded',
    one(`{server: "https://k", certificate-authority-data: ${data}}`),
    { ca: { kind: 'pem', pem } },
  ],
  [
    'a CA file is relative to the kubeconfig',
    one('{server: "https://k", certificate-authority: ca.crt}'),
    { ca: { kind: 'file', path: '/home/.kube/ca.crt' } },
  ],
  [
    'CA data wins over the file',
    one(`{server: "https://k", certificate-authority: ca.crt, certificate-authority-data: ${data}}`),
    { ca: { kind: 'pem', pem } },
  ],
  [
    'verification can be turned off',
    one('{server: "https://k", insecure-skip-tls-verify: true}'),
    { isInsecure: true },
  ],
  [
    'the name in the certificate can be another',
    one('{server: "https://1.2.3.4", tls-server-name: kubernetes}'),
    { serverName: 'kubernetes' },
  ],
  ['a token is a secret', one(https, '{token: abc}'), { auth: { kind: 'token', token: '[secret]' } }],
  [
    'a token file is relative to the kubeconfig',
    one(https, '{tokenFile: t}'),
    { auth: { kind: 'token-file', path: '/home/.kube/t', fallback: null } },
  ],
  [
    'a token is what a token file falls back to',
    one(https, '{token: abc, tokenFile: /t}'),
    { auth: { kind: 'token-file', path: '/t', fallback: '[secret]' } },
  ],
  [
    'certificate and key inline',
    one(https, `{client-certificate-data: ${data}, client-key-data: ${keyData}}`),
    { clientCertificate: { kind: 'pem', certificate: pem, key: '[secret]' } },
  ],
  [
    'certificate and key as files',
    one(https, '{client-certificate: c.pem, client-key: ../k.pem}'),
    { clientCertificate: { kind: 'file', certificatePath: '/home/.kube/c.pem', keyPath: '/home/k.pem' } },
  ],
  [
    'impersonation',
    one(https, '{as: a, as-uid: "7", as-groups: [g, h], as-user-extra: {reason: [x]}}'),
    { impersonate: { user: 'a', uid: '7', groups: ['g', 'h'], extra: { reason: ['x'] } } },
  ],
  [
    'an exec plugin by name',
    one(
      https,
      '{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token], env: [{name: A, value: b}], interactiveMode: Never}}',
    ),
    {
      auth: {
        kind: 'exec',
        plugin: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: 'aws',
          args: ['eks', 'get-token'],
          env: [['A', 'b']],
          installHint: null,
          provideClusterInfo: false,
          interactiveMode: 'Never',
          clusterConfig: null,
        },
      },
    },
  ],
  [
    'an exec plugin by path is relative to the kubeconfig, v1beta1 may leave interactiveMode out',
    one(
      '{server: "https://k", extensions: [{name: client.authentication.k8s.io/exec, extension: {aud: x}}]}',
      '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./p, args: null, env: null, installHint: get it, provideClusterInfo: true}}',
    ),
    {
      auth: {
        kind: 'exec',
        plugin: {
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          command: '/home/.kube/p',
          args: [],
          env: [],
          installHint: 'get it',
          provideClusterInfo: true,
          interactiveMode: 'IfAvailable',
          clusterConfig: { aud: 'x' },
        },
      },
    },
  ],
  [
    'a token wins over a plugin',
    one(
      https,
      '{token: abc, exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}}',
    ),
    { auth: { kind: 'token', token: '[secret]' } },
  ],
  [
    'a file in JSON',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      clusters: [{ name: 'k', cluster: { server: 'https://k' } }],
      contexts: [{ name: 'c', context: { cluster: 'k' } }],
    }),
    { server: 'https://k', auth: { kind: 'none' }, origin: 'context "c" of /home/.kube/config' },
  ],
]

for (const [rule, text, want] of forms) {
  test(`kubeconfig: ${rule}`, async () => {
    const got = await load(text)
    for (const [name, value] of Object.entries(want)) assert.deepEqual(got[name as keyof KubeConfig], value, name)
  })
}

const refusals: readonly (readonly [rule: string, text: string, want: RegExp])[] = [
  [
    'basic auth is refused with a way out',
    one(https, '{username: a, password: b}'),
    /^user "u" in \/home\/\.kube\/config: username and password are not supported .* use a token/,
  ],
  [
    'an auth provider is refused by name',
    one(https, '{auth-provider: {name: gcp}}'),
    /user "u" .*auth-provider "gcp" is not supported; use an exec plugin/,
  ],
  [
    'a proxy is refused',
    one('{server: "https://k", proxy-url: "socks5://p"}'),
    /cluster "k" .*proxy-url is not supported/,
  ],
  [
    'insecure and a CA exclude each other',
    one(`{server: "https://k", insecure-skip-tls-verify: true, certificate-authority-data: ${data}}`),
    /insecure-skip-tls-verify and a certificate authority exclude each other/,
  ],
  [
    'CA data must be base64 of PEM',
    one('{server: "https://k", certificate-authority-data: "%%%"}'),
    /cluster "k" .*certificate-authority-data must be a PEM text in base64/,
  ],
  [
    'a key must go with a certificate',
    one(https, `{client-certificate-data: ${data}}`),
    /user "u" .*client-key-data or client-key must go with the certificate/,
  ],
  [
    'half data, half files',
    one(https, `{client-certificate-data: ${data}, client-key: k}`),
    /both as data or both as files/,
  ],
  ['a number is no token', one(https, '{token: 123}'), /user "u" .*token must be a string \(put it in quotes\)/],
  [
    'exec v1alpha1 is gone',
    one(https, '{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}'),
    /exec: apiVersion is "client\.authentication\.k8s\.io\/v1alpha1"; use/,
  ],
  [
    'exec v1 needs interactiveMode',
    one(https, '{exec: {apiVersion: client.authentication.k8s.io/v1, command: x}}'),
    /exec: interactiveMode must be Never, IfAvailable or Always/,
  ],
  [
    'exec needs a command',
    one(https, '{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}}'),
    /exec: command is not set/,
  ],
  ['groups without a user', one(https, '{as-groups: [g]}'), /user "u" .*as must be set/],
  ['a server that is no address', one('{server: "ftp://k"}'), /server "ftp:\/\/k" is no http or https address/],
  ['a server that is missing', one('{}'), /cluster "k" in \/home\/\.kube\/config: server is not set/],
  [
    'a context that is not there',
    one(https).replace('current-context: c', 'current-context: d'),
    /there is no context "d" \(there are: c\)/,
  ],
  [
    'a user that is not there',
    one(https).replace('{name: u,', '{name: v,'),
    /context "c" .*: user "u" is not defined in/,
  ],
  [
    'a cluster that is not there',
    one(https).replace('{name: k,', '{name: v,'),
    /context "c" .*: cluster "k" is not defined in/,
  ],
  [
    'no current context',
    one(https).replace('current-context: c,', ''),
    /current-context is not set; run "kubectl config use-context NAME"/,
  ],
  ['not YAML', '{', /kubeconfig \/home\/\.kube\/config is not YAML or JSON/],
  ['not a mapping', '[]', /kubeconfig \/home\/\.kube\/config must be a mapping/],
  ['another kind', '{apiVersion: v1, kind: Pod}', /kind is "Pod"; a kubeconfig says Config/],
  ['clusters that are no list', '{clusters: {}}', /clusters must be a list/],
  ['an entry that is a text', '{clusters: [x]}', /clusters\[0\] must be a mapping/],
]

for (const [rule, text, want] of refusals) {
  test(`kubeconfig refuses: ${rule}`, async () => {
    await using home = await folder({ '.kube/config': text })
    await assert.rejects(loadKubeConfig({ env: { HOME: home.path } }), (error: Error) => {
      assert.match(error.message.replaceAll(home.path, '/home'), want)
      assert.equal(error.name, 'KubeConfigError')
      return true
    })
  })
}

const named = (name: string, server: string, current = ''): string =>
  `{${current ? `current-context: ${current}, ` : ''}clusters: [{name: ${name}, cluster: {server: "${server}"}}],
  contexts: [{name: ${name}, context: {cluster: ${name}}}]}`

test('KUBECONFIG merges files: the first that has a name gives it, the first current-context counts', async () => {
  await using dir = await folder({
    a: named('x', 'https://a'),
    b: named('x', 'https://b', 'y'),
    c: named('y', 'https://c', 'x'),
  })
  const at = (...names: string[]): string => names.map(name => join(dir.path, name)).join(delimiter)
  const env = { KUBECONFIG: `${at('a', 'missing', 'b')}${delimiter}${delimiter}${at('c', 'a')}` }
  assert.equal((await loadKubeConfig({ env })).server, 'https://c')
  assert.equal((await loadKubeConfig({ env, context: 'x' })).server, 'https://a')
  assert.deepEqual(await contextNames({ env }), ['x', 'y'])
})

test('a context may take its cluster from another file of KUBECONFIG', async () => {
  await using dir = await folder({
    a: '{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}]}',
    'sub/b':
      '{clusters: [{name: k, cluster: {server: "https://k", certificate-authority: ca}}], users: [{name: u, user: {tokenFile: t}}]}',
  })
  const config = await loadKubeConfig({
    env: { KUBECONFIG: [join(dir.path, 'a'), join(dir.path, 'sub/b')].join(delimiter) },
  })
  assert.deepEqual(config.ca, { kind: 'file', path: join(dir.path, 'sub/ca') })
  assert.equal(config.auth.kind === 'token-file' && config.auth.path, join(dir.path, 'sub/t'))
})

test('a path that is given must be there and is the only one read', async () => {
  await using dir = await folder({ a: named('x', 'https://a', 'x'), '.kube/config': named('y', 'https://y', 'y') })
  const env = { HOME: dir.path, KUBECONFIG: join(dir.path, '.kube/config') }
  assert.equal((await loadKubeConfig({ env, path: join(dir.path, 'a') })).server, 'https://a')
  await assert.rejects(loadKubeConfig({ env, path: join(dir.path, 'none') }), /cannot read kubeconfig .*none: ENOENT/)
})

test('nothing at all says where it looked', async () => {
  await using dir = await folder({})
  await assert.rejects(
    loadKubeConfig({ env: { HOME: dir.path } }),
    /no kubeconfig: there is no .*\.kube\/config; name a file in KUBECONFIG/,
  )
  await assert.rejects(loadKubeConfig({ env: {} }), /neither KUBECONFIG nor HOME is set/)
})
