import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing } from '../../tools/tier.ts'
import { ApiError } from './api.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'
import { holdInProcess } from './held.ts'
import { leftovers, untilNothingLeft } from './leftovers.ts'

const skip = missing('go')
let cluster: ControlPlane

type Review = { status: { authenticated?: boolean; error?: string; user?: { username: string; extra?: object } } }

const review = (token: string, audiences: string[]): Promise<Review> =>
  cluster.call<Review>('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token, audiences } })

before(async () => {
  if (!skip) cluster = await startControlPlane()
})
after(async () => {
  await cluster?.[Symbol.asyncDispose]()
})

test('a requested token is reviewed as its service account, for its audience only', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  await cluster.newServiceAccount(namespace, 'app')
  const token = await cluster.requestToken({ namespace, serviceAccount: 'app', audiences: ['vault'] })
  const { status } = await review(token, ['vault'])
  assert.equal(status.authenticated, true)
  assert.equal(status.user?.username, `system:serviceaccount:${namespace}:app`)
  const elsewhere = await review(token, ['other'])
  assert.notEqual(elsewhere.status.authenticated, true)
  assert.match(elsewhere.status.error ?? '', /is invalid for the target audiences \["other"\]/)
})

test('a token signed here is the cluster’s own: valid, expired, or bound to a pending pod', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  const uid = await cluster.newServiceAccount(namespace, 'app')
  const claims = { namespace, serviceAccount: 'app', uid, audiences: ['vault'] }
  assert.equal(
    (await review(cluster.signToken({ ...claims, lifetimeSeconds: 30 }), ['vault'])).status.authenticated,
    true,
  )
  const expired = await review(cluster.signToken({ ...claims, lifetimeSeconds: -300 }), ['vault'])
  assert.match(expired.status.error ?? '', /expired/)

  const pods = `/api/v1/namespaces/${namespace}/pods`
  const pod = await cluster.call<{ metadata: { uid: string } }>('POST', pods, {
    metadata: { name: 'p' },
    spec: { serviceAccountName: 'app', containers: [{ name: 'c', image: 'none' }] },
  })
  const bound = await cluster.requestToken({
    namespace,
    serviceAccount: 'app',
    audiences: ['vault'],
    pod: { name: 'p', uid: pod.metadata.uid },
  })
  const { extra } = (await review(bound, ['vault'])).status.user ?? {}
  assert.deepEqual((extra as Record<string, string[]>)['authentication.kubernetes.io/pod-uid'], [pod.metadata.uid])
})

test('controllers work: a deleted namespace goes, with what is in it', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  await cluster.kubectl(['create', 'configmap', 'c', '--from-literal=a=1'], { namespace })
  await cluster.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await cluster.untilGone(`/api/v1/namespaces/${namespace}`)
  await assert.rejects(
    cluster.call('GET', `/api/v1/namespaces/${namespace}`),
    error => error instanceof ApiError && error.status === 404,
  )
})

test('kubectl: output, input, and its complaint as an error', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: '1' } }
  await cluster.kubectl(['apply', '-f', '-'], { namespace, input: JSON.stringify(object) })
  const { stdout } = await cluster.kubectl(['get', 'configmap', 'c', '-o', 'jsonpath={.data.a}'], { namespace })
  assert.equal(stdout, '1')
  await assert.rejects(cluster.kubectl(['get', 'configmap', 'none'], { namespace }), /"none" not found/)
  assert.notEqual((await cluster.kubectl(['get', 'configmap', 'none'], { namespace, mayFail: true })).code, 0)
})

test('a bearer token is sent instead of the administrator’s certificate', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  await cluster.newServiceAccount(namespace, 'app')
  const token = await cluster.requestToken({ namespace, serviceAccount: 'app' })
  const answer = await cluster.request('GET', '/api/v1/secrets', { token })
  assert.equal(answer.status, 403)
})

test('the API server can be killed and started again with its state', { skip }, async () => {
  const namespace = await cluster.newNamespace()
  await cluster.stopApiServer()
  await assert.rejects(cluster.request('GET', '/readyz'), /ECONNREFUSED|ECONNRESET/)
  await cluster.startApiServer()
  await cluster.call('GET', `/api/v1/namespaces/${namespace}`)
})

test('two at once don’t meet, and an ended one leaves nothing', { skip, timeout: 120_000 }, async () => {
  let folder: string
  {
    await using second = await startControlPlane()
    folder = second.folder
    assert.notEqual(second.url, cluster.url)
    const namespace = await second.newNamespace()
    await assert.rejects(cluster.call('GET', `/api/v1/namespaces/${namespace}`), /not found/)
    assert(leftovers({ folder }).length > 3)
  }
  assert.deepEqual(leftovers({ folder }), [])
})

test('a killed harness leaves nothing', { skip, timeout: 120_000 }, async () => {
  using held = await holdInProcess('api')
  const { folder } = held
  assert(leftovers({ folder }).some(line => line.includes('kube-apiserver')))
  await held.kill()
  assert.deepEqual(await untilNothingLeft({ folder }), [])
})
