import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject, NetworkPolicy, Role } from '#kube/objects.ts'
import type { Deployment, PodSpec, StatefulSet } from '#kube/pod.ts'
import { injectorManifests, webhookManifest } from './injector-manifests.ts'
import { placeholderMaterial } from './material.ts'
import type { SetupPlan } from './plan.ts'
import { adminRole, serverManifests } from './server-manifests.ts'

const plan: SetupPlan = {
  namespace: 'coffer',
  image: 'localhost/coffer:1',
  external: null,
  seal: 'static',
  storageClass: null,
  storageSize: null,
  auditSize: null,
  failurePolicy: null,
  matchesByAnnotation: true,
  authPath: 'auth/kubernetes',
}
const all = (of: SetupPlan): readonly KubeObject[] => [...serverManifests(of), ...injectorManifests(of, 'PEM')]
const kind = <T extends KubeObject>(name: string, of = plan): T[] =>
  all(of).filter(object => object.kind === name) as T[]
const podSpecs = (of = plan): PodSpec[] => [
  ...kind<StatefulSet>('StatefulSet', of).map(one => one.spec.template.spec),
  ...kind<Deployment>('Deployment', of).map(one => one.spec.template.spec),
]

test('network policies let in one port each, and to the server only what runs in the cluster', () => {
  const policies = kind<NetworkPolicy>('NetworkPolicy').map(({ metadata, spec }) => [metadata?.name, spec])
  assert.deepEqual(Object.fromEntries(policies), {
    coffer: {
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'coffer' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ protocol: 'TCP', port: 8200 }] }],
    },
    // The API server has no label, and mostly no address in the pod network.
    'coffer-injector': {
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'coffer-injector' } },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
    },
  })
})

test('the injector may write its own Secret and its own webhook, and nothing may read Secrets at large', () => {
  const rules = [...kind<Role>('Role'), ...kind<Role>('ClusterRole')].flatMap(role => role.rules ?? [])
  assert.deepEqual(rules, [
    { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['coffer-injector-certs'], verbs: ['get', 'update'] },
    {
      apiGroups: ['admissionregistration.k8s.io'],
      resources: ['mutatingwebhookconfigurations'],
      resourceNames: ['coffer-injector'],
      verbs: ['get', 'list', 'watch', 'patch'],
    },
  ])
})

test('every pod runs as nobody, on a read-only root, from the image as given', () => {
  for (const spec of podSpecs()) {
    assert.deepEqual(
      [spec.securityContext?.runAsNonRoot, spec.securityContext?.seccompProfile?.type],
      [true, 'RuntimeDefault'],
    )
    for (const container of spec.containers) {
      assert.equal(container.image, plan.image)
      assert.equal(container.imagePullPolicy, 'IfNotPresent')
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  }
})

test('one of the injectors is always up, and leaves when nobody asks it any more', () => {
  const [{ spec }] = kind<Deployment>('Deployment') as [Deployment]
  assert.deepEqual([spec.replicas, spec.strategy?.rollingUpdate?.maxUnavailable], [2, 0])
  assert.deepEqual(spec.template.spec.containers[0]?.lifecycle, {
    preStop: { exec: { command: ['/bin/sleep', '3'] } },
  })
})

test('seal key: mounted with -seal=static, nowhere with -seal=shamir, whose server is not restarted by itself', () => {
  const shamir = { ...plan, seal: 'shamir' } as const
  const text = (of: SetupPlan): string => JSON.stringify([...placeholderMaterial(of), ...all(of)])
  assert.match(text(plan), /"secretName":"coffer-seal"/)
  assert.doesNotMatch(text(shamir), /coffer-seal/)
  const update = (of: SetupPlan) => kind<StatefulSet>('StatefulSet', of)[0]?.spec.updateStrategy?.type
  assert.deepEqual([update(plan), update(shamir)], ['RollingUpdate', 'OnDelete'])
})

test('a changed configuration is another pod', () => {
  const sum = (of: SetupPlan) =>
    kind<StatefulSet>('StatefulSet', of)[0]?.spec.template.metadata?.annotations?.['checksum/config']
  assert.notEqual(sum(plan), sum({ ...plan, seal: 'shamir' }))
  assert.equal(sum(plan), sum({ ...plan, image: 'localhost/coffer:2' }))
})

type Webhook = { failurePolicy: string; matchConditions?: unknown[]; rules: { operations: string[] }[] }
for (const [rule, change, policy, conditions] of [
  ['refuses pods that ask, where others never meet it', {}, 'Fail', 1],
  ['lets pods in where it meets all of them', { matchesByAnnotation: false }, 'Ignore', 0],
  ['does what is said', { matchesByAnnotation: false, failurePolicy: 'Fail' }, 'Fail', 0],
  ['does what is said, on a newer cluster too', { failurePolicy: 'Ignore' }, 'Ignore', 1],
] as const) {
  test(`a webhook that nobody answers for ${rule}`, () => {
    const { webhooks } = webhookManifest({ ...plan, ...change }) as KubeObject & { webhooks: [Webhook] }
    assert.equal(webhooks[0].failurePolicy, policy)
    assert.equal(webhooks[0].matchConditions?.length ?? 0, conditions)
    assert.deepEqual(webhooks[0].rules[0]?.operations, ['CREATE'])
  })
}

test('the administrator is one account of one namespace, for one audience and half an hour', () => {
  const role = adminRole('here')
  assert.deepEqual(
    [role.bound_service_account_names, role.bound_service_account_namespaces, role.audience, role.token_max_ttl],
    [['coffer-admin'], ['here'], 'coffer', 1_800],
  )
})
