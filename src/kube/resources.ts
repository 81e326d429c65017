import type { Target } from './target.ts'

/** A kind's place in the API: spread it into a Target, `{ ...pods, namespace, name }`. */
export type Resource = Pick<Target, 'group' | 'version' | 'resource'> & {
  readonly kind: string
  readonly isNamespaced: boolean
}

const core = (resource: string, kind: string, isNamespaced = true): Resource => ({
  group: '',
  version: 'v1',
  resource,
  kind,
  isNamespaced,
})

const of = (group: string, resource: string, kind: string, isNamespaced = true): Resource => ({
  group,
  version: 'v1',
  resource,
  kind,
  isNamespaced,
})

export const namespaces = core('namespaces', 'Namespace', false)
export const nodes = core('nodes', 'Node', false)
export const pods = core('pods', 'Pod')
export const services = core('services', 'Service')
export const secrets = core('secrets', 'Secret')
export const configMaps = core('configmaps', 'ConfigMap')
export const serviceAccounts = core('serviceaccounts', 'ServiceAccount')
export const events = core('events', 'Event')
export const persistentVolumeClaims = core('persistentvolumeclaims', 'PersistentVolumeClaim')
export const deployments = of('apps', 'deployments', 'Deployment')
export const statefulSets = of('apps', 'statefulsets', 'StatefulSet')
export const daemonSets = of('apps', 'daemonsets', 'DaemonSet')
export const replicaSets = of('apps', 'replicasets', 'ReplicaSet')
export const jobs = of('batch', 'jobs', 'Job')
export const cronJobs = of('batch', 'cronjobs', 'CronJob')
export const endpointSlices = of('discovery.k8s.io', 'endpointslices', 'EndpointSlice')
export const networkPolicies = of('networking.k8s.io', 'networkpolicies', 'NetworkPolicy')
export const podDisruptionBudgets = of('policy', 'poddisruptionbudgets', 'PodDisruptionBudget')
export const roles = of('rbac.authorization.k8s.io', 'roles', 'Role')
export const roleBindings = of('rbac.authorization.k8s.io', 'rolebindings', 'RoleBinding')
export const clusterRoles = of('rbac.authorization.k8s.io', 'clusterroles', 'ClusterRole', false)
export const clusterRoleBindings = of('rbac.authorization.k8s.io', 'clusterrolebindings', 'ClusterRoleBinding', false)
export const mutatingWebhookConfigurations = of(
  'admissionregistration.k8s.io',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
  false,
)
export const customResourceDefinitions = of(
  'apiextensions.k8s.io',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
)
export const csiDrivers = of('storage.k8s.io', 'csidrivers', 'CSIDriver', false)
export const leases = of('coordination.k8s.io', 'leases', 'Lease')
