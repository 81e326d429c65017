import type { Maybe } from '#ground/base/brand.ts'
import { type Instant, instant, type Seconds, seconds } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { type Es512Key, newEs512Key, openEs512, readEs512Key, signEs512 } from '#ground/crypto/es512.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { WrapAsk } from '#backend/call.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import type { WrapInfo } from '#protocol/envelope.ts'
import { type Fault, fault } from '#protocol/fault.ts'
import type { TokenEntry } from './entry.ts'
import type { Beside, Issued, Tokens } from './tokens.ts'
import type { WrappedAnswer } from './wrapped.ts'

export type WrappingsOptions = {
  readonly tokens: Tokens
  readonly keeper: Keeper
  readonly world: Pick<World, 'clock'>
  /** Of the tokens, ending in `/`: `root/token/`. */
  readonly prefix: string
  /** Where clients reach this server, for tokens that say it; empty when not known. */
  readonly address: () => string
}

/** How an answer is to be put away. */
export type Keeping = {
  readonly ttl: Seconds
  /** Path of the request that it answers. */
  readonly path: string
  /** Of the mount that answered: the wrapping token ends with it. */
  readonly mountAccessor: string
  /** Of the token or secret id inside; empty when there is none. */
  readonly wrappedAccessor: string
  readonly format: WrapAsk['format']
}

/** The one sentence for all that is no wrapping token (any more). @source openbao sdk/helper/consts */
const invalidText = 'wrapping token is not valid or does not exist'

/** @param isToken it is a token, but none that wraps */
export const invalidWrapping = (isToken: boolean): Fault =>
  fault('request.invalid', invalidText, {
    reason: isToken
      ? 'the token is not a wrapping token'
      : 'the wrapping token is unknown, expired, used or revoked: if nobody of yours used it, somebody else has what it wrapped',
  })

/** What can't be a wrapping token. @source openbao vault/wrapping.go validateWrappingToken */
export const malformedWrapping = (why: string): Fault =>
  fault('permission.bare', `error validating wrapping token: ${why}`, { reason: why })

/** A JWT, and no token of a namespace, which has two dots, too. */
const isJwt = (token: string): boolean => token.startsWith('ey') && token.split('.').length === 3

/**
 * Answers that are put away: each under a token of its own that is good for one use, which fetches it and ends.
 * Answer and token come in one commit and go in one: a token that was used, by whom or how often at once ever, is gone
 * before its answer is.
 * @source openbao vault/wrapping.go
 */
export class Wrappings {
  readonly #options: WrappingsOptions
  #key: Es512Key | null = null

  constructor(options: WrappingsOptions) {
    this.#options = options
  }

  /** Durable when it resolves. */
  async keep(answer: WrappedAnswer, how: Keeping): Promise<WrapInfo> {
    const { tokens } = this.#options
    return this.#info(await tokens.issue(this.#entry(how), this.#beside(answer)), how)
  }

  /** The answer behind a wrapping token, once: of several that ask at once one gets it. null: there is none (any more). */
  async take(token: string): Promise<WrappedAnswer | null> {
    const found = await this.look(token)
    if (found === null) return null
    const answer = await this.answerOf(found.key)
    return answer !== null && (await this.#options.tokens.spend(found.key)) ? answer : null
  }

  /**
   * Puts an answer away anew under another token, for as long as before; the old token ends in the same commit.
   * @returns null when there is none (any more)
   */
  async renew(token: string, format: WrapAsk['format']): Promise<WrapInfo | null> {
    const { tokens } = this.#options
    const found = await this.look(token)
    const answer = found === null ? null : await this.answerOf(found.key)
    if (found === null || answer === null) return null
    const { entry } = found
    const { path, mountAccessor } = entry
    // What a client wrapped itself is never signed.
    const isOwn = path.startsWith('sys/wrapping/')
    const how: Keeping = {
      ttl: entry.creationTtl,
      path,
      mountAccessor,
      wrappedAccessor: entry.wraps!.accessor,
      format: isOwn ? 'token' : format,
    }
    const made = await tokens.replace(found.key, this.#entry(how), this.#beside(answer))
    return made === null ? null : this.#info(made, how)
  }

  /** A wrapping token that can still be used; null for all others. It takes no use. */
  look(token: string): Maybe<{ readonly key: TokenKey; readonly entry: TokenEntry } | null> {
    const { tokens } = this.#options
    const key = tokens.key(token)
    const isGood = (entry: TokenEntry | null) => (entry?.wraps && tokens.isAlive(entry) ? { key, entry } : null)
    const entry = tokens.entry(key)
    return entry instanceof Promise ? entry.then(isGood) : isGood(entry)
  }

  /** What lies under a wrapping token, whether it can still be used or not; null for others. */
  answerOf(key: TokenKey): Maybe<WrappedAnswer | null> {
    return this.#options.tokens.shelf.wrapped(key)
  }

  /** The token that a client means: what it sent, or what the JWT that it sent holds. @throws Fault for another's JWT */
  async meant(sent: string): Promise<string> {
    if (!isJwt(sent)) return sent
    const claims = openEs512(sent, await this.signingKey())
    const id = claims?.['jti']
    if (claims?.['type'] === 'wrapping' && typeof id === 'string') return id
    throw malformedWrapping('wrapping token signature could not be validated')
  }

  /** Made when it is first asked for. */
  async signingKey(): Promise<Es512Key> {
    if (this.#key !== null) return this.#key
    const { keeper, prefix } = this.#options
    const pem = await keeper.update(`${prefix}wrapping-key`, textCodec, now => {
      const kept = (now as string | null) ?? newEs512Key()
      return now === null ? { entry: kept, result: kept } : { result: kept }
    })
    return (this.#key = readEs512Key(pem))
  }

  async #info({ token, entry }: Issued, how: Keeping): Promise<WrapInfo> {
    return {
      token: how.format === 'jwt' ? await this.#signed(token, entry.createdAt, how) : token,
      accessor: entry.accessor,
      ttl: entry.creationTtl,
      creationTime: formatRfc3339Nano(entry.createdAt),
      creationPath: entry.path,
      wrappedAccessor: how.wrappedAccessor,
    }
  }

  async #signed(token: Secret, at: Instant, how: Keeping): Promise<Secret> {
    const now = Math.floor(at / 1000)
    const claims = {
      accessor: how.wrappedAccessor,
      addr: this.#options.address(),
      exp: now + how.ttl,
      iat: now,
      jti: token.reveal('a wrapping token as a JWT'),
      // Clocks of who checks it may be a little behind.
      nbf: now - 5,
      type: 'wrapping',
    }
    return new Secret(signEs512(claims, await this.signingKey()))
  }

  #entry({ ttl, path, mountAccessor, wrappedAccessor }: Keeping): Omit<TokenEntry, 'accessor'> {
    const now = this.#options.world.clock.now()
    return {
      parent: null,
      policies: ['response-wrapping'],
      path,
      metadata: null,
      displayName: '',
      numUses: 1,
      createdAt: now,
      creationTtl: ttl,
      expiresAt: instant(now + ttl * 1000),
      renewedAt: null,
      grantedTtl: ttl,
      explicitMaxTtl: ttl,
      period: seconds(0),
      renewable: false,
      entityId: '',
      boundCidrs: [],
      mountAccessor,
      login: null,
      wraps: { accessor: wrappedAccessor },
    }
  }

  #beside(answer: WrappedAnswer): Beside {
    return key => [this.#options.tokens.shelf.wrappedWrite(key, answer)]
  }
}
