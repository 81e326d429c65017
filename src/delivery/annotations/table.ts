import type { InjectorDefaults } from './defaults.ts'
import { readBool, readInt, readQuantity, readUint } from './parse.ts'

/** What stands before every name. */
export const prefix = 'vault.hashicorp.com/'

/** One annotation of a pod: how its text is read, and what counts without it. */
export type Annotation<T> = {
  /** Without the prefix. */
  readonly name: string
  /** One sentence for the reference. */
  readonly summary: string
  /** @throws Denial */
  read(raw: string): T
  fallback(defaults: InjectorDefaults): T
}

const text = (name: string, fallback: (defaults: InjectorDefaults) => string, summary: string): Annotation<string> => ({
  name,
  summary,
  read: raw => raw,
  fallback,
})

const bool = (
  name: string,
  fallback: (defaults: InjectorDefaults) => boolean,
  summary: string,
): Annotation<boolean> => ({
  name,
  summary,
  read: readBool,
  fallback,
})

const whole = (
  name: string,
  fallback: (defaults: InjectorDefaults) => number,
  summary: string,
): Annotation<number> => ({
  name,
  summary,
  read: readInt,
  fallback,
})

/** null without the annotation: what counts then isn't one number. */
const count = (name: string, summary: string): Annotation<number | null> => ({
  name,
  summary,
  read: readUint,
  fallback: () => null,
})

const quantity = (
  name: string,
  fallback: (defaults: InjectorDefaults) => string,
  summary: string,
): Annotation<string | null> => ({
  name,
  summary,
  read: readQuantity,
  fallback: defaults => readQuantity(fallback(defaults)),
})

const none = (): string => ''
const no = (): boolean => false

/**
 * The annotations that stand once in a pod. Those with a NAME at their end are in `secrets.ts`. To add one: a line here,
 * and its meaning where the plan uses it.
 */
export const annotations = {
  initFirst: bool('agent-init-first', no, 'Put vault-agent-init before all other init containers.'),
  prePopulate: bool(
    'agent-pre-populate',
    () => true,
    'Add the init container, so that files are there when the app starts.',
  ),
  prePopulateOnly: bool('agent-pre-populate-only', no, 'Add no sidecar.'),
  containers: text('agent-inject-containers', none, 'App containers that get the secrets; comma list, default all.'),
  injectToken: bool('agent-inject-token', no, 'Write the token to the secrets folder, too.'),
  image: text('agent-image', defaults => defaults.image, 'Image of the agent containers.'),
  cpuLimit: quantity('agent-limits-cpu', defaults => defaults.cpuLimit, 'CPU limit of the agent; empty = none.'),
  memoryLimit: quantity(
    'agent-limits-mem',
    defaults => defaults.memoryLimit,
    'Memory limit of the agent; empty = none.',
  ),
  ephemeralLimit: quantity(
    'agent-limits-ephemeral',
    defaults => defaults.ephemeralLimit,
    'Ephemeral storage limit of the agent.',
  ),
  cpuRequest: quantity(
    'agent-requests-cpu',
    defaults => defaults.cpuRequest,
    'CPU request of the agent; empty = none.',
  ),
  memoryRequest: quantity(
    'agent-requests-mem',
    defaults => defaults.memoryRequest,
    'Memory request of the agent; empty = none.',
  ),
  ephemeralRequest: quantity(
    'agent-requests-ephemeral',
    defaults => defaults.ephemeralRequest,
    'Ephemeral storage request of the agent.',
  ),
  runAsUser: whole('agent-run-as-user', defaults => defaults.runAsUser, 'UID of the agent.'),
  runAsGroup: whole('agent-run-as-group', defaults => defaults.runAsGroup, 'GID of the agent.'),
  runAsSameUser: bool(
    'agent-run-as-same-user',
    defaults => defaults.runAsSameUser,
    'Take the UID of the first app container.',
  ),
  revokeOnShutdown: bool(
    'agent-revoke-on-shutdown',
    defaults => defaults.revokeOnShutdown,
    'Revoke the token at the end of the pod, and with it all that was leased.',
  ),
  revokeGrace: count(
    'agent-revoke-grace',
    'Seconds to wait with that; default 5, and 0 for a native sidecar, which ends after the app.',
  ),
  role: text('role', none, 'The role to log in under.'),
  authPath: text('auth-path', defaults => defaults.authPath, 'Where the auth method is mounted.'),
  service: text('service', defaults => defaults.address, 'Address of the server.'),
  tlsSkipVerify: bool('tls-skip-verify', no, 'Do not check the certificate of the server.'),
  tlsSecret: text('tls-secret', none, 'Secret mounted at /vault/tls in the agent containers.'),
  caCert: text('ca-cert', none, 'Path of the CA in the agent containers.'),
  secretVolumePath: text('secret-volume-path', () => '/vault/secrets', 'Folder of the rendered files.'),
  staticSecretRenderInterval: text(
    'template-static-secret-render-interval',
    defaults => defaults.staticSecretRenderInterval,
    'How old a value without lease may become.',
  ),
  logLevel: text('log-level', defaults => defaults.logLevel, 'Log level of the agent.'),
  logFormat: text('log-format', defaults => defaults.logFormat, 'Log format of the agent: standard or json.'),
} as const

type Table = typeof annotations

/** All of them, read. */
export type Settings = { readonly [K in keyof Table]: Table[K] extends Annotation<infer T> ? T : never }

/** Those that are looked at elsewhere: whether to inject at all. */
export const controlNames = ['agent-inject', 'agent-inject-status'] as const

/** @throws Denial for a value that can't be read. */
export function readSettings(pod: Readonly<Record<string, string>>, defaults: InjectorDefaults): Settings {
  const out: Record<string, unknown> = {}
  for (const [key, annotation] of Object.entries(annotations) as [string, Annotation<unknown>][]) {
    const raw = pod[prefix + annotation.name]
    out[key] = raw === undefined ? annotation.fallback(defaults) : annotation.read(raw)
  }
  return out as Settings
}
