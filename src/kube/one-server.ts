import { X509Certificate } from 'node:crypto'
import type { World } from '#ground/base/world.ts'
import type { CallerOptions } from './caller.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import type { CaSource, KubeAuth, KubeConfig } from './config.ts'

/** An API server by its address, as a mount's configuration has it. */
export type ServerAddress = {
  /** With its scheme, perhaps with a slash at its end. */
  readonly host: string
  readonly ca: CaSource
  readonly auth: KubeAuth
  /** For messages: `kubernetes/config`. */
  readonly origin: string
}

export type OneServerOptions = Pick<CallerOptions, 'transport'> & {
  readonly world: World
  /** For a whole call with its repetitions, ms. */
  readonly deadlineMs: number
}

/**
 * The client of whoever speaks to one API server at a time: the same as long as address, CA and identity are, so that
 * connections are kept; made anew when one of them changed.
 */
export class OneServer {
  readonly #options: OneServerOptions
  #current: { readonly of: ServerAddress; readonly client: KubeClient } | null = null

  constructor(options: OneServerOptions) {
    this.#options = options
  }

  client(address: ServerAddress): KubeClient {
    if (this.#current !== null && isSame(this.#current.of, address)) return this.#current.client
    this.close()
    const config: KubeConfig = {
      server: address.host.replace(/\/+$/, ''),
      ca: address.ca,
      isInsecure: false,
      serverName: null,
      namespace: 'default',
      auth: address.auth,
      clientCertificate: null,
      impersonate: null,
      origin: address.origin,
    }
    const { transport, ...rest } = this.#options
    const client = createKubeClient({ config, ...rest, ...(transport && { transport }) })
    this.#current = { of: address, client }
    return client
  }

  close(): void {
    this.#current?.client.close()
    this.#current = null
  }
}

function isSame(a: ServerAddress, b: ServerAddress): boolean {
  return a.host === b.host && caText(a.ca) === caText(b.ca) && authText(a.auth) === authText(b.auth)
}

const caText = (ca: CaSource): string =>
  ca.kind === 'system' ? 'system' : ca.kind === 'pem' ? `pem ${ca.pem}` : `file ${ca.path}`

function authText(auth: KubeAuth): string {
  switch (auth.kind) {
    case 'none':
      return 'none'
    case 'token':
      return `token ${auth.token.reveal('comparison with the token of the client at hand')}`
    case 'token-file':
      return `file ${auth.path}`
    case 'exec':
      return `exec ${auth.plugin.command}`
  }
}

/** Is there a certificate in the PEM? */
export function hasCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== ''
  } catch {
    return false
  }
}
