import { createHttpClient, type HttpClient } from '#ground/http/client.ts'
import { HttpClientError } from '#ground/http/dial.ts'
import { isJsonObject, type Json, type JsonObject } from '#ground/text/json.ts'
import { JsonError, parseJson } from '#ground/text/json-parse.ts'
import type { VerifyKey } from '#ground/crypto/jws.ts'
import type { World } from '#ground/base/world.ts'
import type { JwtConfig, KeySetPlace } from './config-entry.ts'
import type { Kit } from './kit.ts'

/** The issuer can't be asked, or answers something else; the text is for the client. */
export class IssuerError extends Error {
  override readonly name = 'IssuerError'
}

/** What the discovery document says (OpenID Connect Discovery 1.0 section 3), as far as it is used. */
export type Provider = {
  readonly issuer: string
  readonly keySet: string
  /** Empty where it has none. */
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly userinfoEndpoint: string
  /** How the client may say who it is. */
  readonly clientAuthentication: readonly string[]
}

const fetchMsMax = 10_000
const answerBytesMax = 1 << 20
/** What was fetched is fetched again after an hour; while nobody answers it counts for a day. */
const freshMs = 3_600_000
const staleMs = 86_400_000
/** After an unknown key, or a failure, the issuer isn't asked again for so long. */
const backOffMs = 10_000

/** One document of the issuer, kept; asked for by one at a time. */
class Kept<T> {
  readonly #clock: World['clock']
  readonly #fetch: () => Promise<T>
  #value: { readonly value: T; readonly at: number } | null = null
  #failure: { readonly error: IssuerError; readonly at: number } | null = null
  #running: Promise<T> | null = null

  constructor(clock: World['clock'], fetch: () => Promise<T>) {
    this.#clock = clock
    this.#fetch = fetch
  }

  /** @throws IssuerError */
  async get(): Promise<T> {
    const age = this.#value === null ? Number.POSITIVE_INFINITY : this.#clock.now() - this.#value.at
    if (this.#value !== null && age < freshMs) return this.#value.value
    try {
      return await this.#refresh()
    } catch (error) {
      if (!(error instanceof IssuerError) || this.#value === null || age >= staleMs) throw error
      return this.#value.value
    }
  }

  /** Once more, if it wasn't just fetched. @returns null then. */
  async renew(): Promise<T | null> {
    if (this.#running === null && this.#value !== null && this.#clock.now() - this.#value.at < backOffMs) return null
    return this.#refresh()
  }

  #refresh(): Promise<T> {
    if (this.#failure !== null && this.#clock.now() - this.#failure.at < backOffMs) {
      return Promise.reject(this.#failure.error)
    }
    this.#running ??= this.#fetch()
      .then(
        value => {
          this.#value = { value, at: this.#clock.now() }
          this.#failure = null
          return value
        },
        (error: unknown) => {
          if (error instanceof IssuerError) this.#failure = { error, at: this.#clock.now() }
          throw error
        },
      )
      .finally(() => {
        this.#running = null
      })
    return this.#running
  }
}

type Session = {
  readonly clients: HttpClient[]
  readonly keys: readonly Kept<readonly VerifyKey[]>[]
  readonly provider: { readonly kept: Kept<Provider>; readonly http: HttpClient } | null
}

/** Whoever signs the tokens of a mount: keys and discovery document, kept until the configuration changes. */
export class Issuer {
  readonly #world: Pick<World, 'clock'>
  readonly #kit: Kit
  #session: Session | null = null

  constructor(world: Pick<World, 'clock'>, kit: Kit) {
    this.#world = world
    this.#kit = kit
  }

  /** The configuration changed. */
  reset(): void {
    for (const client of this.#session?.clients ?? []) client.close()
    this.#session = null
  }

  /**
   * The claims of a token that the issuer signed; an unknown key makes it ask once more for the keys.
   * @throws JwsError when nobody did, IssuerError when it can't be told
   */
  async verify(config: JwtConfig, jwt: string, algorithms: readonly string[]): Promise<JsonObject> {
    if (config.publicKeys.length > 0) {
      return this.#kit.verifyJws(jwt, config.publicKeys.map(this.#kit.readPublicKey), algorithms)
    }
    // Before anybody is asked for keys.
    this.#kit.readJwsHeader(jwt)
    const { keys } = this.#open(config)
    const known = await allOf(keys.map(kept => kept.get()))
    try {
      return await this.#kit.verifyJws(jwt, known, algorithms)
    } catch (error) {
      if (!(error instanceof this.#kit.JwsError)) throw error
      const renewed = await this.#renewed(keys)
      if (renewed.length === 0) throw error
      return this.#kit.verifyJws(jwt, renewed, algorithms)
    }
  }

  async #renewed(keys: Session['keys']): Promise<readonly VerifyKey[]> {
    const sets = await Promise.allSettled(keys.map(kept => kept.renew()))
    return sets.flatMap(one => (one.status === 'fulfilled' ? (one.value ?? []) : []))
  }

  /** @throws IssuerError */
  provider(config: JwtConfig): Promise<Provider> {
    const { provider } = this.#open(config)
    return provider === null ? Promise.reject(new IssuerError('oidc_discovery_url is not set')) : provider.kept.get()
  }

  /** Asks one of the provider's endpoints. @throws IssuerError when there is no JSON object in the answer */
  async ask(
    config: JwtConfig,
    ask: { method: 'GET' | 'POST'; url: string; headers: readonly (readonly [string, string])[]; body?: string },
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const { provider } = this.#open(config)
    if (provider === null) throw new IssuerError('oidc_discovery_url is not set')
    return fetchObject(provider.http, ask.url, { ...ask, signal })
  }

  /** Is everything there that this configuration names? For its write. @throws IssuerError */
  async check(config: JwtConfig): Promise<void> {
    const session = this.#make(config)
    try {
      if (session.provider !== null) await session.provider.kept.get()
      await Promise.all(session.keys.map(kept => kept.get()))
    } finally {
      for (const client of session.clients) client.close()
    }
  }

  #open(config: JwtConfig): Session {
    this.#session ??= this.#make(config)
    return this.#session
  }

  #make({ keySets, discovery }: JwtConfig): Session {
    const { clock } = this.#world
    const clients: HttpClient[] = []
    const clientFor = ({ ca }: KeySetPlace): HttpClient => {
      const client = createHttpClient({ clock, connectionsMax: 8, waitingMax: 200, ...(ca !== '' && { tls: { ca } }) })
      clients.push(client)
      return client
    }
    const keysAt = async (http: HttpClient, url: string): Promise<readonly VerifyKey[]> => {
      const text = await fetchText(http, url)
      try {
        return this.#kit.readKeySet(text)
      } catch (error) {
        if (!(error instanceof this.#kit.JwsError)) throw error
        throw new IssuerError(`${url}: ${error.message}`)
      }
    }
    if (discovery === null) {
      const keys = keySets.map(place => {
        const http = clientFor(place)
        return new Kept(clock, () => keysAt(http, place.url))
      })
      return { clients, keys, provider: null }
    }
    const http = clientFor(discovery)
    const kept = new Kept(clock, () => discover(http, discovery.url))
    const keys = [new Kept(clock, async () => keysAt(http, (await kept.get()).keySet))]
    return { clients, keys, provider: { kept, http } }
  }
}

// One issuer of several may be away, as long as another answers.
async function allOf(sets: readonly Promise<readonly VerifyKey[]>[]): Promise<readonly VerifyKey[]> {
  const settled = await Promise.allSettled(sets)
  const failed = settled.find(one => one.status === 'rejected')
  const keys = settled.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
  if (failed !== undefined && keys.length === 0) throw failed.reason
  return keys
}

/** @source OpenID Connect Discovery 1.0 section 4.3: the document must be of the issuer that was asked */
async function discover(http: HttpClient, url: string): Promise<Provider> {
  const document = await fetchObject(http, `${url.replace(/\/$/, '')}/.well-known/openid-configuration`)
  const text = (name: string): string => {
    const value = Object.hasOwn(document, name) ? document[name] : undefined
    return typeof value === 'string' ? value : ''
  }
  if (text('issuer') !== url) {
    throw new IssuerError(
      `issuer did not match the issuer returned by provider, expected "${url}" got "${text('issuer')}"`,
    )
  }
  const keySet = text('jwks_uri')
  if (!isAddress(keySet)) throw new IssuerError(`${url}: the discovery document has no jwks_uri`)
  const ways = document['token_endpoint_auth_methods_supported']
  return {
    issuer: url,
    keySet,
    authorizationEndpoint: text('authorization_endpoint'),
    tokenEndpoint: text('token_endpoint'),
    userinfoEndpoint: text('userinfo_endpoint'),
    clientAuthentication: Array.isArray(ways) ? ways.filter(one => typeof one === 'string') : ['client_secret_basic'],
  }
}

export const isAddress = (text: string): boolean => /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text)

type Ask = {
  readonly method?: 'GET' | 'POST'
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
  readonly signal?: AbortSignal
}

async function fetchText(http: HttpClient, url: string, ask: Ask = {}): Promise<string> {
  const limits = { timeoutMs: fetchMsMax, responseBytesMax: answerBytesMax }
  try {
    const answer = await http.request({ method: 'GET', ...ask, url, ...limits })
    // A redirect is no answer: what is trusted is what was configured.
    if (answer.status !== 200) throw new IssuerError(`${url} answers with status ${answer.status}`)
    return Buffer.from(answer.body).toString('utf8')
  } catch (error) {
    if (error instanceof HttpClientError) throw new IssuerError(`${url}: ${error.message}`, { cause: error })
    throw error
  }
}

async function fetchObject(http: HttpClient, url: string, ask: Ask = {}): Promise<JsonObject> {
  const text = await fetchText(http, url, ask)
  let value: Json = null
  try {
    value = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
  }
  if (!isJsonObject(value)) throw new IssuerError(`${url} answers with something that is no JSON object`)
  return value
}
