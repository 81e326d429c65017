/** What the injector's flags and environment say; annotations override it pod by pod. */
export type InjectorDefaults = {
  /** Address of the server as pods reach it. */
  readonly address: string
  /** PEM of its CA, handed to agents as text; empty = none. */
  readonly caCertBytes: string
  readonly image: string
  readonly authPath: string
  readonly cpuRequest: string
  readonly cpuLimit: string
  readonly memoryRequest: string
  readonly memoryLimit: string
  readonly ephemeralRequest: string
  readonly ephemeralLimit: string
  readonly runAsUser: number
  readonly runAsGroup: number
  readonly runAsSameUser: boolean
  readonly setSecurityContext: boolean
  readonly exitOnRetryFailure: boolean
  readonly staticSecretRenderInterval: string
  readonly revokeOnShutdown: boolean
  readonly logLevel: string
  readonly logFormat: string
}

/** What we do otherwise than the original; `-compat=vault-k8s` or an old API server turns all of it off. */
export type Improvements = {
  /** The sidecar is an init container with restartPolicy Always (Kubernetes 1.29): Jobs end. */
  readonly nativeSidecar: boolean
  /** seccompProfile RuntimeDefault: PodSecurity `restricted` takes the pod. */
  readonly seccompProfile: boolean
  /** The init container hands token and values to the sidecar through a memory volume, and that one to its successor. */
  readonly handover: boolean
}

export const allImprovements: Improvements = { nativeSidecar: true, seccompProfile: true, handover: true }
export const noImprovements: Improvements = { nativeSidecar: false, seccompProfile: false, handover: false }

/** @source vault-k8s subcommand/injector/flags.go */
export const originalDefaults: Omit<InjectorDefaults, 'address' | 'image' | 'caCertBytes'> = {
  authPath: 'auth/kubernetes',
  cpuRequest: '250m',
  cpuLimit: '500m',
  memoryRequest: '64Mi',
  memoryLimit: '128Mi',
  ephemeralRequest: '',
  ephemeralLimit: '',
  runAsUser: 100,
  runAsGroup: 1000,
  runAsSameUser: false,
  setSecurityContext: true,
  exitOnRetryFailure: true,
  staticSecretRenderInterval: '',
  revokeOnShutdown: false,
  logLevel: 'info',
  logFormat: 'standard',
}
