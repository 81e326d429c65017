import { int, text } from '#ground/fields/kit.ts'
import type { Call } from './call.ts'
import { type Parts, type Row, rowOf } from './engine.ts'
import type { Reply } from './reply.ts'
import type { Codec, View } from './storage.ts'

/** What every listing takes. */
export const pagingFields = {
  after: text({ description: 'List after this name.', from: 'query' }),
  limit: int({ description: 'List at most so many; 0 = all.', from: 'query' }),
} as const

type PagingCall = Pick<Call<{ readonly after: string; readonly limit: number }>, 'input' | 'signal'>

/** Names in one answer, however many there are; `after` goes on. */
const keysMaxListed = 100_000
const pageSize = 1_000

export const asFolder = (path: string): string => (path === '' || path.endsWith('/') ? path : `${path}/`)

const most = ({ input }: PagingCall): number => (input.limit > 0 ? Math.min(input.limit, keysMaxListed) : keysMaxListed)

/** One level below a folder. */
export async function listOf(view: View, codec: Codec<unknown>, folder: string, call: PagingCall): Promise<Reply> {
  return { kind: 'list', keys: await collect(level(view, codec, folder, call.input.after), call) }
}

/** All that is below a folder, at any depth, by its path from there. */
export async function scanOf(view: View, codec: Codec<unknown>, folder: string, call: PagingCall): Promise<Reply> {
  return { kind: 'list', keys: await collect(namesBelow(view, codec, folder, call.input.after), call) }
}

async function collect(names: AsyncGenerator<string>, call: PagingCall): Promise<readonly string[]> {
  const keys: string[] = []
  const bound = most(call)
  for await (const name of names) {
    keys.push(name)
    if (keys.length === bound) break
    if (keys.length % pageSize === 0) call.signal.throwIfAborted()
  }
  return keys
}

async function* level(view: View, codec: Codec<unknown>, folder: string, after: string): AsyncGenerator<string> {
  let last = after
  for (;;) {
    const page = await view.list(codec, folder, { ...(last !== '' && { after: last }), limit: pageSize })
    yield* page.keys
    if (!page.more) return
    last = page.keys.at(-1)!
  }
}

/**
 * Every name below a folder, at any depth, by its path from there; in the order of whole paths: a folder's name sorts as
 * what lies in it does.
 */
export async function* namesBelow(
  view: View,
  codec: Codec<unknown>,
  folder: string,
  after: string,
): AsyncGenerator<string> {
  const slash = after.indexOf('/')
  const first = after.slice(0, slash + 1)
  if (first !== '') yield* inside(view, codec, folder, first, after.slice(slash + 1))
  for await (const name of level(view, codec, folder, first === '' ? after : first)) {
    if (name.endsWith('/')) yield* inside(view, codec, folder, name, '')
    else yield name
  }
}

async function* inside(
  view: View,
  codec: Codec<unknown>,
  folder: string,
  name: string,
  after: string,
): AsyncGenerator<string> {
  for await (const deeper of namesBelow(view, codec, folder + name, after)) yield name + deeper
}

/** The row that lists the names of one kind of entry: `namesRow('roles', roleEntries, 'Names of all roles.')`. */
export function namesRow<S extends { readonly parts: Pick<Parts, 'view'> }>(
  path: string,
  codec: Codec<unknown>,
  summary: string,
): Row<S> {
  return rowOf<S>()({
    path,
    fields: pagingFields,
    operations: {
      list: { access: 'policy', summary, handler: (call, { parts }) => listOf(parts.view, codec, '', call) },
    },
    help: { synopsis: summary, description: '' },
  })
}
