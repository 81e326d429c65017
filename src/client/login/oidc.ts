import { silentLog } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import type { HttpRequest, HttpResponse } from '#ground/http/message.ts'
import { type HttpServer, listen } from '#ground/http/server.ts'
import type { Envelope } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import { authMount, LoginError, type LoginMethod, type LoginOptions } from './login.ts'

export type OidcLoginOptions = {
  /** Empty = the mount's default. */
  readonly role: string
  /** Default `auth/oidc`. */
  readonly mount?: string
  /** Where the browser is awaited. */
  readonly listen: { readonly host: string; readonly port: number }
  /** What the browser knows that place by; a port of 0 is the one that was chosen. */
  readonly callback: { readonly scheme: string; readonly host: string; readonly port: number }
  /** ms for the person to do it. */
  readonly timeoutMs: number
  readonly world: Pick<World, 'clock' | 'entropy'>
  /** Brings the person to this address. */
  show(address: string): void
}

const callbackPath = '/oidc/callback'
/** For the browser to get its page. */
const farewellMs = 2_000

/** Logs a person in through the browser: it goes to the provider, and comes back to us with a code. */
export function oidcLogin(options: OidcLoginOptions): LoginMethod {
  const mount = authMount(options.mount ?? 'oidc')
  return {
    describes: `oidc role "${options.role}" at ${mount}`,
    async login(client: ApiClient, call: LoginOptions = {}): Promise<Envelope> {
      const visit = new Visit()
      const server = await openListener(options, visit)
      try {
        return await walk(client.with({ token: null }), server, visit, mount, options, call)
      } finally {
        await server.close({ graceMs: farewellMs })
      }
    },
  }
}

/** The one visit of the browser that counts: that with the state which we began. */
class Visit {
  readonly #done = Promise.withResolvers<Envelope>()
  #finish: ((query: URLSearchParams) => Promise<Envelope>) | null = null
  #state = ''

  constructor() {
    // Whoever waits hears of it; nobody may wait any more.
    this.#done.promise.catch(() => undefined)
  }

  get end(): Promise<Envelope> {
    return this.#done.promise
  }

  expect(state: string, finish: (query: URLSearchParams) => Promise<Envelope>): void {
    this.#state = state
    this.#finish = finish
  }

  readonly handler = async (request: HttpRequest): Promise<HttpResponse> => {
    if (request.method !== 'GET' || request.path !== callbackPath) return page(404, 'There is nothing here.')
    const query = new URLSearchParams(request.query)
    const finish = this.#finish
    if (finish === null || query.get('state') !== this.#state) {
      return page(400, 'This login was not begun here, or has ended.')
    }
    this.#finish = null
    try {
      this.#done.resolve(await finish(query))
      return page(200, 'You are logged in. This page can be closed.')
    } catch (error) {
      this.#done.reject(error)
      return page(400, 'The login was refused; the terminal says why.')
    }
  }
}

const page = (status: number, text: string): HttpResponse => ({
  status,
  headers: [
    ['Content-Type', 'text/html; charset=utf-8'],
    ['Content-Security-Policy', "default-src 'none'"],
  ],
  body: `<!doctype html><title>coffer</title><p>${text}</p>\n`,
})

async function openListener({ listen: address, world }: OidcLoginOptions, visit: Visit): Promise<HttpServer> {
  try {
    return await listen({ address, handler: visit.handler, clock: world.clock, log: silentLog })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new LoginError(
      `the browser can't be awaited at ${address.host}:${address.port} (port=, listenaddress=): ${why}`,
    )
  }
}

async function walk(
  client: ApiClient,
  server: HttpServer,
  visit: Visit,
  mount: string,
  options: OidcLoginOptions,
  call: LoginOptions,
): Promise<Envelope> {
  const { role, world, timeoutMs, callback } = options
  const chosen = 'port' in server.address ? server.address.port : 0
  const redirectUri = `${callback.scheme}://${callback.host}:${callback.port === 0 ? chosen : callback.port}${callbackPath}`
  const nonce = world.entropy.base62(32)
  const address = await begin(client, mount, { role, redirect_uri: redirectUri, client_nonce: nonce }, call)
  visit.expect(new URL(address).searchParams.get('state') ?? '', async query => {
    const names = ['state', 'code', 'id_token', 'error', 'error_description', 'error_uri']
    const brought = names.flatMap(name => (query.has(name) ? [[name, query.get(name)!] as const] : []))
    const asked = { ...Object.fromEntries(brought), client_nonce: nonce }
    const answer = await client.request({ method: 'GET', path: `${mount}/oidc/callback`, query: asked, ...call })
    if (!answer.envelope) throw new LoginError(`empty response from ${mount}/oidc/callback`)
    return answer.envelope
  })
  options.show(address)
  const late = Promise.withResolvers<never>()
  using _timer = world.clock.after(timeoutMs, () =>
    late.reject(new LoginError('Timed out waiting for response from provider')),
  )
  const onAbort = (): void => late.reject(call.signal?.reason)
  call.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([visit.end, late.promise])
  } finally {
    call.signal?.removeEventListener('abort', onAbort)
  }
}

async function begin(
  client: ApiClient,
  mount: string,
  { role, ...rest }: { readonly role: string; readonly redirect_uri: string; readonly client_nonce: string },
  call: LoginOptions,
): Promise<string> {
  const body = { ...(role !== '' && { role }), ...rest }
  const { signal } = call
  const path = `${mount}/oidc/auth_url`
  const answer = await client.request({ method: 'PUT', path, body, wrapTtlSeconds: 0, ...(signal && { signal }) })
  const address = answer.envelope?.data?.['auth_url']
  if (typeof address === 'string' && URL.canParse(address)) return address
  throw new LoginError(
    `Unable to authorize role "${role}" with redirect_uri "${rest.redirect_uri}". Check Vault logs for more information.`,
  )
}
