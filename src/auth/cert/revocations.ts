import { createHttpClient, type HttpClient } from '#ground/http/client.ts'
import type { RevocationList, X509 } from '#ground/crypto/x509.ts'
import type { Parts } from '#backend/engine.ts'
import { jsonEntries } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import type { Kit } from './kit.ts'
import { pemBytes } from './pem.ts'

/** A list of revoked certificates, as it came. */
export type CrlEntry = {
  /** Where it is fetched from; empty = it was sent. */
  readonly url: string
  /** DER, base64. */
  readonly der: string
}

export const crlEntries = jsonEntries<CrlEntry>('crl/')

const pageSize = 200
const fetchMsMax = 15_000
const listBytesMax = 16 << 20
/** A list is fetched again when it says that there is a new one; not more often than hourly, and daily in any case. */
const refreshMs = { least: 3_600_000, most: 86_400_000 }

/** The revocation lists of a mount, kept read. */
export class Revocations {
  readonly #parts: Parts
  readonly #http: HttpClient
  readonly #kit: Kit
  #all: Promise<ReadonlyMap<string, RevocationList>> | null = null

  constructor(parts: Parts, kit: Kit) {
    this.#parts = parts
    this.#kit = kit
    this.#http = createHttpClient({ clock: parts.world.clock, connectionsMax: 8 })
  }

  all(): Promise<ReadonlyMap<string, RevocationList>> {
    this.#all ??= this.#load().catch((error: unknown) => {
      this.#all = null
      throw error
    })
    return this.#all
  }

  forget(): void {
    this.#all = null
  }

  /** Is any of them on a list? */
  async areRevoked(certificates: readonly X509[]): Promise<boolean> {
    const lists = [...(await this.all()).values()]
    return lists.some(list => certificates.some(one => this.#kit.isRevoked(one, list)))
  }

  /** @throws Fault 400 when nothing or something else comes. */
  async fetch(url: string, signal: AbortSignal): Promise<Uint8Array> {
    if (!/^https?:\/\/[^\s/]/.test(url))
      throw fault('request.invalid', `"${url}" is no address with http:// or https://`)
    try {
      const limits = { timeoutMs: fetchMsMax, responseBytesMax: listBytesMax }
      const answer = await this.#http.request({ method: 'GET', url, signal, ...limits })
      if (answer.status !== 200) throw fault('request.invalid', `error fetching CRL: status ${answer.status}`)
      return Uint8Array.from(answer.body)
    } catch (error) {
      if (error instanceof Error && error.name === 'Fault') throw error
      throw fault('request.invalid', `error fetching CRL: ${error instanceof Error ? error.message : 'unknown'}`)
    }
  }

  /** For OCSP, too. */
  get http(): HttpClient {
    return this.#http
  }

  /** When a list that was fetched should be fetched again, ms from now. */
  waitMs(list: RevocationList): number {
    const left = (list.nextUpdate ?? Number.POSITIVE_INFINITY) - this.#parts.world.clock.now()
    return Math.min(Math.max(left, refreshMs.least), refreshMs.most)
  }

  close(): void {
    this.#http.close()
  }

  async #load(): Promise<ReadonlyMap<string, RevocationList>> {
    const { view } = this.#parts
    const lists = new Map<string, RevocationList>()
    let after = ''
    for (;;) {
      const page = await view.list(crlEntries, '', { ...(after !== '' && { after }), limit: pageSize })
      for (const name of page.keys) {
        const entry = await view.get(crlEntries.key(name))
        if (entry !== null) lists.set(name, this.#kit.readRevocationList(Buffer.from(entry.der, 'base64')))
      }
      if (!page.more) return lists
      after = page.keys.at(-1)!
    }
  }
}

/** PEM or DER. @throws Fault 400 */
export function readList(bytes: Uint8Array, kit: Kit): { readonly der: Uint8Array; readonly list: RevocationList } {
  const text = Buffer.from(bytes).toString('latin1')
  const block = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----/.exec(text)?.[0]
  const der = block === undefined ? bytes : pemBytes(block)
  try {
    return { der, list: kit.readRevocationList(der) }
  } catch (error) {
    if (error instanceof kit.X509Error) throw fault('request.invalid', `failed to parse CRL: ${error.message}`)
    throw error
  }
}
