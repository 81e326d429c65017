import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BoundedQueue } from '#ground/base/queue.ts'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { systemWorld } from '#ground/base/world.ts'
import { KubeCache } from '#kube/cache.ts'
import { createKubeClient, type KubeClient } from '#kube/client.ts'
import type { KubeConfig } from '#kube/config.ts'
import { minorOf, ResourceFinder, serverVersion } from '#kube/discovery.ts'
import { isKubeError } from '#kube/errors.ts'
import { loadKubeConfig } from '#kube/kubeconfig.ts'
import type { ConfigMap, KubeSecret } from '#kube/objects.ts'
import type { Pod } from '#kube/pod.ts'
import { configMaps, pods, secrets } from '#kube/resources.ts'
import { selfSubjectAccessReview, subjectAccessReview, tokenRequest, tokenReview } from '#kube/reviews.ts'
import { watch } from '#kube/watch.ts'
import { type ControlPlane, startControlPlane } from './controlplane.ts'

let cluster: ControlPlane
let admin: KubeClient
const ended = new AbortController()
const world = systemWorld(silentLog, ended.signal)

before(async () => {
  cluster = await startControlPlane()
  admin = createKubeClient({ config: await loadKubeConfig({ env: {}, path: cluster.kubeconfig }), world })
})

after(async () => {
  ended.abort()
  admin?.close()
  await cluster?.[Symbol.asyncDispose]()
})

const configWith = (more: Partial<KubeConfig>): KubeConfig => ({
  ...admin.config,
  clientCertificate: null,
  auth: { kind: 'none' },
  ...more,
})

test('the administrator’s kubeconfig works: client certificate, own CA, version, discovery', async () => {
  const version = await serverVersion(admin)
  assert.equal(minorOf(version), 34)
  const finder = new ResourceFinder(admin)
  assert.equal((await finder.find('apps/v1', 'Deployment'))?.resource, 'deployments')
  assert.equal((await finder.find('v1', 'Secret'))?.isNamespaced, true)
  assert.equal(await finder.find('no.such.io/v1', 'Thing'), null)
})

test('create, read, replace, patch and delete, with the errors that a stale or missing object gives', async () => {
  const namespace = await cluster.newNamespace()
  const target = { ...configMaps, namespace, name: 'one' }
  const made = await admin.create<ConfigMap>(
    { ...configMaps, namespace },
    { metadata: { name: 'one' }, data: { a: '1' } },
  )
  await assert.rejects(admin.create({ ...configMaps, namespace }, { metadata: { name: 'one' } }), {
    code: 409,
    reason: 'AlreadyExists',
  })
  const replaced = await admin.replace<ConfigMap>(target, { ...made, data: { a: '2' } })
  assert.equal(replaced.data?.['a'], '2')
  await assert.rejects(admin.replace<ConfigMap>(target, { ...made, data: { a: '3' } }), {
    code: 409,
    reason: 'Conflict',
  })
  const merged = await admin.patch<ConfigMap>(target, { type: 'merge', body: { data: { a: null, b: '1' } } })
  assert.deepEqual(merged.data, { b: '1' })
  const patched = await admin.patch<ConfigMap>(target, {
    type: 'json',
    body: [{ op: 'replace', path: '/data/b', value: '2' }],
  })
  assert.deepEqual(patched.data, { b: '2' })
  await assert.rejects(admin.patch(target, { type: 'json', body: [{ op: 'test', path: '/data/b', value: '9' }] }), {
    code: 422,
    reason: 'Invalid',
  })
  await assert.rejects(admin.delete(target, { preconditions: { uid: 'another' } }), { code: 409 })
  await admin.delete(target)
  assert.equal(await admin.find(target), null)
  await assert.rejects(admin.get(target), { code: 404, reason: 'NotFound', message: 'configmaps "one" not found' })
})

test('a dry run changes nothing, a strict one names the unknown field', async () => {
  const namespace = await cluster.newNamespace()
  const target = { ...configMaps, namespace }
  await admin.create(target, { metadata: { name: 'dry' } }, { isDryRun: true })
  assert.equal(await admin.find({ ...target, name: 'dry' }), null)
  const odd = { metadata: { name: 'odd' }, dta: {} }
  await assert.rejects(admin.create(target, odd, { fieldValidation: 'Strict' }), /unknown field "dta"/)
})

test('apply owns its fields, and takes those of another only by force', async () => {
  const namespace = await cluster.newNamespace()
  const target = { ...configMaps, namespace, name: 'applied' }
  const object = (value: string): ConfigMap => ({
    kind: 'ConfigMap',
    metadata: { name: 'applied' },
    data: { a: value },
  })
  await admin.apply(target, object('1'), { fieldManager: 'one' })
  await assert.rejects(admin.apply(target, object('2'), { fieldManager: 'two' }), (error: unknown) => {
    assert.ok(isKubeError(error, 'Conflict'))
    assert.match(error.status?.details?.causes?.[0]?.message ?? '', /conflict with "one"/)
    return true
  })
  const forced = await admin.apply(target, object('2'), { fieldManager: 'two', isForced: true })
  assert.equal(forced.data?.['a'], '2')
})

test('a token request gives a token that a review knows, for its audience only', async () => {
  const namespace = await cluster.newNamespace()
  const uid = await cluster.newServiceAccount(namespace, 'app')
  const { token, expiresAt } = await tokenRequest(admin, namespace, 'app', {
    audiences: ['vault'],
    expirationSeconds: 600,
  })
  assert.ok(expiresAt !== null && expiresAt > Date.now())
  const good = await tokenReview(admin, token, ['vault'])
  assert.equal(good.authenticated, true)
  assert.deepEqual(good.audiences, ['vault'])
  assert.equal(good.user?.username, `system:serviceaccount:${namespace}:app`)
  assert.equal(good.user?.uid, uid)
  const wrong = await tokenReview(admin, token, ['other'])
  assert.notEqual(wrong.authenticated, true)
  assert.match(wrong.error ?? '', /token audiences \["vault"\] is invalid for the target audiences \["other"\]/)
  await assert.rejects(tokenRequest(admin, namespace, 'app', { expirationSeconds: 60 }), {
    code: 422,
    reason: 'Invalid',
  })
})

test('a token bound to a pod carries the pod in its review', async () => {
  const namespace = await cluster.newNamespace()
  const pod = await admin.create<Pod>(
    { ...pods, namespace },
    {
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'none' }] },
    },
  )
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: pod.metadata?.uid ?? '' }
  const { token } = await tokenRequest(admin, namespace, 'default', { boundObjectRef })
  const review = await tokenReview(admin, token, [])
  assert.deepEqual(review.user?.extra?.['authentication.kubernetes.io/pod-name'], ['p'])
})

test('a review asked with the login’s own token needs a right that it lacks; with it, it is answered', async () => {
  const namespace = await cluster.newNamespace()
  await cluster.newServiceAccount(namespace, 'app')
  const jwt = new Secret(await cluster.requestToken({ namespace, serviceAccount: 'app' }))
  const nobody = createKubeClient({ config: configWith({}), world })
  await assert.rejects(tokenReview(nobody, jwt, [], { bearer: jwt }), { code: 403, reason: 'Forbidden' })
  await assert.rejects(tokenReview(nobody, jwt, [], { bearer: new Secret('bad') }), {
    code: 401,
    reason: 'Unauthorized',
  })
  const subject = { kind: 'ServiceAccount', name: 'app', namespace } as const
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' } as const
  const binding = { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterrolebindings' }
  await admin.create(binding, {
    kind: 'ClusterRoleBinding',
    metadata: { name: namespace },
    roleRef,
    subjects: [subject],
  })
  // The authorizer learns of the binding by a watch of its own.
  const user = { user: `system:serviceaccount:${namespace}:app` }
  const right = { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews' }
  for (let i = 0; i < 200 && !(await subjectAccessReview(admin, user, right)).isAllowed; i++);
  assert.equal((await tokenReview(nobody, jwt, [], { bearer: jwt })).authenticated, true)
  nobody.close()
})

test('an access review answers for ourselves', async () => {
  assert.equal((await selfSubjectAccessReview(admin, { verb: 'delete', resource: 'nodes' })).isAllowed, true)
  const namespace = await cluster.newNamespace()
  const token = new Secret(await cluster.requestToken({ namespace, serviceAccount: 'default' }))
  using account = createKubeClient({ config: configWith({ auth: { kind: 'token', token } }), world })
  assert.equal(
    (await selfSubjectAccessReview(account, { verb: 'get', resource: 'secrets', namespace })).isAllowed,
    false,
  )
})

test('a token file that was replaced is read again after the API server’s 401', async () => {
  const namespace = await cluster.newNamespace()
  const folder = await mkdtemp(join(tmpdir(), 'coffer-token-'))
  try {
    const path = join(folder, 'token')
    await writeFile(path, 'stale')
    using client = createKubeClient({
      config: configWith({ auth: { kind: 'token-file', path, fallback: null } }),
      world,
    })
    await assert.rejects(client.list({ ...pods, namespace }), { code: 401 })
    await writeFile(path, await cluster.requestToken({ namespace, serviceAccount: 'default' }))
    await assert.rejects(client.list({ ...pods, namespace }), { code: 403 })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a server of another authority is refused, unless told otherwise by name', async () => {
  using blind = createKubeClient({ config: configWith({ ca: { kind: 'system' } }), world })
  await assert.rejects(blind.read('/version'), {
    code: 0,
    reason: 'Unreachable',
    message: /cannot reach the Kubernetes API at https:.*(certificate|issuer)/,
  })
  using insecure = createKubeClient({ config: configWith({ ca: { kind: 'system' }, isInsecure: true }), world })
  assert.ok(await serverVersion(insecure))
  using named = createKubeClient({ config: configWith({ serverName: 'kubernetes.default.svc' }), world })
  assert.ok(await serverVersion(named))
  using misnamed = createKubeClient({ config: configWith({ serverName: 'other.example' }), world })
  await assert.rejects(misnamed.read('/version'), { reason: 'Unreachable' })
})

test('lists come in pages of one moment', async () => {
  const namespace = await cluster.newNamespace()
  const target = { ...secrets, namespace }
  for (let i = 0; i < 5; i++)
    await admin.create<KubeSecret>(target, { metadata: { name: `s${i}` }, stringData: { a: 'b' } })
  const sizes: number[] = []
  for await (const page of admin.pages<KubeSecret>(target, { limit: 2 })) sizes.push(page.length)
  assert.deepEqual(sizes, [2, 2, 1])
  const bare = await admin.list<KubeSecret>(target, { isMetadataOnly: true })
  assert.equal(bare.items?.[0]?.data, undefined)
  assert.equal(bare.items?.[0]?.metadata?.name, 's0')
})

test('a cache follows creation, change and deletion, and lives through the API server’s death', async () => {
  const namespace = await cluster.newNamespace()
  const target = { ...configMaps, namespace }
  const queue = new BoundedQueue<string>(1_000)
  await using cache = new KubeCache<ConfigMap>(admin, { target, labelSelector: 'app=a', limit: 1 })
  cache.onChange(key => void queue.push(key))
  const keys = queue.read()
  await cache.synced()
  const labels = { app: 'a' }
  const one = { ...target, name: 'one' }
  await admin.create<ConfigMap>(target, { metadata: { name: 'one', labels }, data: { a: '1' } })
  await admin.create<ConfigMap>(target, { metadata: { name: 'other' } })
  assert.equal((await keys.next()).value, `${namespace}/one`)
  assert.equal(cache.get(`${namespace}/one`)?.metadata?.managedFields, undefined)
  await admin.patch(one, { type: 'merge', body: { data: { a: '2' } } })
  await keys.next()
  assert.equal(cache.get(`${namespace}/one`)?.data?.['a'], '2')
  await cluster.stopApiServer()
  await cluster.startApiServer()
  await admin.patch(one, { type: 'merge', body: { data: { a: '3' } } })
  while (cache.get(`${namespace}/one`)?.data?.['a'] !== '3') await keys.next()
  await admin.delete(one)
  while (cache.size > 0) await keys.next()
  assert.equal(cache.failure, null)
})

test('a watch from before the API server’s memory is told so with 410', async () => {
  // Started again, it remembers nothing of what was before.
  await cluster.stopApiServer()
  await cluster.startApiServer()
  const events = watch(admin, configMaps, { resourceVersion: '1', signal: ended.signal })
  await assert.rejects(events.next(), { code: 410, reason: 'Expired', message: /too old resource version: 1/ })
})
