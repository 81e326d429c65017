/**
 * The Kubernetes objects that coffer reads or writes, by hand and no further than it does. Every field but the names
 * that an object can't live without may be absent, and what isn't named here is kept when an object goes through us:
 * nothing copies objects field by field.
 */

/** Any JSON value inside an object. */
export type KubeValue = unknown

export type Labels = Readonly<Record<string, string>>

export type OwnerReference = {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export type ObjectMeta = {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  /** RFC 3339, whole seconds. */
  creationTimestamp?: string | null
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  managedFields?: KubeValue[]
}

export type KubeObject = {
  apiVersion?: string
  kind?: string
  metadata?: ObjectMeta
}

/** An object that the server gave: it has a name and a version. */
export type Stored<T extends KubeObject> = T & {
  metadata: ObjectMeta & { name: string; uid: string; resourceVersion: string }
}

export type ListMeta = { resourceVersion?: string; continue?: string; remainingItemCount?: number }

export type KubeList<T> = { apiVersion?: string; kind?: string; metadata: ListMeta; items: T[] | null }

export type LabelSelector = {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[]
}

export type IntOrString = number | string

export type Condition = {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  observedGeneration?: number
  lastTransitionTime?: string
}

/** The kinds without a floor of their own. */
export type Namespace = KubeObject & { status?: { phase?: string } }

export type ServiceAccount = KubeObject & {
  automountServiceAccountToken?: boolean
  secrets?: { name?: string }[]
  imagePullSecrets?: { name?: string }[]
}

export type KubeSecret = KubeObject & {
  type?: string
  immutable?: boolean
  /** base64. */
  data?: Record<string, string>
  /** Plain; the server moves it into `data`. */
  stringData?: Record<string, string>
}

export type ConfigMap = KubeObject & {
  immutable?: boolean
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

export type ServicePort = {
  name?: string
  port: number
  protocol?: string
  appProtocol?: string
  targetPort?: IntOrString
  nodePort?: number
}

export type Service = KubeObject & {
  spec?: {
    type?: string
    clusterIP?: string
    clusterIPs?: string[]
    selector?: Record<string, string>
    ports?: ServicePort[]
    publishNotReadyAddresses?: boolean
    externalName?: string
  }
}

export type EndpointSlice = KubeObject & {
  addressType?: 'IPv4' | 'IPv6' | 'FQDN'
  endpoints?: {
    addresses: string[]
    conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }
    hostname?: string
    nodeName?: string
    zone?: string
    targetRef?: ObjectReference
  }[]
  ports?: { name?: string; port?: number; protocol?: string; appProtocol?: string }[]
}

export type ObjectReference = {
  apiVersion?: string
  kind?: string
  namespace?: string
  name?: string
  uid?: string
  resourceVersion?: string
  fieldPath?: string
}

export type PolicyRule = {
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
  verbs: string[]
}

/** Role and ClusterRole. */
export type Role = KubeObject & { rules?: PolicyRule[]; aggregationRule?: { clusterRoleSelectors?: LabelSelector[] } }

/** RoleBinding and ClusterRoleBinding. */
export type RoleBinding = KubeObject & {
  roleRef: { apiGroup: 'rbac.authorization.k8s.io'; kind: 'Role' | 'ClusterRole'; name: string }
  subjects?: { kind: 'ServiceAccount' | 'User' | 'Group'; name: string; namespace?: string; apiGroup?: string }[]
}

type PolicyPeer = {
  podSelector?: LabelSelector
  namespaceSelector?: LabelSelector
  ipBlock?: { cidr: string; except?: string[] }
}
type PolicyPort = { protocol?: string; port?: IntOrString; endPort?: number }

export type NetworkPolicy = KubeObject & {
  spec: {
    podSelector: LabelSelector
    policyTypes?: ('Ingress' | 'Egress')[]
    ingress?: { from?: PolicyPeer[]; ports?: PolicyPort[] }[]
    egress?: { to?: PolicyPeer[]; ports?: PolicyPort[] }[]
  }
}

export type PodDisruptionBudget = KubeObject & {
  spec: {
    minAvailable?: IntOrString
    maxUnavailable?: IntOrString
    selector?: LabelSelector
    unhealthyPodEvictionPolicy?: 'IfHealthyBudget' | 'AlwaysAllow'
  }
}

export type KubeEvent = KubeObject & {
  involvedObject?: ObjectReference
  reason?: string
  message?: string
  type?: 'Normal' | 'Warning'
  count?: number
  firstTimestamp?: string
  lastTimestamp?: string
  source?: { component?: string; host?: string }
  reportingComponent?: string
  reportingInstance?: string
  action?: string
}

export type WebhookClientConfig = {
  url?: string
  /** base64 of PEM. */
  caBundle?: string
  service?: { namespace: string; name: string; path?: string; port?: number }
}

export type MutatingWebhook = {
  /** At least three segments. */
  name: string
  clientConfig: WebhookClientConfig
  admissionReviewVersions: string[]
  sideEffects: 'None' | 'NoneOnDryRun'
  rules?: {
    operations?: ('CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT' | '*')[]
    apiGroups?: string[]
    apiVersions?: string[]
    resources?: string[]
    scope?: 'Cluster' | 'Namespaced' | '*'
  }[]
  failurePolicy?: 'Ignore' | 'Fail'
  matchPolicy?: 'Exact' | 'Equivalent'
  matchConditions?: { name: string; expression: string }[]
  namespaceSelector?: LabelSelector
  objectSelector?: LabelSelector
  reinvocationPolicy?: 'Never' | 'IfNeeded'
  /** 1 to 30. */
  timeoutSeconds?: number
}

export type MutatingWebhookConfiguration = KubeObject & { webhooks?: MutatingWebhook[] }

export type CustomResourceDefinition = KubeObject & {
  spec: {
    group: string
    scope: 'Cluster' | 'Namespaced'
    names: { kind: string; plural: string; singular?: string; shortNames?: string[]; categories?: string[] }
    versions: { name: string; served: boolean; storage: boolean; schema?: KubeValue; subresources?: KubeValue }[]
  }
  status?: { conditions?: Condition[] }
}
