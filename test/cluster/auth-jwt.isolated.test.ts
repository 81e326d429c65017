import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/ground/base/clock.ts'
import { jwtAuth } from '../../src/auth/jwt/engine.ts'
import { openTestMount, type TestAnswer, type TestServer } from '../../src/core/testing/mount.ts'
import { missing } from '../../tools/tier.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

// The jwt method with the keys of a real cluster: its accounts' tokens, and nobody asks the API server.

const skip = missing('go')
let cluster: ControlPlane
let server: TestServer
let namespace = ''
let keys = ''
let issuer = ''

before(async () => {
  if (skip !== false) return
  cluster = await startControlPlane()
  namespace = await cluster.newNamespace('jwt')
  await cluster.newServiceAccount(namespace, 'app')
  await cluster.newServiceAccount(namespace, 'other')
  const raw = async (path: string): Promise<string> => (await cluster.kubectl(['get', '--raw', path])).stdout
  keys = await raw('/openid/v1/jwks')
  issuer = (JSON.parse(await raw('/.well-known/openid-configuration')) as { issuer: string }).issuer
  server = await openTestMount(jwtAuth, { start: systemClock.now() })
  const config = { jwt_validation_pubkeys: keys, bound_issuer: issuer }
  const written = await server.ask('POST', 'auth/jwt/config', { body: config })
  assert.deepEqual([written.status, written.errors], [204, []])
  const role = {
    role_type: 'jwt',
    bound_audiences: 'coffer',
    bound_subject: `system:serviceaccount:${namespace}:app`,
    user_claim: '/kubernetes.io/serviceaccount/uid',
    user_claim_json_pointer: true,
    claim_mappings: { '/kubernetes.io/namespace': 'namespace' },
  }
  assert.equal((await server.ask('POST', 'auth/jwt/role/app', { body: role })).status, 204)
})
after(async () => {
  await server?.[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

async function login(serviceAccount: string, audience: string): Promise<TestAnswer> {
  const jwt = await cluster.requestToken({ namespace, serviceAccount, audiences: [audience] })
  return server.ask('POST', 'auth/jwt/login', { token: null, body: { role: 'app', jwt } })
}

test("jwt with a real cluster: an account's token logs in by the pinned keys", { skip }, async () => {
  const answer = await login('app', 'coffer')
  assert.equal(answer.status, 200, answer.text)
  const { auth } = answer.body as { auth: { metadata: unknown } }
  assert.deepEqual(auth.metadata, { namespace, role: 'app' })
})

test('jwt with a real cluster: another account, and a token for somebody else, are refused', { skip }, async () => {
  for (const [account, audience, want] of [
    ['other', 'coffer', 'error validating token: invalid subject (sub) claim'],
    [
      'app',
      'vault',
      'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
    ],
  ] as const) {
    const answer = await login(account, audience)
    assert.deepEqual([answer.status, answer.errors], [400, [want]])
  }
})
