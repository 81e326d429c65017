import type { Duplex } from 'node:stream'
import type { Bytes } from '#ground/base/brand.ts'
import type { Seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import type { WrapInfo } from '#protocol/envelope.ts'
import type { Login, NewToken } from './login.ts'
import type { IntentId } from './storage.ts'

/** What a handler gives back. Status and shape of the answer follow from it (server-core 1.6, 1.7). */
export type Reply = Outcome & {
  /** Turns 204 into 200. */
  readonly warnings?: readonly string[]
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** What concerns wrapping. */
  readonly wrap?: WrapWish
  /** What the audit's response entry shows instead of the data, for replies that aren't JSON. */
  readonly audited?: Json
  /**
   * An object that stays the same as long as the reply would: its rendered body and its hashed audit fragment are
   * kept beside it. Only for replies that depend on nothing else.
   */
  readonly memo?: object
}

/** What an engine says of the wrapping of its reply. */
export type WrapWish = {
  /** It asks for wrapping; the shorter of this and the request's wins. 0: it leaves it to the request. */
  readonly ttlSeconds: Seconds
  /** Of what is inside, for `wrapped_accessor`: a secret id's. That of a token needn't be said. */
  readonly accessor?: string
  /** Never as a JWT: who wraps words of his own must not get them signed. */
  readonly format?: 'token'
}

export type Outcome =
  /** 204; on a read 404 `{"errors":[]}`. */
  | { readonly kind: 'empty' }
  /** 404 `{"errors":[]}`. */
  | { readonly kind: 'missing' }
  /** 200, or `status` (a KV v2 deleted version is 404 with data); `topLevel` repeats the keys beside `data`. */
  | {
      readonly kind: 'data'
      readonly data: Json | null
      readonly status?: number
      readonly topLevel?: true
      /** Shown as `lease_duration` though there is no lease; never more than the mount's maximum. */
      readonly ttl?: Seconds
    }
  /** An empty list is 404 unless `scan` or there are warnings. */
  | {
      readonly kind: 'list'
      readonly keys: readonly string[]
      readonly keyInfo?: Json
      readonly scan?: true
      readonly topLevel?: true
    }
  /** A secret with a lease. `internal` comes back to `renew` and `revoke`; it is kept behind the barrier. */
  | {
      readonly kind: 'lease'
      readonly secretType: string
      readonly data: Json
      readonly internal: Json
      /** 0 = the mount's default. */
      readonly ttl: Seconds
      /** 0 = the mount's maximum. */
      readonly maxTtl: Seconds
      readonly renewable: boolean
      /** Settled in the commit that registers the lease. */
      readonly settles?: IntentId
    }
  /** A renewed lease, already made by `core/leases`. */
  | {
      readonly kind: 'renewed'
      readonly leaseId: string
      readonly renewable: boolean
      readonly ttl: Seconds
      readonly data: Json | null
    }
  /** A token for whoever the auth method found. */
  | { readonly kind: 'login'; readonly login: Login }
  /** A token as asked for by `auth/token/create`. */
  | { readonly kind: 'token'; readonly token: NewToken }
  /** A renewed or looked-up token's auth block, already made by `core/tokens`. */
  | { readonly kind: 'auth'; readonly auth: Json }
  /** An answer that was wrapped, as it was; already fetched by `core/tokens`. */
  | {
      readonly kind: 'unwrapped'
      readonly status: number
      readonly contentType: string
      readonly body: Bytes | string
    }
  /** An answer wrapped anew, already made by `core/tokens`; it isn't wrapped again. */
  | { readonly kind: 'rewrapped'; readonly info: WrapInfo }
  /** JSON without an envelope: health, seal-status, OpenAPI. */
  | { readonly kind: 'bare'; readonly status: number; readonly body: Json }
  | { readonly kind: 'raw'; readonly status: number; readonly contentType: string; readonly body: Bytes | string }
  | { readonly kind: 'stream'; readonly contentType: string; readonly body: AsyncIterable<Bytes> }
  /** 101 only after the response was audited; then the connection is the engine's. */
  | {
      readonly kind: 'upgrade'
      readonly headers: readonly (readonly [name: string, value: string])[]
      run(socket: Duplex, head: Bytes): Promise<void>
    }

export const empty: Reply = { kind: 'empty' }
export const missing: Reply = { kind: 'missing' }
export const data = (value: Json | null): Reply => ({ kind: 'data', data: value })
export const list = (keys: readonly string[]): Reply => ({ kind: 'list', keys })
