import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError, isTokenGone } from '#client/api-error.ts'
import { renewSelf } from '#client/calls/token.ts'
import { keepAlive } from '#client/lifetime.ts'
import { kubernetesLogin } from '#client/login/kubernetes.ts'
import { authOf, lifetimeOf, type LoginMethod } from '#client/login/login.ts'
import { tokenFileLogin } from '#client/login/token-file.ts'
import type { MethodStanza } from '#delivery/agent-config/config.ts'

export type AuthOptions = {
  readonly world: World
  /** Without a token, without retries: the loop has its own. */
  readonly client: ApiClient
  readonly method: MethodStanza
  /** Refusals (400, 403) in a row after which the agent gives up; null = never. */
  readonly refusalsMax: number | null
  /** A token that is there already: used before the first login. */
  readonly handedOver: Held | null
  readonly onToken: (held: Held) => Promise<void>
}

/** A token and how long it lives. */
export type Held = {
  readonly token: Secret
  /** ms since 1970; null = never. */
  readonly expiresAtMs: number | null
  readonly isRenewable: boolean
}

const shortLifeMs = 1000

/** The agent can't log in, and must not try on: `message` goes to the termination message. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused'
}

export function loginMethod(method: MethodStanza): LoginMethod {
  if (method.type === 'token_file') return tokenFileLogin({ path: method.path })
  return kubernetesLogin({
    role: method.role,
    mount: method.mountPath,
    ...(method.tokenPath !== null && { tokenPath: method.tokenPath }),
  })
}

/**
 * Logs in, keeps the token alive, logs in again when it ends, until stopped.
 * @source openbao api auth handler: the wait doubles from min to max back-off, less 0 to 25 %
 */
export class AuthLoop {
  readonly #options: AuthOptions
  readonly #method: LoginMethod
  #refusals = 0
  #invalid: AbortController = new AbortController()
  #handedOver: Held | null

  constructor(options: AuthOptions) {
    this.#options = options
    this.#handedOver = options.handedOver
    this.#method = loginMethod(options.method)
  }

  /** A reader was told that the token is unknown: log in again now. */
  tokenInvalid(): void {
    this.#invalid.abort()
  }

  /** @throws LoginRefused, or the failure when `exit_on_err` is set. Ends when the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, method } = this.#options
    let waitMs = method.minBackoff * 1000
    while (!signal.aborted) {
      try {
        const heldMs = await this.#once(signal)
        // Tokens that are refused as soon as they are used: logging in at once again would never end.
        if (heldMs < shortLifeMs) throw new Error('the token was of no use right after the login')
        waitMs = method.minBackoff * 1000
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof LoginRefused || method.exitOnErr) throw error
        const backoffMs = waitMs * (1 - 0.25 * world.entropy.fraction())
        world.log.error('error authenticating', { error, backoff: `${(backoffMs / 1000).toFixed(2)}s` })
        waitMs = Math.min(waitMs * 2, method.maxBackoff * 1000)
        await world.clock.sleep(backoffMs, signal).catch(() => undefined)
      }
    }
  }

  /** @returns how long the token was held, ms. */
  async #once(signal: AbortSignal): Promise<number> {
    const { world, client, onToken } = this.#options
    const handedOver = this.#handedOver
    this.#handedOver = null
    const held = handedOver ?? (await this.#login(signal))
    const sinceMs = world.clock.monotonic()
    this.#invalid = new AbortController()
    await onToken(held)
    const end = await this.#keep(
      client.with({ token: held.token }),
      held,
      AbortSignal.any([signal, this.#invalid.signal]),
    )
    if (signal.aborted) return Number.MAX_SAFE_INTEGER
    world.log.info('the token ends; logging in again', { because: this.#invalid.signal.aborted ? 'refused' : end })
    return handedOver === null ? world.clock.monotonic() - sinceMs : Number.MAX_SAFE_INTEGER
  }

  async #login(signal: AbortSignal): Promise<Held> {
    const { clock, log } = this.#options.world
    try {
      log.info('authenticating', { method: this.#method.describes })
      const auth = authOf(await this.#method.login(this.#options.client, { signal }))
      this.#refusals = 0
      log.info('authentication successful, sending token to sinks and templates')
      const { ttlSeconds, isRenewable } = lifetimeOf(auth)
      const expiresAtMs = ttlSeconds > 0 ? clock.now() + ttlSeconds * 1000 : null
      return { token: auth.clientToken, expiresAtMs, isRenewable }
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 400 && error.status !== 403)) {
        this.#refusals = 0
        throw error
      }
      this.#refusals++
      const { refusalsMax } = this.#options
      if (refusalsMax === null || this.#refusals < refusalsMax) throw error
      const why = error.errors.join('; ').trim() || `the server answered ${error.status}`
      throw new LoginRefused(
        `login refused ${this.#refusals} times: ${this.#method.describes}: Code: ${error.status}. Errors: ${why}${hintOf(why)}`,
        { cause: error },
      )
    }
  }

  async #keep(client: ApiClient, { expiresAtMs, isRenewable }: Held, signal: AbortSignal): Promise<string> {
    const { world } = this.#options
    const ttlSeconds = expiresAtMs === null ? 0 : Math.max(1, (expiresAtMs - world.clock.now()) / 1000)
    const end = await keepAlive(world, {
      lifetime: { ttlSeconds, isRenewable },
      renew: async (increment, renewSignal) => lifetimeOf(await renewSelf(client, increment, { signal: renewSignal })),
      isGone: isTokenGone,
      onRenewed: ({ ttlSeconds }) => world.log.info('renewed auth token', { ttl: `${ttlSeconds}s` }),
      onRetry: (error, waitMs) =>
        world.log.warn('renewing the token failed', { error, backoff: `${(waitMs / 1000).toFixed(2)}s` }),
      signal,
    })
    return end.kind
  }
}

// What the reader of `kubectl describe pod` should look at first.
function hintOf(text: string): string {
  if (text.includes('invalid role name'))
    return '. Is the role written, and the annotation vault.hashicorp.com/role right?'
  if (text.includes('service account name not authorized'))
    return ". The pod's service account is not bound to the role."
  if (text.includes('namespace not authorized')) return ". The pod's namespace is not bound to the role."
  if (text.includes('audience')) return ". The role asks for an audience that the pod's token is not made for."
  return ''
}
