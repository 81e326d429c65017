import type { ObjectMeta } from '#kube/objects.ts'
import type { PodSpec, SecurityContext } from '#kube/pod.ts'

/** UID and GID of everything that setup runs; the image makes no demand of its own. */
export const runAs = 65_532

export const managedBy = 'app.kubernetes.io/managed-by'

export const labels = (name: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/part-of': 'coffer',
  [managedBy]: 'coffer-setup',
})

export const meta = (name: string, namespace: string | null, app = name): ObjectMeta => ({
  name,
  ...(namespace !== null && { namespace }),
  labels: labels(app),
})

/** What PodSecurity `restricted` asks of a pod and a container. */
export const podSecurity: NonNullable<PodSpec['securityContext']> = {
  runAsNonRoot: true,
  runAsUser: runAs,
  runAsGroup: runAs,
  fsGroup: runAs,
  seccompProfile: { type: 'RuntimeDefault' },
}

export const containerSecurity: SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}
