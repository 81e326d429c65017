import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import { parseRfc3339 } from '#ground/text/time.ts'
import type { ExecPlugin } from './config.ts'
import { KubeConfigError } from './errors.ts'

/** What a plugin answered: a token, a client certificate (both PEM), or both. */
export type PluginCredential = {
  readonly token: Secret | null
  readonly certificate: { readonly certificate: string; readonly key: Secret } | null
  /** Wall time, ms; null: good until the API server says 401. */
  readonly expiresAt: number | null
}

export type PluginOptions = {
  readonly clock: Clock
  /** The environment that the plugin gets, before its own `env` entries. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** For `provideClusterInfo`: `spec.cluster` of KUBERNETES_EXEC_INFO. */
  readonly cluster: Readonly<Record<string, unknown>> | null
  /** A person can answer questions on stdin. */
  readonly isInteractive: boolean
  readonly signal: AbortSignal
}

const stdoutBytesMax = 1024 * 1024
const stderrBytesMax = 4096
/** A plugin that asks a person (a browser, a code) gets longer. */
const deadlineMs = { alone: 60_000, interactive: 300_000 } as const

/**
 * Runs an exec credential plugin, without a shell, for a bounded time, and reads the ExecCredential that it prints.
 * @throws KubeConfigError that names the command, with the plugin's own last words
 * @source client-go plugin/pkg/client/auth/exec/exec.go
 */
export async function runPlugin(plugin: ExecPlugin, origin: string, options: PluginOptions): Promise<PluginCredential> {
  const where = `${origin}: exec plugin ${JSON.stringify(plugin.command)}`
  if (plugin.interactiveMode === 'Always' && !options.isInteractive) {
    throw new KubeConfigError(`${where} needs a terminal (interactiveMode: Always) and there is none`)
  }
  const isInteractive = plugin.interactiveMode !== 'Never' && options.isInteractive
  const info = {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: {
      ...(plugin.provideClusterInfo && options.cluster ? { cluster: options.cluster } : {}),
      interactive: isInteractive,
    },
  }
  const env = { ...options.env, ...Object.fromEntries(plugin.env), KUBERNETES_EXEC_INFO: JSON.stringify(info) }
  const stdout = await collect(where, plugin, env, isInteractive, options)
  return parseCredential(where, plugin, stdout)
}

function collect(
  where: string,
  plugin: ExecPlugin,
  env: Readonly<Record<string, string | undefined>>,
  isInteractive: boolean,
  options: PluginOptions,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  options.signal.throwIfAborted()
  const child = start(plugin, env, isInteractive)
  const end = (error: Error): void => {
    child.kill('SIGKILL')
    reject(error)
  }
  const limitMs = isInteractive ? deadlineMs.interactive : deadlineMs.alone
  const timer = options.clock.after(limitMs, () =>
    end(new KubeConfigError(`${where} gave no answer within ${limitMs / 1000} s`)),
  )
  const onAbort = (): void => end(options.signal.reason as Error)
  options.signal.addEventListener('abort', onAbort, { once: true })
  const stdout: Buffer[] = []
  let stdoutBytes = 0
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdoutBytes += chunk.length
    if (stdoutBytes > stdoutBytesMax) end(new KubeConfigError(`${where} printed more than ${stdoutBytesMax} bytes`))
    else stdout.push(chunk)
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-stderrBytesMax)
  })
  child.on('error', cause => {
    const hint = plugin.installHint ? `; ${plugin.installHint.trim()}` : ''
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const text = isMissing ? `is not installed (not found in PATH)${hint}` : `can't be run: ${cause.message}`
    reject(new KubeConfigError(`${where} ${text}`, { cause }))
  })
  child.on('close', (code, signal) => {
    if (code === 0) return resolve(Buffer.concat(stdout).toString('utf8'))
    const words = stderr.trim() === '' ? '' : `: ${stderr.trim()}`
    return reject(new KubeConfigError(`${where} ended with ${signal ?? `exit code ${code}`}${words}`))
  })
  return promise.finally(() => {
    timer[Symbol.dispose]()
    options.signal.removeEventListener('abort', onAbort)
  })
}

function start(
  plugin: ExecPlugin,
  env: Readonly<Record<string, string | undefined>>,
  isInteractive: boolean,
): ChildProcess {
  return spawn(plugin.command, [...plugin.args], {
    env,
    shell: false,
    // A person must see what the plugin asks.
    stdio: isInteractive ? ['inherit', 'pipe', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  })
}

type Answer = {
  kind?: unknown
  apiVersion?: unknown
  status?: {
    token?: unknown
    clientCertificateData?: unknown
    clientKeyData?: unknown
    expirationTimestamp?: unknown
  } | null
}

function parseCredential(where: string, plugin: ExecPlugin, stdout: string): PluginCredential {
  let answer: Answer | null
  try {
    answer = JSON.parse(stdout) as Answer | null
  } catch {
    // The text isn't shown: it may hold half a token.
    throw new KubeConfigError(`${where} printed no JSON; it must print an ExecCredential`)
  }
  if (answer?.kind !== 'ExecCredential') throw new KubeConfigError(`${where} printed no ExecCredential`)
  if (answer.apiVersion !== plugin.apiVersion) {
    throw new KubeConfigError(
      `${where} answered apiVersion ${JSON.stringify(answer.apiVersion)}, configured is ${plugin.apiVersion}`,
    )
  }
  const status = answer.status
  if (!status) throw new KubeConfigError(`${where} printed an ExecCredential without status`)
  const token = textOf(status.token)
  const certificate = textOf(status.clientCertificateData)
  const key = textOf(status.clientKeyData)
  if (token === null && certificate === null && key === null) {
    throw new KubeConfigError(`${where} gave neither status.token nor status.clientCertificateData`)
  }
  if ((certificate === null) !== (key === null)) {
    throw new KubeConfigError(`${where} must give clientCertificateData and clientKeyData together`)
  }
  const expiry = textOf(status.expirationTimestamp)
  const expiresAt = expiry === null ? null : parseRfc3339(expiry)
  if (expiry !== null && expiresAt === null) {
    throw new KubeConfigError(`${where} gave a status.expirationTimestamp that is no RFC 3339 time`)
  }
  return {
    token: token === null ? null : new Secret(token),
    certificate: certificate !== null && key !== null ? { certificate, key: new Secret(key) } : null,
    expiresAt,
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
