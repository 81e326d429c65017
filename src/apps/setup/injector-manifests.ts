import type { KubeObject } from '#kube/objects.ts'
import { containerSecurity, labels, meta, podSecurity } from './common.ts'
import { injectorPort, names, serverAddress, type SetupPlan } from './plan.ts'

const { injector } = names

const asks = {
  name: 'asks-for-injection',
  expression: "has(object.metadata.annotations) && 'vault.hashicorp.com/agent-inject' in object.metadata.annotations",
}

function deployment(plan: SetupPlan, caPem: string): KubeObject {
  const { namespace } = plan
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(injector, namespace),
    spec: {
      // Two, one of them always up: while none is, pods go without secrets or are refused.
      replicas: 2,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: { 'app.kubernetes.io/name': injector } },
      template: {
        metadata: { labels: labels(injector) },
        spec: {
          serviceAccountName: injector,
          securityContext: podSecurity,
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: { 'app.kubernetes.io/name': injector } },
            },
          ],
          containers: [
            {
              name: injector,
              image: plan.image,
              imagePullPolicy: 'IfNotPresent',
              args: [
                'injector',
                `-listen=:${injectorPort}`,
                `-vault-address=${serverAddress(plan)}`,
                `-vault-image=${plan.image}`,
                `-vault-auth-path=${plan.authPath}`,
                `-vault-cacert-bytes=${Buffer.from(caPem).toString('base64')}`,
                `-tls-auto=${injector}`,
                `-tls-auto-hosts=${injector},${injector}.${namespace},${injector}.${namespace}.svc`,
              ],
              env: [{ name: 'NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } }],
              ports: [{ name: 'https', containerPort: injectorPort }],
              securityContext: containerSecurity,
              resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
              readinessProbe: {
                httpGet: { path: '/health/ready', port: 'https', scheme: 'HTTPS' },
                periodSeconds: 2,
                timeoutSeconds: 3,
              },
              // The handler `sleep` is younger (1.30) than clusters that this is for.
              lifecycle: { preStop: { exec: { command: ['/bin/sleep', '3'] } } },
              terminationMessagePolicy: 'FallbackToLogsOnError',
              volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'tmp', emptyDir: {} }],
        },
      },
    },
  } as KubeObject
}

/**
 * Applied last and removed first: while it is there and nobody answers, pods that ask are refused.
 * @source vault-helm templates/injector-mutating-webhook.yaml; matchConditions and Fail are ours
 */
export function webhookManifest(plan: SetupPlan): KubeObject {
  const { namespace } = plan
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: meta(injector, null),
    webhooks: [
      {
        name: 'vault.hashicorp.com',
        admissionReviewVersions: ['v1', 'v1beta1'],
        sideEffects: 'None',
        matchPolicy: 'Exact',
        // A pod that asks and goes without is worse than one that its Deployment tries again; others must never wait.
        failurePolicy: plan.failurePolicy ?? (plan.matchesByAnnotation ? 'Fail' : 'Ignore'),
        ...(plan.matchesByAnnotation && { matchConditions: [asks] }),
        timeoutSeconds: 10,
        clientConfig: { service: { name: injector, namespace, path: '/mutate', port: 443 } },
        rules: [
          { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: 'Namespaced' },
        ],
        // The webhook must not stand in the way of its own pods, nor of the cluster's.
        namespaceSelector: {
          matchExpressions: [
            {
              key: 'kubernetes.io/metadata.name',
              operator: 'NotIn',
              values: ['kube-system', 'kube-public', namespace],
            },
          ],
        },
      },
    ],
  } as KubeObject
}

/** What the injector may: its own certificates, and the one bundle that the API server trusts it by. */
function access(namespace: string): readonly KubeObject[] {
  const rbac = 'rbac.authorization.k8s.io'
  const subjects = [{ kind: 'ServiceAccount', name: injector, namespace }]
  const clusterName = `${injector}-${namespace}`
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(injector, namespace) },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: meta(injector, namespace),
      rules: [
        { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
        { apiGroups: [''], resources: ['secrets'], resourceNames: [names.injectorSecret], verbs: ['get', 'update'] },
      ],
    } as KubeObject,
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: meta(injector, namespace),
      roleRef: { apiGroup: rbac, kind: 'Role', name: injector },
      subjects,
    } as KubeObject,
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: meta(clusterName, null),
      rules: [
        {
          apiGroups: ['admissionregistration.k8s.io'],
          resources: ['mutatingwebhookconfigurations'],
          resourceNames: [injector],
          verbs: ['get', 'list', 'watch', 'patch'],
        },
      ],
    } as KubeObject,
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: meta(clusterName, null),
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: clusterName },
      subjects,
    } as KubeObject,
  ]
}

/** Everything of the injector but the webhook. @param caPem CA of the server, which agents are to trust. */
export function injectorManifests(plan: SetupPlan, caPem: string): readonly KubeObject[] {
  const { namespace } = plan
  return [
    ...access(namespace),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta(injector, namespace),
      spec: {
        selector: { 'app.kubernetes.io/name': injector },
        ports: [{ name: 'https', port: 443, targetPort: 'https' }],
      },
    } as KubeObject,
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: meta(injector, namespace),
      spec: { minAvailable: 1, selector: { matchLabels: { 'app.kubernetes.io/name': injector } } },
    } as KubeObject,
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: meta(injector, namespace),
      spec: {
        podSelector: { matchLabels: { 'app.kubernetes.io/name': injector } },
        policyTypes: ['Ingress'],
        ingress: [{ ports: [{ protocol: 'TCP', port: injectorPort }] }],
      },
    } as KubeObject,
    deployment(plan, caPem),
  ]
}
