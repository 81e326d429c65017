import { readFileSync } from 'node:fs'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { type HttpServer, listen } from '#ground/http/server.ts'
import type { TlsSettings } from '#ground/http/tls.ts'
import { ConfigError } from './config-error.ts'
import { withForwardedFor } from './forwarded-for.ts'
import type { ListenerConfig } from './listener-config.ts'
import { withMetrics } from './metrics-access.ts'
import { auditFailedResponse, type ServerNode } from '#core/node/node.ts'

type Open = {
  readonly config: ListenerConfig
  readonly server: HttpServer
  /** As it was last looked at. */
  certificate: string
}

const lookEveryMs = 30_000

/** Open listeners; their certificates are read anew on SIGHUP, and when the files change. */
export class Listeners {
  readonly #world: World
  readonly #open: Open[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** @throws ConfigError for certificates that can't be used, Error with the system's code for addresses. */
  async start(configs: readonly ListenerConfig[], node: ServerNode): Promise<void> {
    for (const config of configs) {
      const handler = withMetrics(node.handler, node.telemetry, config.metrics)
      const server = await listen({
        address: config.address,
        tls: config.tls === null ? null : readTls(config.tls),
        handler: config.forwardedFor === null ? handler : withForwardedFor(handler, config.forwardedFor),
        proxyProtocol: config.proxy,
        limits: {
          headTimeoutMs: config.headTimeoutMs,
          bodyTimeoutMs: config.bodyTimeoutMs,
          idleTimeoutMs: config.idleTimeoutMs,
        },
        clock: this.#world.clock,
        log: this.#world.log.named('http'),
        beforeWrite: () => node.house?.audit.flush(),
        onBeforeWriteFailed: auditFailedResponse,
      })
      this.#open.push({ config, server, certificate: config.tls === null ? '' : textOf(config.tls.certFile) })
    }
    this.#lookAgain()
  }

  // A Secret of Kubernetes changes under our feet, and nobody sends a SIGHUP into a pod.
  #lookAgain(): void {
    this.#world.clock.after(lookEveryMs, () => {
      if (this.#world.signal.aborted) return
      for (const open of this.#open) {
        const { tls } = open.config
        if (tls !== null && textOf(tls.certFile) !== open.certificate) this.#reload(open)
      }
      this.#lookAgain()
    })
  }

  /** URLs that reach them from this machine. */
  get addresses(): readonly string[] {
    return this.#open.map(({ config, server }) => {
      const { address } = server
      if ('path' in address) return `unix://${address.path}`
      const reached = address.host === '0.0.0.0' || address.host === '::' ? '127.0.0.1' : address.host
      const host = reached.includes(':') ? `[${reached}]` : reached
      return `${config.tls === null ? 'http' : 'https'}://${host}:${address.port}`
    })
  }

  /** What can't be read keeps the old certificate in use. */
  reload(): void {
    for (const open of this.#open) this.#reload(open)
  }

  #reload(open: Open): void {
    const { tls } = open.config
    if (tls === null) return
    try {
      open.server.reloadTls(readTls(tls))
      this.#world.log.info('certificate read anew', { file: tls.certFile })
    } catch (error) {
      this.#world.log.error('the certificate can not be used; the old one stays', { file: tls.certFile, error })
    }
    open.certificate = textOf(tls.certFile)
  }

  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#open.map(({ server }) => server.close({ graceMs })))
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function readTls(tls: NonNullable<ListenerConfig['tls']>): TlsSettings {
  const read = (path: string, key: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      throw new ConfigError(`${key}: ${path} can not be read: ${(error as NodeJS.ErrnoException).code}`)
    }
  }
  return {
    certificate: read(tls.certFile, 'tls_cert_file'),
    key: new Secret(read(tls.keyFile, 'tls_key_file')),
    clientCertificates: tls.requiresClientCert ? 'require' : tls.asksClientCert ? 'request' : 'none',
    versionMin: tls.minVersion,
    versionMax: tls.maxVersion,
    ...(tls.ciphers !== null && { ciphers: tls.ciphers }),
    ...(tls.clientCaFile !== null && { clientCa: read(tls.clientCaFile, 'tls_client_ca_file') }),
  }
}
