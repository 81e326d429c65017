import type { Instant } from '#ground/base/clock.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Codec } from '#backend/storage.ts'

type Texts = Readonly<Record<string, string>>

/** Who an entity is at one mount. */
export type AliasEntry = {
  readonly id: string
  readonly mountAccessor: string
  readonly name: string
  /** What the last login brought. */
  readonly metadata: Texts
  /** What operators wrote. */
  readonly customMetadata: Texts
  /** Entities that had it before they were merged, oldest first. */
  readonly mergedFrom: readonly string[]
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

/** A person or workload, whichever way it logs in; its policies add to those of each of its tokens. */
export type EntityEntry = {
  readonly id: string
  readonly name: string
  readonly policies: readonly string[]
  readonly metadata: Texts
  readonly isDisabled: boolean
  readonly aliases: readonly AliasEntry[]
  /** Entities that were merged into it, oldest first: their tokens are its own. */
  readonly mergedIds: readonly string[]
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

/** Entities and groups, whose policies its members get, through groups in groups, too. Who is a member stands apart. */
export type GroupEntry = {
  readonly id: string
  readonly name: string
  /** The members of an external group are those whose login says so. */
  readonly type: 'internal' | 'external'
  readonly policies: readonly string[]
  readonly metadata: Texts
  /** Groups that it is a member of; one that is gone counts for nothing. */
  readonly parentIds: readonly string[]
  /** Only of an external group. */
  readonly alias: AliasEntry | null
  readonly createdAt: Instant
  readonly updatedAt: Instant
  readonly modifyIndex: number
}

/** What has more steps than one commit holds. It is kept before the first step, and a restart goes on with it. */
export type Work =
  /** The group becomes `next`: those who leave it first, then it, then those who come. */
  | {
      readonly kind: 'group'
      readonly next: GroupEntry
      readonly drop: readonly Member[]
      readonly add: readonly Member[]
    }
  /** The group is gone; what names it goes. */
  | { readonly kind: 'dead-group'; readonly id: string; readonly parentIds: readonly string[] }
  /** The entity is gone; what names it goes. */
  | { readonly kind: 'dead-entity'; readonly id: string; readonly mergedIds: readonly string[] }
  | { readonly kind: 'merge'; readonly to: string; readonly from: readonly string[]; readonly keep: readonly string[] }

export type Member = { readonly kind: 'entity' | 'group'; readonly id: string }

const json = <E>(prefix: string): Codec<E> => ({ prefix, encode: jsonBytes.encode, decode: jsonBytes.decode })
const present = (prefix: string): Codec<true> => ({ prefix, encode: () => new Uint8Array(0), decode: () => true })

export const entityCodec = json<EntityEntry>('entity/')
/** `alias/<mount accessor>/<hash of the name>` → entity. */
export const aliasCodec = json<string>('alias/')
export const aliasIdCodec = json<string>('alias-id/')
/** `entity-name/<name in lower case as hex>`: no two have one name; hex keeps the order, and any name is one segment. */
export const entityNameCodec = json<string>('entity-name/')
/** `merged/<entity that is gone>` → the one that it became. */
export const mergedCodec = json<string>('merged/')
export const groupCodec = json<GroupEntry>('group/')
export const groupNameCodec = json<string>('group-name/')
export const groupAliasCodec = json<string>('group-alias/')
export const groupAliasIdCodec = json<string>('group-alias-id/')
/** `member-of/<entity>`: the groups that it is directly in. */
export const memberOfCodec = json<readonly string[]>('member-of/')
/** `member/<group>/<entity>`: read in pages, never as a whole. */
export const memberCodec = present('member/')
/** `child/<group>/<member group>`. */
export const childCodec = present('child/')
export const workCodec = json<Work>('work/')
