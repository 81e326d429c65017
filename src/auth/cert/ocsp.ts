import type { OcspStatus } from '#ground/crypto/ocsp.ts'
import type { X509 } from '#ground/crypto/x509.ts'
import type { HttpClient } from '#ground/http/client.ts'
import type { World } from '#ground/base/world.ts'
import type { Kit } from './kit.ts'
import { certificatesOf } from './pem.ts'
import type { OcspSettings } from './role-entry.ts'

type Ask = {
  readonly certificate: X509
  readonly issuer: X509
  readonly settings: OcspSettings
  readonly signal: AbortSignal
}

const answerBytesMax = 1 << 20
const askMsMax = 5_000
const serversMax = 8
/** Answers that don't say how long they hold. */
const lifetimeMs = 300_000

/** Asks responders about certificates, and keeps their answers as long as those say. */
export class Responders {
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #http: HttpClient
  readonly #kit: Kit
  readonly #kept = new Map<string, { readonly status: OcspStatus; readonly until: number }>()

  constructor(world: Pick<World, 'clock' | 'log'>, http: HttpClient, kit: Kit) {
    this.#kit = kit
    this.#world = world
    this.#http = http
  }

  /** @returns null when it is good, or nobody answers and that is allowed; else why not. */
  async fault(ask: Ask, cacheSize: number): Promise<string | null> {
    const { certificate, issuer, settings } = ask
    const servers = (settings.servers.length > 0 ? settings.servers : certificate.ocspServers).slice(0, serversMax)
    if (servers.length === 0) return settings.failsOpen ? null : 'the certificate names no OCSP server'
    const answers: OcspStatus[] = []
    let problem = ''
    for (const server of servers) {
      try {
        const status = await this.#status(server, ask, cacheSize)
        if (status === 'revoked') return `${server} says that it is revoked`
        answers.push(status)
        if (status === 'good' && !settings.asksAll) return null
      } catch (error) {
        problem = error instanceof Error ? error.message : 'unknown'
        this.#world.log.warn('an OCSP server gave no answer', { server, problem, issuer: issuer.commonName })
        ask.signal.throwIfAborted()
      }
    }
    if (answers.includes('unknown')) return 'the certificate is not known to the OCSP server'
    const isMissing = settings.asksAll ? answers.length < servers.length : answers.length === 0
    return isMissing && !settings.failsOpen ? `no OCSP server answered: ${problem}` : null
  }

  async #status(
    server: string,
    { certificate, issuer, settings, signal }: Ask,
    cacheSize: number,
  ): Promise<OcspStatus> {
    const now = this.#world.clock.now()
    const key = `${server} ${issuer.subject} ${certificate.serial}`
    const kept = this.#kept.get(key)
    if (kept !== undefined && kept.until > now) return kept.status
    const { status: code, body } = await this.#http.request({
      method: 'POST',
      url: server,
      headers: [['Content-Type', 'application/ocsp-request']],
      body: await this.#kit.ocspRequest(certificate, issuer),
      timeoutMs: askMsMax,
      responseBytesMax: answerBytesMax,
      signal,
    })
    if (code !== 200) throw new Error(`status ${code}`)
    const signers = settings.authorities === '' ? [] : certificatesOf(settings.authorities, this.#kit)
    const { status, nextUpdate } = await this.#kit.readOcspAnswer(body, { certificate, issuer, signers, at: now })
    this.#keep(key, { status, until: nextUpdate ?? now + lifetimeMs }, cacheSize)
    return status
  }

  // The one asked longest ago goes.
  #keep(key: string, answer: { status: OcspStatus; until: number }, cacheSize: number): void {
    this.#kept.delete(key)
    this.#kept.set(key, answer)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= cacheSize) return
      this.#kept.delete(oldest)
    }
  }
}
