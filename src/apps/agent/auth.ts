import type { Secret } from '#ground/base/secret.ts'
import { Gate } from '#ground/base/queue.ts'
import type { World } from '#ground/base/world.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError, isTokenGone } from '#client/api-error.ts'
import { renewSelf } from '#client/calls/token.ts'
import { keepAlive } from '#client/lifetime.ts'
import { approleFilesLogin } from '#client/login/approle.ts'
import { kubernetesLogin } from '#client/login/kubernetes.ts'
import { authOf, lifetimeOf, type LoginMethod } from '#client/login/login.ts'
import { tokenFileLogin } from '#client/login/token-file.ts'
import { isAway, type ServerReturn } from '#client/server-return.ts'
import type { MethodStanza } from '#delivery/agent-config/config.ts'

export type AuthOptions = {
  readonly world: World
  /** Without a token, without retries: the loop has its own. */
  readonly client: ApiClient
  readonly method: MethodStanza
  /** How to log in; default: as `method` says. */
  readonly login?: LoginMethod
  /** Shortens the wait for a server that was away. */
  readonly serverReturn: ServerReturn
  /** Refusals (400, 403) in a row after which the agent gives up; null = never. */
  readonly refusalsMax: number | null
  /** A token that is there already: used before the first login. */
  readonly handedOver: Held | null
  readonly onToken: (held: Held) => Promise<void>
  /** The end of the token that is held is another. */
  readonly onRenewed: () => void
}

/** A token and how long it lives; while the loop holds it, `expiresAtMs` follows each renewal, and its end. */
export type Held = {
  readonly token: Secret
  /** ms since 1970; null = never. */
  readonly expiresAtMs: number | null
  readonly isRenewable: boolean
}

type Mine = { -readonly [K in keyof Held]: Held[K] } & {
  /** What the login granted, ms; 0 where that isn't known. */
  readonly grantedMs: number
  /** Aborted for another login: `gone` when the token works no more, else `short`. */
  readonly ending: AbortController
}

const shortLifeMs = 1000
/** The longest wait without a token that works, unless the login was refused. */
const longestBlindMs = 30_000

/** The agent can't log in, and must not try on: `message` goes to the termination message. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused'
}

export function loginMethod(method: MethodStanza, log: World['log']): LoginMethod {
  if (method.type === 'token_file') return tokenFileLogin({ path: method.path })
  if (method.type === 'approle') {
    return approleFilesLogin({ ...method, mount: method.mountPath, onWarning: text => log.warn(text) })
  }
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
  readonly #outliving = new Gate(1)
  #refusals = 0
  #held: Mine | null = null
  #goneAtMs: number | null = null
  #handedOver: Held | null
  /** Told at each new token. */
  #changed = Promise.withResolvers<void>()

  constructor(options: AuthOptions) {
    this.#options = options
    this.#handedOver = options.handedOver
    this.#method = options.login ?? loginMethod(options.method, options.world.log)
  }

  /** When a token was last found to be known to nobody; null = never. */
  get goneAtMs(): number | null {
    return this.#goneAtMs
  }

  /** A reader was told that the token is unknown: log in again now. */
  tokenInvalid(token: Secret | null): void {
    // The answer may be late, and the token have a successor.
    if (this.#held?.token === token) this.#held?.ending.abort('gone')
  }

  /** Something hints at the end of the token: renewing tells, since leases are seldom asked about. */
  async check(signal: AbortSignal): Promise<void> {
    if (this.#held?.isRenewable) await this.#renew(this.#held, signal)
  }

  /**
   * Sees to it that the token lives at least until then: what is made with it lives no longer. Renews it, and where that
   * isn't enough and another login helps, logs in again. Resolves when that is so, or can't be so; a login that fails is
   * tried again until the signal ends the wait. Never throws.
   */
  outlive(untilMs: number, signal: AbortSignal): Promise<void> {
    return this.#outliving.run(async () => {
      const held = this.#held
      if (held === null || signal.aborted || endsAfter(held, untilMs)) return
      if (held.isRenewable) await this.#renew(held, signal)
      if (endsAfter(held, untilMs) || signal.aborted || held !== this.#held) return
      if (held.grantedMs > 0 && this.#options.world.clock.now() + held.grantedMs <= untilMs) return
      const changed = this.#changed.promise
      held.ending.abort('short')
      const stopped = Promise.withResolvers<void>()
      signal.addEventListener('abort', () => stopped.resolve(), { once: true })
      await Promise.race([changed, stopped.promise])
    })
  }

  /** @throws LoginRefused, or the failure when `exit_on_err` is set. Ends when the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, method, serverReturn } = this.#options
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
        const backoffMs = Math.min(waitMs * (1 - 0.25 * world.entropy.fraction()), this.#patienceMs(error))
        world.log.error('error authenticating', { error, backoff: `${(backoffMs / 1000).toFixed(2)}s` })
        waitMs = Math.min(waitMs * 2, method.maxBackoff * 1000)
        await serverReturn.wait(backoffMs, error, signal)
      }
    }
  }

  /** @returns how long the token was held, ms. */
  async #once(signal: AbortSignal): Promise<number> {
    const { world, client, onToken } = this.#options
    const handedOver = this.#handedOver
    this.#handedOver = null
    const held = handedOver === null ? await this.#login(signal) : mine(handedOver, 0)
    const sinceMs = world.clock.monotonic()
    this.#held = held
    await onToken(held)
    this.#tell()
    const end = await this.#keep(
      client.with({ token: held.token }),
      held,
      AbortSignal.any([signal, held.ending.signal]),
    )
    if (signal.aborted) return Number.MAX_SAFE_INTEGER
    const because = held.ending.signal.aborted ? (held.ending.signal.reason as string) : end
    if (because === 'gone') this.#goneAtMs = held.expiresAtMs = world.clock.now()
    world.log.info('the token ends; logging in again', { because })
    return handedOver === null && because !== 'short' ? world.clock.monotonic() - sinceMs : Number.MAX_SAFE_INTEGER
  }

  // A server that fails may recover at any time: the next try comes before the token that is held has ended. One that
  // refuses is spared, and one that is away is told of by `serverReturn`.
  #patienceMs(error: unknown): number {
    if (!(error instanceof ApiError) || isRefusal(error) || isAway(error)) return Number.POSITIVE_INFINITY
    const endsAtMs = this.#held === null ? 0 : (this.#held.expiresAtMs ?? Number.POSITIVE_INFINITY)
    return Math.max(longestBlindMs, (endsAtMs - this.#options.world.clock.now()) / 2)
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }

  async #renew(held: Mine, signal: AbortSignal): Promise<void> {
    const client = this.#options.client.with({ token: held.token })
    try {
      this.#renewed(held, lifetimeOf(await renewSelf(client, 0, { signal })).ttlSeconds)
    } catch (error) {
      if (isTokenGone(error)) held.ending.abort('gone')
    }
  }

  #renewed(held: Mine, ttlSeconds: number): void {
    held.expiresAtMs = ttlSeconds > 0 ? this.#options.world.clock.now() + ttlSeconds * 1000 : null
    this.#options.onRenewed()
  }

  async #login(signal: AbortSignal): Promise<Mine> {
    const { clock, log } = this.#options.world
    try {
      log.info('authenticating', { method: this.#method.describes })
      const auth = authOf(await this.#method.login(this.#options.client, { signal }))
      this.#refusals = 0
      log.info('authentication successful, sending token to sinks and templates')
      const { ttlSeconds, isRenewable } = lifetimeOf(auth)
      const expiresAtMs = ttlSeconds > 0 ? clock.now() + ttlSeconds * 1000 : null
      return mine({ token: auth.clientToken, expiresAtMs, isRenewable }, ttlSeconds * 1000)
    } catch (error) {
      if (!(error instanceof ApiError) || !isRefusal(error)) {
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

  async #keep(client: ApiClient, held: Mine, signal: AbortSignal): Promise<string> {
    const { world } = this.#options
    const { expiresAtMs, isRenewable } = held
    const ttlSeconds = expiresAtMs === null ? 0 : Math.max(1, (expiresAtMs - world.clock.now()) / 1000)
    const end = await keepAlive(world, {
      lifetime: { ttlSeconds, isRenewable },
      renew: async (increment, renewSignal) => lifetimeOf(await renewSelf(client, increment, { signal: renewSignal })),
      isGone: isTokenGone,
      onRenewed: ({ ttlSeconds }) => {
        this.#renewed(held, ttlSeconds)
        world.log.info('renewed auth token', { ttl: `${ttlSeconds}s` })
      },
      onRetry: (error, waitMs) =>
        world.log.warn('renewing the token failed', { error, backoff: `${(waitMs / 1000).toFixed(2)}s` }),
      signal,
    })
    return end.kind
  }
}

const mine = ({ token, expiresAtMs, isRenewable }: Held, grantedMs: number): Mine => ({
  token,
  expiresAtMs,
  isRenewable,
  grantedMs,
  ending: new AbortController(),
})

const isRefusal = ({ status }: ApiError): boolean => status === 400 || status === 403

const endsAfter = ({ expiresAtMs }: Held, atMs: number): boolean => expiresAtMs === null || expiresAtMs > atMs

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
