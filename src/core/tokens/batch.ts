import { instant, seconds } from '#ground/base/clock.ts'
import { type Barrier, BarrierError } from '#core/barrier/barrier.ts'
import type { TokenKey } from '#backend/engine.ts'
import { fault } from '#protocol/fault.ts'
import type { TokenEntry } from './entry.ts'

export type Sealer = Pick<Barrier, 'seal' | 'open'>

/** Every batch token begins so; no other token may. */
export const batchPrefix = 'hvb.'
/** Tokens travel in a header, which proxies bound to 8 KiB. */
const charactersMax = 8_000
const shape = /^hvb\.[A-Za-z0-9_-]{32,7996}$/
const layout = 1

/** Short, since it is sent with each request: its members by place. */
type Packed = readonly [
  layout: number,
  parent: readonly [key: TokenKey, accessor: string] | null,
  policies: readonly string[],
  path: string,
  metadata: Readonly<Record<string, string>> | null,
  displayName: string,
  createdAt: number,
  ttl: number,
  entityId: string,
  boundCidrs: readonly string[],
  mountAccessor: string,
  role: string | null,
]

/**
 * Tokens that are kept nowhere: what they are is in them, sealed by the barrier's key ring, so that they are good as
 * long as the key of their term is there. What is sealed is bound to be a batch token of this place: no entry of the
 * store passes for one, nor the other way round.
 * @source openbao vault/token_store.go create: TokenTypeBatch
 */
export class BatchTokens {
  readonly #sealer: Sealer
  /** No entry of the store lies there. */
  readonly #place: string

  /** @param prefix of the tokens' part of the store, ending in `/`. */
  constructor(sealer: Sealer, prefix: string) {
    this.#sealer = sealer
    this.#place = `${prefix}batch`
  }

  /** @throws Fault when it would be too long for a header. */
  seal(entry: TokenEntry): string {
    const packed: Packed = [
      layout,
      entry.parent === null ? null : [entry.parent, entry.parentAccessor ?? ''],
      entry.policies,
      entry.path,
      entry.metadata,
      entry.displayName,
      entry.createdAt,
      entry.creationTtl,
      entry.entityId,
      entry.boundCidrs,
      entry.mountAccessor,
      entry.tokenRole?.name ?? null,
    ]
    const sealed = this.#sealer.seal(this.#place, Buffer.from(JSON.stringify(packed)))
    const token = batchPrefix + Buffer.from(sealed).toString('base64url')
    if (token.length <= charactersMax) return token
    throw fault(
      'request.invalid',
      `a batch token holds its policies and metadata itself: with these it would have ${token.length} characters, and ${charactersMax} fit into a header`,
    )
  }

  /** @returns null for what isn't one, or is one of another server, or was sealed by a key that is gone. */
  open(token: string): TokenEntry | null {
    if (!shape.test(token)) return null
    const sealed = Buffer.from(token.slice(batchPrefix.length), 'base64url')
    // The last character may hold bits that mean nothing: one token has one text.
    if (sealed.toString('base64url') !== token.slice(batchPrefix.length)) return null
    try {
      const packed = JSON.parse(Buffer.from(this.#sealer.open(this.#place, sealed)).toString()) as Packed
      return packed[0] === layout ? entryOf(packed) : null
    } catch (error) {
      if (error instanceof BarrierError && error.code !== 'sealed') return null
      throw error
    }
  }
}

function entryOf(packed: Packed): TokenEntry {
  const [, parent, policies, path, metadata, displayName, createdAt, ttl, entityId, boundCidrs, mountAccessor, role] =
    packed
  return {
    ...batchOnly,
    parent: parent === null ? null : parent[0],
    ...(parent !== null && { parentAccessor: parent[1] }),
    policies,
    path,
    metadata,
    displayName,
    createdAt: instant(createdAt),
    creationTtl: seconds(ttl),
    expiresAt: instant(createdAt + ttl * 1000),
    grantedTtl: seconds(ttl),
    entityId,
    boundCidrs,
    mountAccessor,
    ...(role !== null && { tokenRole: { name: role, period: seconds(0), explicitMaxTtl: seconds(0) } }),
  }
}

/** What a batch token never has. */
export const batchOnly = {
  type: 'batch',
  accessor: '',
  numUses: 0,
  renewedAt: null,
  explicitMaxTtl: seconds(0),
  period: seconds(0),
  renewable: false,
  login: null,
} as const satisfies Partial<TokenEntry>
