import { createHash } from 'node:crypto'
import type { Codec } from '#backend/storage.ts'
import type { KeeperWrite } from '#core/storage/keeper.ts'
import {
  aliasCodec,
  aliasIdCodec,
  childCodec,
  type EntityEntry,
  entityCodec,
  entityNameCodec,
  type GroupEntry,
  groupAliasCodec,
  groupAliasIdCodec,
  groupCodec,
  groupNameCodec,
  memberCodec,
  memberOfCodec,
  mergedCodec,
  type Work,
  workCodec,
} from './entry.ts'

/** A name takes twice its bytes in its key. */
export const nameBytesMax = 512

/** May it be an id? Ids come from outside, and become part of keys. */
export const isId = (id: string): boolean => /^[0-9a-f-]{36}$/.test(id)
const isAccessor = (text: string): boolean => /^\w[\w.-]{0,127}$/.test(text)
// Two names that differ in case alone are one. @source vault vault/identity_store_util.go sanitizeName
const hexOf = (name: string): string => Buffer.from(name.toLowerCase(), 'utf8').toString('hex')
// Names of aliases hold what the outside likes (slashes, blanks), and however much: the key has their hash.
const hashOf = (name: string): string => createHash('sha256').update(name).digest('base64url')

/** Where what belongs to identity lies, and the writes that put it there. */
export class IdentityKeys {
  readonly #prefix: string

  /** @param prefix ending in `/`: `root/identity/`. */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  folder(codec: Codec<unknown>): string {
    return this.#prefix + codec.prefix
  }

  at(codec: Codec<unknown>, id: string): string {
    return this.#prefix + codec.prefix + id
  }

  /** @returns null for a name that none can have. */
  name(kind: 'entity' | 'group', name: string): string | null {
    if (name === '' || Buffer.byteLength(name) > nameBytesMax || !name.isWellFormed()) return null
    return this.at(kind === 'entity' ? entityNameCodec : groupNameCodec, hexOf(name))
  }

  /** Where names begin that come after this one. */
  afterName(name: string): string {
    return hexOf(name)
  }

  /** @returns null for an accessor that none can be. */
  alias(kind: 'entity' | 'group', accessor: string, name: string): string | null {
    if (!isAccessor(accessor) || name === '') return null
    return this.at(kind === 'entity' ? aliasCodec : groupAliasCodec, `${accessor}/${hashOf(name)}`)
  }

  member(group: string, entity: string, entry: true | null): KeeperWrite {
    return { key: this.at(memberCodec, `${group}/${entity}`), codec: memberCodec, entry, uncached: true }
  }

  child(group: string, member: string, entry: true | null): KeeperWrite {
    return { key: this.at(childCodec, `${group}/${member}`), codec: childCodec, entry, uncached: true }
  }

  memberOf(entity: string, groups: readonly string[]): KeeperWrite {
    const entry = groups.length === 0 ? null : groups
    return { key: this.at(memberOfCodec, entity), codec: memberOfCodec, entry }
  }

  merged(from: string, to: string | null): KeeperWrite {
    return { key: this.at(mergedCodec, from), codec: mergedCodec, entry: to }
  }

  work(id: string, entry: Work | null): KeeperWrite {
    return { key: this.at(workCodec, id), codec: workCodec, entry }
  }

  /** From some entities to what they become, with all that finds them. */
  entities(before: readonly EntityEntry[], after: readonly EntityEntry[]): KeeperWrite[] {
    const found = ({ id, name, aliases }: EntityEntry): Found[] => [
      { key: this.name('entity', name)!, codec: entityNameCodec, to: id },
      ...aliases.flatMap(alias => [
        { key: this.alias('entity', alias.mountAccessor, alias.name)!, codec: aliasCodec, to: id },
        { key: this.at(aliasIdCodec, alias.id), codec: aliasIdCodec, to: id },
      ]),
    ]
    const ids = new Set([...before, ...after].map(one => one.id))
    const writes = [...ids].map(id => ({
      key: this.at(entityCodec, id),
      codec: entityCodec,
      entry: after.find(one => one.id === id) ?? null,
    }))
    return [...writes, ...changes(before.flatMap(found), after.flatMap(found))]
  }

  /** The same of a group. */
  group(before: GroupEntry | null, after: GroupEntry | null): KeeperWrite[] {
    const id = (before ?? after)!.id
    const found = (group: GroupEntry | null): Found[] => {
      if (group === null) return []
      const named = { key: this.name('group', group.name)!, codec: groupNameCodec, to: id }
      const { alias } = group
      if (alias === null) return [named]
      const byFactors = this.alias('group', alias.mountAccessor, alias.name)!
      return [
        named,
        { key: byFactors, codec: groupAliasCodec, to: id },
        { key: this.at(groupAliasIdCodec, alias.id), codec: groupAliasIdCodec, to: id },
      ]
    }
    const write = { key: this.at(groupCodec, id), codec: groupCodec, entry: after }
    return [write, ...changes(found(before), found(after))]
  }
}

type Found = { readonly key: string; readonly codec: Codec<string>; readonly to: string }

/** Only what differs. */
function changes(before: readonly Found[], after: readonly Found[]): KeeperWrite[] {
  const kept = new Set(after.map(({ key }) => key))
  const known = new Map(before.map(({ key, to }) => [key, to]))
  return [
    ...before.filter(({ key }) => !kept.has(key)).map(({ key, codec }) => ({ key, codec, entry: null })),
    ...after.filter(({ key, to }) => known.get(key) !== to).map(({ key, codec, to }) => ({ key, codec, entry: to })),
  ]
}
