import { createHash } from 'node:crypto'
import type { KubeObject } from '#kube/objects.ts'
import type { PersistentVolumeClaim, StatefulSet } from '#kube/pod.ts'
import { containerSecurity, labels, meta, podSecurity } from './common.ts'
import { adminAudience, names, serverAddress, serverPort, type SetupPlan } from './plan.ts'

const defaultSize = '1Gi'

/** Configuration of the server in the cluster, as the server reads it. */
export function serverConfig(plan: SetupPlan): string {
  return JSON.stringify(
    {
      listener: {
        tcp: { address: `0.0.0.0:${serverPort}`, tls_cert_file: '/tls/tls.crt', tls_key_file: '/tls/tls.key' },
      },
      storage: { sqlite: { path: '/data' } },
      ...(plan.seal === 'static' && {
        seal: { static: { current_key_id: 'coffer-seal', current_key: 'file:///seal/key' } },
      }),
      audit_directory: '/audit',
      api_addr: serverAddress(plan),
      ui: true,
    },
    null,
    2,
  )
}

const claim = (name: string, size: string, storageClass: string | null): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: size } },
    ...(storageClass !== null && { storageClassName: storageClass }),
  },
})

/** Root writes, the server's group reads; 0440. */
const secretMode = 0o440

function statefulSet(plan: SetupPlan): StatefulSet {
  const config = createHash('sha256').update(serverConfig(plan)).digest('hex')
  const health = '/v1/sys/health?standbyok=true'
  const probe = (path: string) => ({
    httpGet: { path, port: 'https', scheme: 'HTTPS' },
    periodSeconds: 5,
    timeoutSeconds: 3,
  })
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta(names.server, plan.namespace),
    spec: {
      replicas: 1,
      serviceName: names.server,
      selector: { matchLabels: { 'app.kubernetes.io/name': names.server } },
      // A server that persons unseal is restarted when they are there.
      updateStrategy: { type: plan.seal === 'static' ? 'RollingUpdate' : 'OnDelete' },
      template: {
        // A changed configuration is a changed pod.
        metadata: { labels: labels(names.server), annotations: { 'checksum/config': config } },
        spec: {
          serviceAccountName: names.server,
          securityContext: { ...podSecurity, fsGroupChangePolicy: 'OnRootMismatch' },
          terminationGracePeriodSeconds: 30,
          containers: [
            {
              name: names.server,
              image: plan.image,
              imagePullPolicy: 'IfNotPresent',
              args: ['server', '-config=/config/server.json'],
              ports: [{ name: 'https', containerPort: serverPort }],
              securityContext: containerSecurity,
              resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
              // A server that can't open its storage says so in one sentence.
              terminationMessagePolicy: 'FallbackToLogsOnError',
              readinessProbe: probe(health),
              // Sealed or not initialised is alive.
              livenessProbe: {
                ...probe(`${health}&sealedcode=200&uninitcode=200`),
                initialDelaySeconds: 10,
                failureThreshold: 6,
              },
              volumeMounts: [
                { name: 'config', mountPath: '/config', readOnly: true },
                { name: 'tls', mountPath: '/tls', readOnly: true },
                ...(plan.seal === 'static' ? [{ name: 'seal', mountPath: '/seal', readOnly: true }] : []),
                { name: 'data', mountPath: '/data' },
                { name: 'audit', mountPath: '/audit' },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: names.config } },
            { name: 'tls', secret: { secretName: names.tlsSecret, defaultMode: secretMode } },
            ...(plan.seal === 'static'
              ? [{ name: 'seal', secret: { secretName: names.sealSecret, defaultMode: secretMode } }]
              : []),
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
      volumeClaimTemplates: [
        claim('data', plan.storageSize ?? defaultSize, plan.storageClass),
        claim('audit', plan.auditSize ?? defaultSize, plan.storageClass),
      ],
    },
  }
}

/** Everything of the server in the cluster but its key material. */
export function serverManifests(plan: SetupPlan): readonly KubeObject[] {
  const { namespace } = plan
  const rbac = 'rbac.authorization.k8s.io'
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(names.server, namespace) },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: meta(names.admin, namespace),
      automountServiceAccountToken: false,
    } as KubeObject,
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: meta(`coffer-reviewer-${namespace}`, null),
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'ServiceAccount', name: names.server, namespace }],
    } as KubeObject,
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: meta(names.config, namespace),
      data: { 'server.json': serverConfig(plan) },
    } as KubeObject,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta(names.server, namespace),
      spec: {
        selector: { 'app.kubernetes.io/name': names.server },
        ports: [{ name: 'https', port: serverPort, targetPort: 'https', appProtocol: 'https' }],
        // A sealed server isn't ready, and must be reached to be unsealed.
        publishNotReadyAddresses: true,
      },
    } as KubeObject,
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: meta(names.server, namespace),
      spec: {
        podSelector: { matchLabels: { 'app.kubernetes.io/name': names.server } },
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ protocol: 'TCP', port: serverPort }] }],
      },
    } as KubeObject,
    statefulSet(plan),
  ]
}

/** Role and policy of those who administer the server through the cluster's own accounts. */
export const adminRole = (namespace: string) => ({
  bound_service_account_names: [names.admin],
  bound_service_account_namespaces: [namespace],
  audience: adminAudience,
  token_policies: [names.admin],
  token_ttl: 1_800,
  token_max_ttl: 1_800,
})

export const adminPolicy = `# Made by coffer setup: who may ask for a token of the account coffer-admin administers this server.
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
}
`
