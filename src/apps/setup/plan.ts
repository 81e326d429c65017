/** What `setup kubernetes` makes, decided from its flags. */
export type SetupPlan = {
  readonly namespace: string
  readonly image: string
  /** null: the server is in the cluster. */
  readonly external: null | { readonly address: string; readonly caPem: string }
  readonly seal: 'static' | 'shamir'
  /** null: not said. What is there stays; a new volume gets the cluster's default class, and 1Gi. */
  readonly storageClass: string | null
  readonly storageSize: string | null
  readonly auditSize: string | null
  /** null: Fail where only pods that ask are sent to the webhook, else Ignore. */
  readonly failurePolicy: 'Fail' | 'Ignore' | null
  /** The API server knows `matchConditions` (1.28): pods that don't ask never meet the webhook. */
  readonly matchesByAnnotation: boolean
  readonly authPath: string
}

/** Names that setup, CLI and injector agree on. */
export const names = {
  server: 'coffer',
  admin: 'coffer-admin',
  injector: 'coffer-injector',
  reviewer: 'coffer-reviewer',
  sealSecret: 'coffer-seal',
  caSecret: 'coffer-ca-key',
  caConfigMap: 'coffer-ca',
  tlsSecret: 'coffer-tls',
  config: 'coffer-config',
  /** Made by the injector itself. */
  injectorSecret: 'coffer-injector-certs',
} as const

export const serverPort = 8200
export const injectorPort = 8080
export const adminAudience = 'coffer'

/** How pods reach the server. */
export const serverAddress = (plan: SetupPlan): string =>
  plan.external?.address ?? `https://${names.server}.${plan.namespace}.svc:${serverPort}`

/** Names in the server's certificate. */
export const serverHosts = (namespace: string): readonly string[] => [
  names.server,
  `${names.server}.${namespace}`,
  `${names.server}.${namespace}.svc`,
  `${names.server}.${namespace}.svc.cluster.local`,
  'localhost',
]
