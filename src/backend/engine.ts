import type { Maybe } from '#ground/base/brand.ts'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { Peer } from '#ground/http/message.ts'
import type { Fields, Input } from '#ground/fields/field.ts'
import type { Json } from '#ground/text/json.ts'
import type { EngineEvent } from '#protocol/event.ts'
import type { Operation } from '#protocol/verdict.ts'
import type { Call } from './call.ts'
import type { Alias, Login } from './login.ts'
import type { NamespaceRef } from './namespace.ts'
import type { Reply } from './reply.ts'
import type { Codec, View } from './storage.ts'

/** What a mount is, to its engine. */
export type MountFacts = {
  /** Ending in `/`, with `auth/` for auth methods: `auth/kubernetes/`. */
  readonly path: string
  readonly accessor: string
  readonly uuid: string
  readonly namespace: NamespaceRef
  readonly options: Readonly<Record<string, string>>
  /** The mount's own where tuned, else the system's. */
  defaultTtl(): Seconds
  maxTtl(): Seconds
}

/** What an engine may use of the outside; nothing else is handed to it. */
export type Parts = {
  readonly world: World
  readonly view: View
  readonly mount: MountFacts
  /** Tells readers that something changed, after the commit that changed it. */
  emit(event: EngineEvent): void
  /**
   * What the server hands to this type of engine beside the common: the Kubernetes client's transport, the compute
   * pool, a SQL driver loader. Keys are the engine's documented needs (`engine.needs`).
   */
  readonly services: Readonly<Record<string, unknown>>
  /**
   * Where the state takes the place of one of another engine, whose entries it finds: resolved once the mount is this
   * engine's durably, and no request holds the other any more. Until then `open` changes nothing.
   */
  readonly former?: Promise<void>
}

/** A lease as its engine sees it when renewing or revoking. */
export type Held = {
  readonly leaseId: string
  readonly secretType: string
  readonly internal: Json
  readonly issuedAt: Instant
  readonly expiresAt: Instant
  /** What the caller asked for; 0 = not said. */
  readonly increment: Seconds
  readonly signal: AbortSignal
}

export type HeldLogin = {
  readonly login: Pick<Login, 'alias' | 'metadata' | 'parameters' | 'internal'>
  readonly issuedAt: Instant
  readonly increment: Seconds
  /** Whose request it is: not always the token's own. */
  readonly peer: Peer
  readonly signal: AbortSignal
}

/** What a renewal grants; the caps of mount and lease are core's to apply. */
export type Granted = {
  readonly ttl: Seconds
  readonly maxTtl: Seconds
  readonly period?: Seconds
  /** Groups of the outside that the login's alias is in now; absent = as before. */
  readonly groupAliases?: readonly Alias[]
  readonly warnings?: readonly string[]
}

/** `revoke` must bear being called twice. What both throw is shown to operators: the system's own words, no secret. */
export type LeaseKind<S> = {
  /** Absent: the lease can't be renewed. */
  renew?(held: Held, state: S): Promise<Granted>
  revoke(held: Held, state: S): Promise<void>
}

export type TokenKey = string & { readonly tokenKey: unique symbol }

/** How a row's action is guarded (server-core 2.1). */
export type Access =
  /** No token is looked at. */
  | 'unauthenticated'
  /** A token is used when sent and good; without one the handler decides. */
  | 'optional'
  /** Any good token; no capability. */
  | 'token'
  /** The capability of the operation on the path. */
  | 'policy'
  /** That and `sudo`. */
  | 'sudo'
  /** No token asked; a login: body and answer are audited as such, lockout and entity follow. */
  | 'login'
  /** A wrapping token, which is enough; or any with the capability, and the wrapping token in the field `token`. */
  | 'wrapping'

export type Action<S, F extends Fields = Fields> = {
  readonly access: Access
  /** Answered while sealed, too. */
  readonly sealed?: 'serve'
  /** What a standby does with it; default: reads serve locally once up to date, the rest is forwarded. */
  readonly standby?: 'local' | 'forward' | 'redirect'
  readonly namespaces?: 'any' | 'root'
  readonly audit?: false
  /** Its answer goes out as it is, whatever wrapping the request asks for. */
  readonly wrappable?: false
  /** May answer with a lease: quotas on leases are charged before the handler, and a standby forwards it. */
  readonly leases?: true
  /** No 90 s limit: streams and subscriptions. */
  readonly deadline?: false
  /** What the CLI's and OpenAPI's reader is told of this operation, one sentence. */
  readonly summary?: string
  /** Fields of `data` in the answer, for OpenAPI and docs. */
  readonly reply?: Fields
  handler(call: Call<Input<F>>, state: S): Maybe<Reply>
}

/** The operations that a row may name; `create` is an `update` whose `exists` said no. */
export type RowOperation = Extract<Operation, 'read' | 'update' | 'patch' | 'delete' | 'list' | 'scan' | 'header'>

/**
 * One path of an engine. `path` segments: literal, `:name` (one segment, Vault's name pattern), `:name@` (the same,
 * `@` allowed), `:name+` (one segment of any characters), `*name` (the rest, may hold slashes; last; may be empty for list). A row without a trailing slash also
 * takes LIST with one.
 */
export type Row<S, F extends Fields = Fields> = {
  readonly path: string
  readonly fields: F
  /** Captures are lower-cased before anything sees them. */
  readonly foldCase?: true
  /**
   * `raw`: the body isn't parsed; `call.raw` has it. `stream`: it isn't even read; `call.stream` has it as it comes, without
   * a bound on its size. `own`: its keys are the caller's own and may have any name, that of
   * a field too; they come whole as `call.body`, and the fields of a write are those of its path.
   */
  readonly body?: 'json' | 'raw' | 'own' | 'stream'
  readonly operations: { readonly [O in RowOperation]?: Action<S, F> }
  readonly help: { readonly synopsis: string; readonly description: string }
  /** Decides between `create` and `update` before policies are asked; without it every write is an update. */
  exists?(call: Call<Input<F>>, state: S): Maybe<boolean>
  /** The role a request is counted under by quotas. */
  role?(call: Call<Input<F>>, state: S): Maybe<string | null>
  /** Who this login would be, for lockout, before credentials are checked. */
  alias?(call: Call<Input<F>>, state: S): Maybe<Alias | null>
}

/** An engine or auth method: a value, with one state `S` per mount. */
export type Engine<S> = {
  /** `kv`, `kubernetes`; the name in `sys/mounts`. */
  readonly type: string
  readonly kind: 'secret' | 'auth'
  readonly version: string
  /** One sentence for `sys/plugins` and docs. */
  readonly description: string
  /** Every kind of entry that it keeps; nothing else is written. */
  readonly codecs: readonly Codec<unknown>[]
  readonly rows: readonly Row<S>[]
  /** Options that may be given at mount time, with the values allowed; unknown ones are refused. */
  readonly options?: Readonly<Record<string, readonly string[] | 'any'>>
  /** Two engines of one type (kv versions 1 and 2): does this one serve a mount with these options? Default: yes. */
  serves?(options: Readonly<Record<string, string>>): boolean
  /** Names of `Parts.services` that it can't do without. */
  readonly needs?: readonly string[]
  open(parts: Parts): Maybe<S>
  close?(state: S): Maybe<void>
  /** Kinds of secrets that end. A fault `request.invalid` or `path.unsupported` from `revoke` is final: no more tries. */
  readonly leases?: Readonly<Record<string, LeaseKind<S>>>
  /** null: the login can't be renewed any more, answer 204 and extend nothing. A fault refuses: 500 `failed to renew entry: ` and its text. */
  renewLogin?(held: HeldLogin, state: S): Maybe<Granted | 'unchanged' | null>
  /** Must bear being called twice, and for effects that never came to be. */
  readonly intents?: Readonly<Record<string, { undo(entry: Json, state: S, signal: AbortSignal): Promise<void> }>>
  readonly alarms?: Readonly<Record<string, { fire(id: string, state: S, signal: AbortSignal): Promise<void> }>>
  /** Another node wrote these keys (below the mount), or nobody knows which. */
  invalidate?(keys: readonly string[] | 'all', state: S): void
}

/** What catalogs hold: the state's type is the engine's own business. Sound because a mount hands each engine only the state that it opened. */
export type AnyEngine = Engine<unknown>

/** Types a row's handlers by its own fields: `const row = rowOf<State>()`, then `row({ path, fields, … })`. */
export function rowOf<S>(): <const F extends Fields>(row: Row<S, F>) => Row<S> {
  return row => row as unknown as Row<S>
}
