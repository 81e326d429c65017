import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import type { Headers, Peer } from '#ground/http/message.ts'
import type { JsonObject } from '#ground/text/json.ts'
import type { Operation, Verdict } from '#protocol/verdict.ts'
import type { NamespaceRef } from './namespace.ts'

/** Who asks, as far as a handler may know: never the token itself. */
export type Caller = {
  readonly accessor: string
  readonly displayName: string
  readonly tokenType: 'service' | 'batch'
  /** The token's own policies, sorted. */
  readonly tokenPolicies: readonly string[]
  /** Those of its entity and groups, sorted. */
  readonly identityPolicies: readonly string[]
  readonly entityId: string
  readonly metadata: Readonly<Record<string, string>> | null
  readonly isRoot: boolean
  /** Path of the request that made the token: `auth/kubernetes/login`. */
  readonly path: string
  /** null: never. */
  readonly expiresAt: Instant | null
}

export type WrapAsk = { readonly ttlSeconds: Seconds; readonly format: 'token' | 'jwt' }

/** One request as a handler sees it: parsed, authorised, bounded. */
export type Call<F = unknown> = {
  /** The request id of envelope, audit and `X-Coffer-Request-Id`. */
  readonly id: string
  readonly operation: Operation
  /** Below the mount, without leading slash: `data/app/db`. LIST paths keep their trailing slash. */
  readonly path: string
  readonly mountPath: string
  readonly namespace: NamespaceRef
  readonly input: F
  /** Names of the fields that were in the request (path, query or body): `null` counts as not sent. */
  readonly sent: ReadonlySet<string>
  /** Fields sent as null: what PATCH resets. */
  readonly nulls: readonly string[]
  /** What the body holds, for writes of rows with `body: 'own'`; else empty. */
  readonly body: JsonObject
  /** The body as sent, for rows with `body: 'raw'`. */
  readonly raw: Bytes | null
  /** The body as it comes, for rows with `body: 'stream'`; to be read once. */
  readonly stream: AsyncIterable<Bytes> | null
  readonly headers: Headers
  readonly peer: Peer
  /** The client's address after PROXY header and forwarded-for rules; what bound CIDRs are checked against. */
  readonly remoteAddress: string
  readonly caller: Caller | null
  /** Would the caller be allowed to? Without parameters; for rows that guard more than one path. */
  may(path: string, operation: Operation | 'sudo'): Maybe<Verdict>
  readonly wrap: WrapAsk | null
  /** Aborted when the client goes, the deadline passes or the node steps down. */
  readonly signal: AbortSignal
  now(): Instant
}
