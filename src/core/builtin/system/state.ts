import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { type Row, rowOf } from '#backend/engine.ts'
import type { AuditDevices } from '#core/audit/devices.ts'
import type { EventHub } from '#core/events/event-hub.ts'
import type { NoticeHub } from '#core/events/notices.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Lockout } from '#core/lockout/lockout.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import type { Moves } from '#core/mounts/moves.ts'
import type { PolicyShelf } from '#core/policy/shelf.ts'
import type { LeaseQuotas } from '#core/quota/lease-quotas.ts'
import type { TokenCount } from '#core/quota/token-count.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Wrappings } from '#core/tokens/wrapping.ts'
import type { Verdict } from '#protocol/verdict.ts'
import type { PasswordShelf } from './password-shelf.ts'
import type { Refusal } from './refusal.ts'

/** What `sys/seal-status` says. @source server-core 2.2 */
export type SealStatus = {
  readonly type: string
  readonly isInitialized: boolean
  readonly isSealed: boolean
  readonly threshold: number
  readonly shares: number
  readonly progress: number
  readonly nonce: string
  readonly isRecoverySeal: boolean
  readonly storageType: string
}

export type InitAsk = {
  readonly secretShares: number
  readonly secretThreshold: number
  readonly recoveryShares: number
  readonly recoveryThreshold: number
  /** Which of the fields were sent: those of the other family of seals are refused. */
  readonly sent: ReadonlySet<string>
}

/** Key shares as hex, and the root token: shown once, kept by nobody. */
export type InitResult = {
  readonly keys: readonly string[]
  readonly recoveryKeys: readonly string[]
  readonly rootToken: string
}

/** The node's life as far as `sys/` drives it. Faults carry Vault's texts. */
export interface SealControl {
  status(): Maybe<SealStatus>
  init(ask: InitAsk): Promise<InitResult>
  unseal(key: string): Promise<SealStatus>
  resetUnseal(): Promise<SealStatus>
  seal(): Promise<void>
}

/** Copies of the whole store, and back. */
export interface Snapshots {
  /** A gzipped tar archive, made while it is read. */
  take(): Promise<AsyncIterable<Bytes>>
  /**
   * When it resolves, the content of the archive is the store's, durably; a moment later the server has it, unsealed by
   * its seal or sealed.
   * @param options `isForced`: an archive of other keys, too.
   * @throws Fault that says what is wrong with the archive; nothing changed, then.
   */
  restore(archive: AsyncIterable<Bytes>, options: { isForced: boolean }): Promise<void>
}

/** The parts that exist only while unsealed. */
export type UnsealedState = {
  readonly mounts: Mounts
  readonly moves: Moves
  readonly identity: Identity
  readonly leases: Leases
  readonly tokens: Tokens
  readonly wrappings: Wrappings
  readonly tokenCount: Pick<TokenCount, 'total'>
  readonly quotas: LeaseQuotas
  readonly lockout: Lockout
  readonly policies: PolicyShelf
  readonly passwords: PasswordShelf
  readonly devices: AuditDevices
  readonly notices: NoticeHub
  readonly events: EventHub
}

/** What the `sys/` engine works on. */
export type SystemState = {
  readonly world: World
  readonly seal: SealControl
  readonly snapshots: Snapshots
  readonly version: string
  readonly buildDate: string
  clusterName(): string
  /** What is counted. @param format empty: as the `Accept` headers say */
  metrics(
    format: string,
    accepted: readonly string[],
  ): { readonly status: number; readonly contentType: string; readonly body: string }
  /** Null while sealed. */
  clusterId(): string | null
  /** @throws Fault `server.sealed` */
  house(): UnsealedState
  refusal(requestId: string): Refusal | null
  /** What was sent as the client's token, good or not; null: nothing. */
  sentTokenOf(call: Call): string | null
  /** Is the token of this call still good? */
  isCallerAlive(call: Call): Promise<boolean>
  /** Does any rule of the caller's policies lie at or below the path, or cover it? */
  touches(call: Call, path: string): Promise<boolean>
  /** May the caller hear of an event of this type about this path? null: about none. */
  mayHear(call: Call, path: string | null, type: string): Promise<boolean>
  /** Judges for the token behind an accessor; null when there is none. */
  judgeFor(accessor: string, path: string, operation: Verdict['capabilities'][number] | 'help'): Promise<Verdict | null>
  /** Judges for a token; null when there is none. */
  judgeToken(token: string, path: string, operation: Verdict['capabilities'][number] | 'help'): Promise<Verdict | null>
  /** The OpenAPI document of all mounts that the caller may see. */
  openApi(call: Call, generic: boolean): Json
}

export const row = rowOf<SystemState>()
export type SystemRow = Row<SystemState>
