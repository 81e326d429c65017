import { jsonEntries } from '#backend/storage.ts'

/** Where the API server is, and who asks it. */
export type KubernetesConfig = {
  /** As it was written, perhaps with a slash at its end. */
  readonly host: string
  /** PEM; empty = the pod's own CA file, else the system's. */
  readonly caCert: string
  /** Empty = the pod's own token, else the login's token reviews itself. Never shown. */
  readonly reviewerJwt: string
  /** PEM; non-empty = signatures are verified here first. */
  readonly pemKeys: readonly string[]
  readonly issuer: string
  readonly disablesIssuerCheck: boolean
  /** Don't read the pod's own token and CA. */
  readonly disablesLocal: boolean
  readonly usesAnnotations: boolean
}

export const configEntries = jsonEntries<KubernetesConfig>('config/')
export const configKey = configEntries.key('config')
