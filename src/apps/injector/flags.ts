import type { LogLevel } from '#ground/base/log.ts'
import { boolFlag, FlagError, type Flags, type FlagValues, intFlag, stringFlag } from '#ground/text/flags.ts'
import { originalDefaults } from '#delivery/annotations/defaults.ts'

/** Flags of `coffer injector`: those of `vault-k8s agent-inject`, whose environment beats the flag, and ours. */
export const injectorFlags = {
  listen: stringFlag({ default: ':8080', usage: 'Where it listens, by TLS.', env: 'AGENT_INJECT_LISTEN' }),
  'log-level': stringFlag({
    default: 'info',
    usage: 'trace, debug, info (notice), warn (warning) or error (err).',
    env: 'AGENT_INJECT_LOG_LEVEL',
  }),
  'log-format': stringFlag({ default: 'standard', usage: 'standard or json.', env: 'AGENT_INJECT_LOG_FORMAT' }),
  'vault-address': stringFlag({ usage: 'Address of the server as pods reach it.', env: 'AGENT_INJECT_VAULT_ADDR' }),
  'vault-cacert-bytes': stringFlag({
    usage: 'CA of the server, PEM or base64 of it, handed to agents.',
    env: 'AGENT_INJECT_VAULT_CACERT_BYTES',
  }),
  'vault-image': stringFlag({
    usage: "Image of the injected containers: the injector's own.",
    env: 'AGENT_INJECT_VAULT_IMAGE',
  }),
  'vault-auth-path': stringFlag({
    default: originalDefaults.authPath,
    usage: 'Where the auth method is mounted.',
    env: 'AGENT_INJECT_VAULT_AUTH_PATH',
  }),
  'tls-auto': stringFlag({
    usage: 'Name of the MutatingWebhookConfiguration whose caBundle is kept right.',
    env: 'AGENT_INJECT_TLS_AUTO',
  }),
  'tls-auto-hosts': stringFlag({ usage: 'Names in the certificate, by commas.', env: 'AGENT_INJECT_TLS_AUTO_HOSTS' }),
  'tls-cert-file': stringFlag({ usage: 'Certificate, instead of one of its own.', env: 'AGENT_INJECT_TLS_CERT_FILE' }),
  'tls-key-file': stringFlag({ usage: 'Key of that certificate.', env: 'AGENT_INJECT_TLS_KEY_FILE' }),
  'tls-ca-cert-file': stringFlag({
    usage: 'CA of that certificate, written to the configuration that -tls-auto names.',
    env: 'AGENT_INJECT_TLS_CA_CERT_FILE',
  }),
  'tls-min-version': stringFlag({ default: 'tls12', usage: 'tls12 or tls13.', env: 'AGENT_INJECT_TLS_MIN_VERSION' }),
  'use-leader-elector': boolFlag({
    usage: 'Changes nothing: replicas share their CA without a leader.',
    env: 'AGENT_INJECT_USE_LEADER_ELECTOR',
  }),
  'template-config-exit-on-retry-failure': boolFlag({
    default: true,
    usage: 'A template that can not be rendered ends the agent.',
    env: 'AGENT_INJECT_TEMPLATE_CONFIG_EXIT_ON_RETRY_FAILURE',
  }),
  'template-static-secret-render-interval': stringFlag({
    usage: 'How old a value without lease may become.',
    env: 'AGENT_INJECT_TEMPLATE_STATIC_SECRET_RENDER_INTERVAL',
  }),
  'revoke-on-shutdown': boolFlag({
    default: originalDefaults.revokeOnShutdown,
    usage: 'Agents revoke their token at the end of their pod.',
    env: 'AGENT_INJECT_REVOKE_ON_SHUTDOWN',
  }),
  'run-as-user': intFlag({
    default: originalDefaults.runAsUser,
    usage: 'UID of the agents.',
    env: 'AGENT_INJECT_RUN_AS_USER',
  }),
  'run-as-group': intFlag({
    default: originalDefaults.runAsGroup,
    usage: 'GID of the agents.',
    env: 'AGENT_INJECT_RUN_AS_GROUP',
  }),
  'run-as-same-user': boolFlag({
    default: false,
    usage: 'Agents take the UID of the first app container.',
    env: 'AGENT_INJECT_RUN_AS_SAME_USER',
  }),
  'set-security-context': boolFlag({
    default: true,
    usage: 'Agents get a security context.',
    env: 'AGENT_INJECT_SET_SECURITY_CONTEXT',
  }),
  'cpu-request': stringFlag({
    default: originalDefaults.cpuRequest,
    usage: 'CPU request of agents.',
    env: 'AGENT_INJECT_CPU_REQUEST',
  }),
  'cpu-limit': stringFlag({
    default: originalDefaults.cpuLimit,
    usage: 'CPU limit of agents.',
    env: 'AGENT_INJECT_CPU_LIMIT',
  }),
  'memory-request': stringFlag({
    default: originalDefaults.memoryRequest,
    usage: 'Memory request of agents.',
    env: 'AGENT_INJECT_MEM_REQUEST',
  }),
  'memory-limit': stringFlag({
    default: originalDefaults.memoryLimit,
    usage: 'Memory limit of agents.',
    env: 'AGENT_INJECT_MEM_LIMIT',
  }),
  'ephemeral-storage-request': stringFlag({
    usage: 'Ephemeral storage request of agents.',
    env: 'AGENT_INJECT_EPHEMERAL_REQUEST',
  }),
  'ephemeral-storage-limit': stringFlag({
    usage: 'Ephemeral storage limit of agents.',
    env: 'AGENT_INJECT_EPHEMERAL_LIMIT',
  }),
  compat: stringFlag({ usage: '"vault-k8s" makes the patch exactly the original\'s.' }),
  'native-sidecar': boolFlag({
    default: true,
    usage: 'Make the sidecar a native one, where the cluster has them (Kubernetes 1.29).',
  }),
  'seccomp-profile': boolFlag({ default: true, usage: 'Give agents the seccomp profile RuntimeDefault.' }),
  handover: boolFlag({
    default: true,
    usage: 'Let token and leases go on from the init container to the sidecar, and when that is killed.',
  }),
} satisfies Flags

export type InjectorFlags = FlagValues<typeof injectorFlags>

/** Settings of the original that are not there yet, with the values that change nothing. */
const missingSettings: readonly (readonly [suffix: string, flag: string | null, harmless: readonly string[]])[] = [
  ['VAULT_AUTH_TYPE', 'vault-auth-type', ['kubernetes']],
  ['VAULT_NAMESPACE', 'vault-namespace', []],
  ['PROXY_ADDR', 'proxy-address', []],
  ['TLS_CIPHER_SUITES', 'tls-cipher-suites', []],
  ['TELEMETRY_PATH', 'telemetry-path', []],
  ['DEFAULT_TEMPLATE', 'default-template', ['map']],
  ['TEMPLATE_MAX_CONNECTIONS_PER_HOST', null, ['0']],
  ['AUTH_MIN_BACKOFF', 'auth-min-backoff', []],
  ['AUTH_MAX_BACKOFF', 'auth-max-backoff', []],
  ['DISABLE_IDLE_CONNECTIONS', 'disable-idle-connections', []],
  ['DISABLE_KEEP_ALIVES', 'disable-keep-alives', []],
]

/** The command line without settings that change nothing. @throws FlagError for one that would, and is not there yet */
export function withoutHarmless(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  for (const [suffix, , harmless] of missingSettings) {
    const name = `AGENT_INJECT_${suffix}`
    const value = env[name] ?? ''
    if (value !== '' && !harmless.includes(value)) throw new FlagError('usage', `${name}=${value} is not supported yet`)
  }
  return argv.filter(argument => {
    const match = /^--?([a-z-]+)=(.*)$/s.exec(argument)
    const missing = missingSettings.find(([, flag]) => flag !== null && flag === match?.[1])
    if (missing === undefined) return true
    const value = match?.[2] ?? ''
    if (value !== '' && !missing[2].includes(value)) {
      throw new FlagError('usage', `-${missing[1]}=${value} is not supported yet`)
    }
    return false
  })
}

const bare = /^AGENT_INJECT_(TLS_\w+)$/

/**
 * The environment beats the flag here, as in the original; an empty variable counts as absent, and those for TLS also
 * work without prefix.
 * @throws FlagError naming the variable
 * @source vault-k8s subcommand/agent-inject flags.go; kelseyhightower/envconfig `split_words`
 */
export function withEnvironment(
  values: InjectorFlags,
  env: Readonly<Record<string, string | undefined>>,
): InjectorFlags {
  const out: Record<string, unknown> = { ...values }
  for (const [name, flag] of Object.entries(injectorFlags)) {
    if (flag.env === undefined) continue
    const text = env[flag.env] || env[bare.exec(flag.env)?.[1] ?? ''] || ''
    if (text === '') continue
    try {
      out[name] = flag.read(text, null as never)
    } catch (error) {
      throw new FlagError('usage', `${flag.env}=${text}: ${(error as Error).message}`)
    }
  }
  return out as InjectorFlags
}

const levels: ReadonlyMap<string, LogLevel> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['notice', 'info'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['err', 'error'],
  ['error', 'error'],
])

/** @throws Error in the original's words */
export function levelOf(text: string): LogLevel {
  const level = levels.get(text)
  if (level === undefined) throw new Error(`unknown log level: ${text}`)
  return level
}
