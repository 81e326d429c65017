import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { bound, generated, leaseOf, open, revoke, wrapped, signal } from './house.lab.ts'

const named = { ...generated, name_template: 'fixed' }

const forbidden = (what: string) =>
  ({ status: 403, body: { kind: 'Status', reason: 'Forbidden', message: `${what} is forbidden`, code: 403 } }) as const

for (const [rule, role, step, error] of [
  ['the role', named, 'POST roles', "failed to create Role/ClusterRole 'shop/fixed: x is forbidden"],
  [
    'the binding',
    named,
    'POST rolebindings',
    "failed to create RoleBinding/ClusterRoleBinding 'fixed' for fixed: x is forbidden",
  ],
  ['the account', named, 'POST serviceaccounts', "failed to create service account 'shop/fixed': x is forbidden"],
  ['the token', named, 'POST token', 'failed to create a service account token for shop/fixed: x is forbidden'],
  [
    'the binding of a role that is there',
    { ...bound, name_template: 'fixed' },
    'POST rolebindings',
    "failed to create RoleBinding/ClusterRoleBinding 'fixed' for viewer: x is forbidden",
  ],
] as const) {
  test(`kubernetes creds: ${rule} is refused: the answer says so, and what was made is gone`, async () => {
    await using house = await open(role)
    house.cluster.failures.set(step, forbidden('x'))
    const answer = await house.creds()
    assert.deepEqual([answer.status, answer.errors], [500, [wrapped(error)]])
    assert.deepEqual(house.cluster.names, [])
    // Nothing is left to be undone.
    house.cluster.asked.length = 0
    await house.server.world.clock.advance(400_000)
    assert.deepEqual(house.cluster.steps, [])
  })
}

test('kubernetes creds: a token that tells no times is refused, and what was made is gone', async () => {
  await using house = await open(named)
  house.cluster.token = 'opaque'
  const answer = await house.creds()
  const text = 'failed to read TTL of created Kubernetes token for shop/fixed: it has no exp and iat'
  assert.deepEqual([answer.status, answer.errors], [500, [wrapped(text)]])
  assert.deepEqual(house.cluster.names, [])
})

for (const [rule, role] of [
  ['a name with chance in it', generated],
  ['a name that could be another’s', named],
] as const) {
  test(`kubernetes creds: an answer that never came: what was made unseen is undone: ${rule}`, async () => {
    await using house = await open(role)
    const { cluster, server } = house
    cluster.failures.set('POST rolebindings', 'lost')
    assert.equal((await house.creds()).status, 500)
    assert.equal(cluster.names.length, 1, 'the binding, of which nobody knows')
    assert.match(cluster.names.join(), /^RoleBinding/)
    await server.world.clock.advance(200_000)
    assert.deepEqual(cluster.names, [])
  })

  test(`kubernetes creds: the server ended half way: a restart undoes it: ${rule}`, async () => {
    await using house = await open(role)
    const { cluster, server } = house
    cluster.before.set('POST serviceaccounts', () => {
      cluster.failures.set('DELETE roles', { status: 500, body: {} })
      cluster.failures.set('DELETE rolebindings', { status: 500, body: {} })
    })
    cluster.failures.set('POST serviceaccounts', forbidden('x'))
    assert.equal((await house.creds()).status, 500)
    assert.equal(cluster.names.length, 2)
    cluster.failures.clear()
    await server.restart()
    await server.world.clock.advance(1_000)
    assert.deepEqual(cluster.names, [])
  })
}

test('kubernetes creds: a name that is taken: the answer says so, and nothing of the other is touched', async () => {
  await using house = await open(named)
  const { cluster, server } = house
  leaseOf(await house.creds())
  const before = cluster.names
  const answer = await house.creds()
  assert.deepEqual(
    [answer.status, answer.errors],
    [500, [wrapped(`failed to create Role/ClusterRole 'shop/fixed: "fixed" already exists`)]],
  )
  await server.world.clock.advance(400_000)
  assert.deepEqual(cluster.names, before)
})

test('kubernetes creds: an intent of a name that is another’s by now touches nothing', async () => {
  await using house = await open(named)
  const { cluster, server } = house
  const { view } = server.house.mounts.at('kubernetes/')!
  const objects = [{ kind: 'ServiceAccount', namespace: 'shop', name: 'fixed' }]
  await view.intend('objects', { objects, mark: 'ours', isUnique: false })
  cluster.put('/api/v1/namespaces/shop/serviceaccounts/fixed', {
    kind: 'ServiceAccount',
    metadata: { namespace: 'shop', name: 'fixed', annotations: { 'coffer.dev/creation': 'theirs' } },
  })
  await server.restart()
  await server.world.clock.advance(1_000)
  assert.deepEqual([cluster.names, cluster.steps], [['ServiceAccount shop/fixed'], ['GET serviceaccounts']])
})

test('kubernetes creds: a revocation that fails in part deletes the rest, says what is left, and is tried again', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const lease = leaseOf(await house.creds())
  const name = lease.data.service_account_name
  cluster.failures.set('DELETE rolebindings', forbidden('x'))
  const result = await revoke(server, lease.lease_id)
  assert.equal(result.kind === 'failed' && result.error, `failed to delete RoleBinding 'shop/${name}': x is forbidden`)
  assert.deepEqual(cluster.names, [`RoleBinding shop/${name}`])
  cluster.failures.clear()
  await server.world.clock.advance(60_000)
  assert.deepEqual(cluster.names, [])
})

test('kubernetes creds: objects that somebody deleted, or made anew, hold up no revocation', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const lease = leaseOf(await house.creds())
  const [rolePath, bindingPath] = [...cluster.objects.keys()]
  cluster.objects.delete(bindingPath!)
  cluster.put(rolePath!, { kind: 'Role', metadata: { namespace: 'shop', name: 'anew' } })
  assert.equal((await revoke(server, lease.lease_id)).kind, 'revoked')
  assert.deepEqual(cluster.names, ['Role shop/anew'])
})

test('kubernetes creds: they end with the token that asked for them, and with the mount', async () => {
  await using house = await open(generated)
  const { cluster, server } = house
  const token = await server.tokenWith('path "kubernetes/creds/app" { capabilities = ["update"] }')
  leaseOf(await house.creds({}, token))
  await server.ask('POST', 'auth/token/revoke', { body: { token } })
  await server.world.clock.advance(1_000)
  assert.deepEqual(cluster.names, [])
  leaseOf(await house.creds())
  assert.equal((await server.ask('DELETE', 'sys/mounts/kubernetes')).status, 204)
  assert.deepEqual(cluster.names, [])
})

test('kubernetes creds: a lease can not be renewed', async () => {
  await using house = await open()
  const { lease_id } = leaseOf(await house.creds())
  const renewed = house.server.house.leases.renew(lease_id, seconds(60), signal)
  await assert.rejects(renewed, { code: 'request.invalid', message: 'lease is not renewable' })
})

test('kubernetes creds: an unreachable API server is told, and nothing else is', async () => {
  await using house = await open()
  house.cluster.failures.set('POST token', 'unreachable')
  const answer = await house.creds()
  assert.equal(answer.status, 500)
  assert.match(
    answer.errors[0]!,
    /service account token for shop\/web: cannot reach the Kubernetes API at https:\/\/api\.test:6443/,
  )
})
