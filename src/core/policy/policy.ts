import type { Instant } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import type { NamespaceRef } from '#backend/namespace.ts'
import type { ControlGroup } from '#protocol/verdict.ts'

/** Parameter names, lower case, to the values that count; an empty list stands for any value. */
export type ParameterValues = ReadonlyMap<string, readonly Json[]>

/** One `path` block as written: the pattern may hold templates, and isn't yet that of a namespace. */
export type PathRule = {
  /** Without a leading slash. */
  readonly pattern: string
  readonly isTemplated: boolean
  /** Bits of `capability.ts`; with `deny` nothing else is in it. */
  readonly capabilities: number
  /** null: not given. */
  readonly allowed: ParameterValues | null
  readonly denied: ParameterValues | null
  /** Lower case. */
  readonly required: readonly string[]
  /** Seconds; 0: no bound. */
  readonly minWrapTtl: number
  readonly maxWrapTtl: number
  /** 0: no bound. */
  readonly paginationLimit: number
  /** The block counts until then; null: always. */
  readonly expiresAt: Instant | null
  readonly mfaMethods: readonly string[]
  readonly controlGroup: ControlGroup | null
  readonly keysFilter: string | null
  readonly subscribeEventTypes: readonly string[]
}

/** A policy's text, understood; the same for all namespaces and tokens, so that it is parsed once a version. */
export type ParsedPolicy = { readonly rules: readonly PathRule[]; readonly isTemplated: boolean }

/** A policy where it stands: its rules hold below the path of its namespace. */
export type Policy = {
  readonly name: string
  readonly namespace: NamespaceRef
  readonly parsed: ParsedPolicy
  /** Values with `*` or `+` may be put in for templates (OpenBao's `allow_wildcards_in_identity_templates`). */
  readonly allowsWildcards?: boolean
  /** Values with `/` may be put in for templates (OpenBao's `allow_slashes_in_identity_templates`). */
  readonly allowsSlashes?: boolean
}

/** Text that is no policy; the message is what a client reads. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
}
