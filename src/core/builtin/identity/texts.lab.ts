import assert from 'node:assert/strict'
import type { TestServer } from '#core/testing/mount.ts'
import { accessorOf, type Body, make, openIdentityLab } from './identity.lab.ts'

/** What is there when a case is asked. */
export type Known = Readonly<Record<string, string>>

export async function furnish(server: TestServer): Promise<Known> {
  await server.ask('POST', 'sys/auth/second', { body: { type: 'doorman' } })
  await server.ask('POST', 'sys/auth/near', { body: { type: 'doorman', local: true } })
  const [first, second, near] = [
    await accessorOf(server),
    await accessorOf(server, 'second'),
    await accessorOf(server, 'near'),
  ]
  const [bob, eve, far] = [
    await make(server, 'entity', { name: 'bob' }),
    await make(server, 'entity', { name: 'eve' }),
    await make(server, 'entity', { name: 'far' }),
  ]
  const alias = (name: string, mount_accessor: string, canonical_id: string): Promise<string> =>
    make(server, 'entity-alias', { name, mount_accessor, canonical_id })
  const bobs = await alias('bob', first, bob)
  const eves = await alias('eve', first, eve)
  const evesSecond = await alias('eve', second, eve)
  const nears = await alias('far', near, far)
  const inner = await make(server, 'group', { name: 'inner' })
  const outer = await make(server, 'group', { name: 'outer', member_group_ids: inner })
  const external = await make(server, 'group', { name: 'external', type: 'external' })
  const other = await make(server, 'group', { name: 'other', type: 'external' })
  const tied = await make(server, 'group-alias', { name: 'ops', mount_accessor: first, canonical_id: external })
  const aliases = { bobs, eves, evesSecond, nears, tied }
  return { first, second, near, bob, eve, far, inner, outer, external, other, ...aliases }
}

export const nowhere = '00000000-0000-4000-8000-000000000000'
export const long = 'x'.repeat(513)
export const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v']))
export const bare = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
export type Case = readonly [
  rule: string,
  call: string,
  body: (known: Known) => Body | null,
  status: number,
  text: string | RegExp | ((known: Known) => string) | null,
]

export async function playText([, call, body, status, text]: Case): Promise<void> {
  await using server = await openIdentityLab()
  const known = await furnish(server)
  const [method, path] = call.split(' ') as [string, string]
  const sent = body(known)
  const answer = await server.ask(method, `identity/${path}`, sent === null ? {} : { body: sent })
  assert.equal(answer.status, status, answer.errors.join())
  const wanted = typeof text === 'function' ? text(known) : text
  if (wanted instanceof RegExp) assert.match(answer.errors[0] ?? '', wanted)
  else assert.deepEqual(answer.errors, wanted === null ? [] : [wanted])
}
