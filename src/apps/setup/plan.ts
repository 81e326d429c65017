/** What `setup kubernetes` makes, decided from its flags. */
export type SetupPlan = {
  readonly namespace: string
  readonly image: string
  /** null: the server is in the cluster. */
  readonly external: null | { readonly address: string; readonly caPem: string }
  readonly seal: 'static' | 'shamir'
  /** null: the cluster's default. */
  readonly storageClass: string | null
  readonly storageSize: string
  readonly auditSize: string
  readonly failurePolicy: 'Fail' | 'Ignore'
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
