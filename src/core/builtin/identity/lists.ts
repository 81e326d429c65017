import { type Json, RawJson, renderJson } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { pagingFields } from '#backend/listing.ts'
import type { Reply } from '#backend/reply.ts'
import type { MountShown } from '#core/identity/parts.ts'
import { aliasInfo, entityInfo, groupInfo } from './show.ts'
import { type IdentityState, row } from './state.ts'

/** In one answer; `after` goes on. */
const keysMax = 100_000

type Listed = { readonly key: string; readonly id: string; readonly info: Json }
type ListCall = Call<{ readonly after: string; readonly limit: number }>

async function listed(call: ListCall, all: AsyncIterable<Listed>): Promise<Reply> {
  const bound = call.input.limit > 0 ? Math.min(call.input.limit, keysMax) : keysMax
  const keys: string[] = []
  const keyInfo: Record<string, Json> = {}
  for await (const { key, id, info } of all) {
    call.signal.throwIfAborted()
    keys.push(key)
    // Made into text here, bit by bit: all at once would hold up everybody else.
    keyInfo[id] = new RawJson(renderJson(info))
    if (keys.length === bound) break
  }
  return { kind: 'list', keys, keyInfo }
}

/** One look for each mount, whatever the number of aliases. */
function remembering(mountOf: MountShown): MountShown {
  const known = new Map<string, ReturnType<MountShown>>()
  return accessor => {
    if (!known.has(accessor)) known.set(accessor, mountOf(accessor))
    return known.get(accessor) ?? null
  }
}

async function* entities(by: 'id' | 'name', call: ListCall, { identity, mountOf }: IdentityState) {
  const mounts = remembering(mountOf)
  for await (const entity of identity.entities.all(by, call.input.after)) {
    yield { key: entity[by], id: entity.id, info: entityInfo(entity, mounts) }
  }
}

async function* groups(by: 'id' | 'name', call: ListCall, state: IdentityState) {
  const mountOf = remembering(state.mountOf)
  for await (const group of state.identity.groups.all(by, call.input.after)) {
    yield { key: group[by], id: group.id, info: await groupInfo(group, { ...state, mountOf }) }
  }
}

async function* aliases(call: ListCall, { identity, mountOf }: IdentityState) {
  const mounts = remembering(mountOf)
  for await (const { alias, entity } of identity.aliases.all(call.input.after)) {
    yield { key: alias.id, id: alias.id, info: aliasInfo(alias, entity.id, mounts) }
  }
}

async function* groupAliases(call: ListCall, { identity, mountOf }: IdentityState) {
  const mounts = remembering(mountOf)
  for await (const { alias, group } of identity.groups.aliases(call.input.after)) {
    yield { key: alias.id, id: alias.id, info: aliasInfo(alias, group.id, mounts) }
  }
}

const listRow = (path: string, summary: string, all: (call: ListCall, state: IdentityState) => AsyncIterable<Listed>) =>
  row({
    path,
    fields: pagingFields,
    operations: {
      list: { access: 'policy', summary, handler: (call, state) => listed(call, all(call, state)) },
    },
    help: { synopsis: summary, description: '' },
  })

export const listRows = [
  listRow('entity/id', 'Ids of all entities.', (call, state) => entities('id', call, state)),
  listRow('entity/name', 'Names of all entities.', (call, state) => entities('name', call, state)),
  listRow('entity-alias/id', 'Ids of all aliases of entities.', aliases),
  listRow('alias/id', 'Old path of entity-alias/id.', aliases),
  listRow('persona/id', 'Old path of entity-alias/id.', aliases),
  listRow('group/id', 'Ids of all groups.', (call, state) => groups('id', call, state)),
  listRow('group/name', 'Names of all groups.', (call, state) => groups('name', call, state)),
  listRow('group-alias/id', 'Ids of all aliases of groups.', groupAliases),
]
