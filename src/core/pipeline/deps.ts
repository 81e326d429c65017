import type { Maybe } from '#ground/base/brand.ts'
import type { World } from '#ground/base/world.ts'
import type { HttpRequest, HttpResponse } from '#ground/http/message.ts'
import type { Json } from '#ground/text/json.ts'
import type { JsonLimits } from '#ground/text/json-parse.ts'
import type { AuditBroker } from '#core/audit/broker.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Lockout } from '#core/lockout/lockout.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import type { TokenMeters } from '#core/tokens/meters.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Wrappings } from '#core/tokens/wrapping.ts'
import type { Operation, Verdict } from '#protocol/verdict.ts'
import type { Refusals } from '#core/builtin/system/refusal.ts'
import type { PipelineMeters } from './meters.ts'

/** What a policy question is about. `values` null: parameters don't count (list, delete, capabilities). */
export type Question = {
  readonly path: string
  readonly operation: Operation
  readonly values: Readonly<Record<string, Json>> | null
  /** Seconds; 0 = no wrapping asked for. */
  readonly wrapTtl: number
}

/** The parts of an unsealed server that requests go through; made at unseal, gone at seal. */
export type House = {
  readonly mounts: Mounts
  readonly tokens: Tokens
  readonly wrappings: Wrappings
  readonly identity: Identity
  readonly leases: Leases
  readonly quotas: LeaseQuotas
  readonly lockout: Lockout
  readonly audit: AuditBroker
  readonly meters: TokenMeters
  judge(live: LiveToken, question: Question): Maybe<Verdict>
}

/** Rate limits: asked before the body is read, by address and path. `null` lets pass. */
export type RateLimits = {
  beforeBody(request: HttpRequest, path: string): HttpResponse | null
}

/** A place taken in lease counts; given back when disposed, unless it was kept. Both may be called more than once. */
export type Charge = Disposable & {
  /** For the answer: a quota is nearly used up. */
  readonly warning: string | null
  /** The lease or token is there: its end gives the place back. */
  keep(): void
}

/** Lease-count quotas: asked after policy and before the engine runs. */
export type LeaseQuotas = {
  readonly areSet: boolean
  /** Waits only while leases are being counted. @throws Fault `quota.exceeded`. */
  charge(at: { mount: string; path: string; role: string | null; isRoot: boolean }): Maybe<Charge | null>
}

export type PipelineSettings = {
  readonly bodyBytesMax: number
  readonly json: JsonLimits
  /** ms; rows with `deadline: false` have none. */
  readonly requestMsMax: number
  /** Answers of paths outside `/v1/`. */
  readonly pages: (request: HttpRequest) => HttpResponse | null
}

export type PipelineOptions = {
  readonly world: World
  readonly settings: PipelineSettings
  readonly rateLimits: RateLimits
  readonly refusals: Refusals
  readonly meters: PipelineMeters
  /** The `sys/` mount: answers, sealed or not. */
  readonly system: Mount
  /** null while sealed. */
  house(): House | null
}
