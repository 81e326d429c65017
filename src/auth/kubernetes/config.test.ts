import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kubernetesAuth } from './engine.ts'
import { testCa } from './scripted-api-server.ts'

const open = (): Promise<TestServer> => openTestMount(kubernetesAuth)
const write = (server: TestServer, body: Json): Promise<TestAnswer> =>
  server.ask('POST', 'auth/kubernetes/config', { body })
const read = (server: TestServer): Promise<TestAnswer> => server.ask('GET', 'auth/kubernetes/config')

const defaults = {
  kubernetes_host: 'https://10.96.0.1:443',
  kubernetes_ca_cert: '',
  pem_keys: [],
  issuer: '',
  disable_iss_validation: true,
  disable_local_ca_jwt: false,
  token_reviewer_jwt_set: false,
  use_annotations_as_alias_metadata: false,
}
const host = { kubernetes_host: defaults.kubernetes_host }

test('kubernetes config: 404 before it is written, 405 for a delete', async () => {
  await using server = await open()
  const none = await read(server)
  assert.deepEqual([none.status, none.body], [404, { errors: [] }])
  assert.equal((await server.ask('DELETE', 'auth/kubernetes/config')).status, 405)
})

test('kubernetes config: a write replaces all, and is there after a restart', async () => {
  await using server = await open()
  for (const [sent, want] of [
    [host, {}],
    [
      { ...host, kubernetes_ca_cert: testCa, issuer: 'i', disable_iss_validation: false, token_reviewer_jwt: 'x' },
      { kubernetes_ca_cert: testCa, issuer: 'i', disable_iss_validation: false, token_reviewer_jwt_set: true },
    ],
    [
      { ...host, pem_keys: testCa, use_annotations_as_alias_metadata: true },
      { pem_keys: [testCa.trim()], use_annotations_as_alias_metadata: true },
    ],
    [{ ...host, pem_keys: [testCa, testCa] }, { pem_keys: [testCa.trim(), testCa.trim()] }],
    [
      { ...host, kubernetes_ca_cert: testCa, disable_local_ca_jwt: 'true' },
      { kubernetes_ca_cert: testCa, disable_local_ca_jwt: true },
    ],
    [{ kubernetes_host: 'https://api.example/' }, { kubernetes_host: 'https://api.example/' }],
    [host, {}],
  ] as const) {
    assert.equal((await write(server, sent as Json)).status, 204)
    assert.deepEqual((await read(server)).data, { ...defaults, ...want })
  }
  await server.restart()
  assert.deepEqual((await read(server)).data, defaults)
})

for (const [rule, body, text] of [
  ['no host', {}, 'no host provided'],
  ['an empty host', { kubernetes_host: '' }, 'no host provided'],
  [
    'a host without scheme',
    { kubernetes_host: '10.96.0.1:443' },
    'kubernetes_host must be a URL with its scheme, like https://10.96.0.1:443',
  ],
  [
    'a path of a file',
    { kubernetes_host: 'file:///etc/passwd' },
    'kubernetes_host must be a URL with its scheme, like https://10.96.0.1:443',
  ],
  [
    'no CA where the pod’s must not be read',
    { ...host, disable_local_ca_jwt: true },
    'kubernetes_ca_cert must be given when disable_local_ca_jwt is true',
  ],
  [
    'a CA that is none',
    { ...host, kubernetes_ca_cert: 'nonsense' },
    'The provided CA PEM data contains no valid certificates',
  ],
  [
    'a key that is none',
    { ...host, pem_keys: 'nonsense' },
    'pem_keys: a block is neither a public key nor a certificate in PEM',
  ],
  [
    'a private key’s name around nothing',
    { ...host, pem_keys: '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----' },
    'pem_keys: a block is neither a public key nor a certificate in PEM',
  ],
] as const) {
  test(`kubernetes config: refused is ${rule}`, async () => {
    await using server = await open()
    await write(server, host)
    const answer = await write(server, body as Json)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
    assert.deepEqual((await read(server)).data, defaults, 'what was there stays')
  })
}

test('kubernetes config: the reviewer token is in no answer', async () => {
  await using server = await open()
  const answers = [await write(server, { ...host, token_reviewer_jwt: 'canary-jwt' }), await read(server)]
  answers.push(await write(server, { token_reviewer_jwt: 'canary-jwt' }))
  for (const { text } of answers) assert.ok(!text.includes('canary'))
})
