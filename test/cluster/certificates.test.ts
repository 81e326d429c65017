import assert from 'node:assert/strict'
import { createPrivateKey, verify, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createAuthority, newServiceAccountKey } from './certificates.ts'
import { kubeconfig } from './kubeconfig.ts'
import { signToken } from './token.ts'

test('a leaf is signed by its authority and holds names, user and group', async () => {
  const authority = await createAuthority()
  const server = await authority.issue({ commonName: 'kube-apiserver', names: ['10.96.0.1', 'kubernetes.default'] })
  const client = await authority.issue({ commonName: 'admin', organization: 'system:masters' })
  const [ca, serverCert, clientCert] = [authority.pem, server.cert, client.cert].map(pem => new X509Certificate(pem))
  assert(ca && serverCert && clientCert)
  assert(ca.ca && !serverCert.ca)
  assert(serverCert.checkIssued(ca) && serverCert.verify(ca.publicKey) && clientCert.verify(ca.publicKey))
  assert(serverCert.checkPrivateKey(createPrivateKey(server.key)))
  assert.equal(serverCert.checkIP('10.96.0.1'), '10.96.0.1')
  assert.equal(serverCert.checkHost('kubernetes.default'), 'kubernetes.default')
  assert.equal(clientCert.subject, 'O=system:masters\nCN=admin')
  assert.equal(clientCert.subjectAltName, undefined)
})

test('a token of our own making is an RS256 JWT with the claims of a cluster’s', async () => {
  const { privatePem, publicPem } = await newServiceAccountKey()
  const claims = { namespace: 'n', serviceAccount: 's', uid: 'u', lifetimeSeconds: -5, issuedAt: 1000 }
  const [header = '', payload = '', signature = ''] = signToken(privatePem, claims).split('.')
  assert(verify('sha256', Buffer.from(`${header}.${payload}`), publicPem, Buffer.from(signature, 'base64url')))
  const decoded = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  assert.deepEqual(
    { ...decoded, jti: '' },
    {
      aud: ['https://kubernetes.default.svc.cluster.local'],
      exp: 995,
      iat: 1000,
      iss: 'https://kubernetes.default.svc.cluster.local',
      jti: '',
      'kubernetes.io': { namespace: 'n', serviceaccount: { name: 's', uid: 'u' } },
      nbf: 1000,
      sub: 'system:serviceaccount:n:s',
    },
  )
})

test('a kubeconfig names no file, so that it works in every mount namespace', () => {
  const text = kubeconfig('https://127.0.0.1:1', 'CA', { token: 't' }, 'n')
  const config = JSON.parse(text) as { users: unknown; contexts: unknown; clusters: unknown }
  assert.deepEqual(config.users, [{ name: 'test', user: { token: 't' } }])
  assert.deepEqual(config.contexts, [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'n' } }])
  assert.deepEqual(config.clusters, [
    { name: 'test', cluster: { server: 'https://127.0.0.1:1', 'certificate-authority-data': 'Q0E=' } },
  ])
})
