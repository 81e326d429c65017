import { readFile } from 'node:fs/promises'
import type { Clock } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import type { KubeConfig } from './config.ts'
import { KubeConfigError } from './errors.ts'
import { type PluginCredential, runPlugin } from './exec-plugin.ts'

/** Who we are to the API server, at one moment. */
export type Credential = {
  readonly token: Secret | null
  readonly certificate: { readonly certificate: string; readonly key: Secret } | null
  /** PEM; null: the system's. */
  readonly ca: string | null
}

export interface CredentialSource {
  /**
   * What to send now; files are read again after `freshMs`, a plugin runs again shortly before its answer expires.
   * Callers at the same time share one reading.
   * @throws KubeConfigError when a file can't be read or the plugin fails
   */
  current(signal?: AbortSignal): Promise<Credential>
  /** The API server said 401. @returns whether asking again can give something else. */
  refused(): boolean
}

export type CredentialOptions = {
  readonly clock: Clock
  /** Ends a plugin that still runs when the client is closed. */
  readonly signal: AbortSignal
  /** For an exec plugin; without it the plugin starts with an empty environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly isInteractive?: boolean
}

/** The kubelet renews a token at 80 % of its life, so some seconds of age never matter. */
const freshMs = 10_000
/** A plugin's answer is renewed so long before it ends. */
const expiryMarginMs = 30_000

export function credentialsOf(config: KubeConfig, options: CredentialOptions): CredentialSource {
  return new Credentials(config, options)
}

class Credentials implements CredentialSource {
  readonly #config: KubeConfig
  readonly #options: CredentialOptions
  readonly #isStatic: boolean
  #held: Credential | null = null
  #heldUntil = 0
  #reading: Promise<Credential> | null = null
  #plugin: PluginCredential | null = null
  #lastToken: Secret | null = null

  constructor(config: KubeConfig, options: CredentialOptions) {
    this.#config = config
    this.#options = options
    this.#isStatic =
      config.ca.kind !== 'file' &&
      config.clientCertificate?.kind !== 'file' &&
      config.auth.kind !== 'token-file' &&
      config.auth.kind !== 'exec'
  }

  async current(signal?: AbortSignal): Promise<Credential> {
    const held = this.#held
    if (held && (this.#isStatic || this.#options.clock.monotonic() < this.#heldUntil) && !this.#isPluginStale()) {
      return held
    }
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return signal ? orAborted(this.#reading, signal) : this.#reading
  }

  refused(): boolean {
    if (this.#isStatic) return false
    this.#heldUntil = 0
    this.#plugin = null
    return true
  }

  #isPluginStale(): boolean {
    if (this.#config.auth.kind !== 'exec') return false
    if (!this.#plugin) return true
    const { expiresAt } = this.#plugin
    return expiresAt !== null && this.#options.clock.now() >= expiresAt - expiryMarginMs
  }

  async #read(): Promise<Credential> {
    const { auth, ca, clientCertificate, origin } = this.#config
    const caText = ca.kind === 'pem' ? ca.pem : ca.kind === 'file' ? await readPem(ca.path, origin) : null
    let token: Secret | null = null
    let certificate: Credential['certificate'] = null
    if (clientCertificate?.kind === 'pem') certificate = clientCertificate
    else if (clientCertificate) {
      certificate = {
        certificate: await readPem(clientCertificate.certificatePath, origin),
        key: new Secret(await readPem(clientCertificate.keyPath, origin)),
      }
    }
    switch (auth.kind) {
      case 'none':
        break
      case 'token':
        token = auth.token
        break
      case 'token-file':
        token = await this.#tokenOf(auth)
        break
      case 'exec': {
        if (!this.#plugin || this.#isPluginStale()) {
          this.#plugin = await runPlugin(auth.plugin, origin, {
            clock: this.#options.clock,
            env: this.#options.env ?? {},
            cluster: clusterInfo(this.#config, caText, auth.plugin.clusterConfig),
            isInteractive: this.#options.isInteractive ?? false,
            signal: this.#options.signal,
          })
        }
        token = this.#plugin.token
        certificate = this.#plugin.certificate ?? certificate
      }
    }
    const made = { token, certificate, ca: caText }
    this.#held = made
    this.#heldUntil = this.#options.clock.monotonic() + freshMs
    return made
  }

  async #tokenOf(auth: { path: string; fallback: Secret | null }): Promise<Secret> {
    try {
      const text = (await readFile(auth.path, 'utf8')).trim()
      if (text === '') throw new KubeConfigError(`${this.#config.origin}: token file ${auth.path} is empty`)
      this.#lastToken = new Secret(text)
      return this.#lastToken
    } catch (cause) {
      // A file that is being replaced may be missing for a moment: what was read last is still good.
      const last = this.#lastToken ?? auth.fallback
      if (last) return last
      if (cause instanceof KubeConfigError) throw cause
      const message = (cause as Error).message
      throw new KubeConfigError(`${this.#config.origin}: cannot read token file ${auth.path}: ${message}`, { cause })
    }
  }
}

// A caller that gives up doesn't end what others wait for too.
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', onAbort))
}

async function readPem(path: string, origin: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch (cause) {
    throw new KubeConfigError(`${origin}: cannot read ${path}: ${(cause as Error).message}`, { cause })
  }
}

function clusterInfo(config: KubeConfig, ca: string | null, extension: unknown): Record<string, unknown> {
  return {
    server: config.server,
    ...(config.serverName === null ? {} : { 'tls-server-name': config.serverName }),
    ...(config.isInsecure ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === null ? {} : { 'certificate-authority-data': Buffer.from(ca, 'latin1').toString('base64') }),
    ...(extension === null || extension === undefined ? {} : { config: extension }),
  }
}
