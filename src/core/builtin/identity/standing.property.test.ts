import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ask, type Auth, login, make, openIdentityLab, policiesOf } from './identity.lab.ts'

const people = 3
const groups = 5
const person = fc.nat(people - 1)
const group = fc.nat(groups - 1)

/** What operators may do, in any order. */
const change = fc.oneof(
  fc.record({ kind: fc.constant('entities' as const), group, members: fc.uniqueArray(person) }),
  fc.record({ kind: fc.constant('groups' as const), group, members: fc.uniqueArray(group, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('policies' as const), group, members: fc.uniqueArray(fc.nat(3)) }),
  fc.record({ kind: fc.constant('own' as const), group: person, members: fc.uniqueArray(fc.nat(3)) }),
  fc.record({ kind: fc.constant('delete' as const), group, members: fc.constant([] as number[]) }),
  fc.record({ kind: fc.constant('restart' as const), group, members: fc.constant([] as number[]) }),
)

type Group = { policies: string[]; entities: number[]; groups: number[] }

const blank = (): Group => ({ policies: [], entities: [], groups: [] })

/** Is `to` reached from `from` through members? */
const reaches = (model: Group[], from: number, to: number): boolean =>
  from === to || model[from]!.groups.some(one => reaches(model, one, to))

/** The policies of who is in a group, or in one that is in it. */
function expected(model: Group[], own: string[][], who: number): string[] {
  const above = model.filter((_, at) =>
    model.some((one, from) => one.entities.includes(who) && reaches(model, at, from)),
  )
  return [...new Set([...own[who]!, ...above.flatMap(one => one.policies)])].sort()
}

test('identity: whatever is done to groups, a token in use has the policies of its entity and of all groups above it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 14 }), async changes => {
      await using server = await openIdentityLab()
      const auths: Auth[] = []
      for (let i = 0; i < people; i++) auths.push(await login(server, `p${i}`))
      const ids: string[] = []
      for (let i = 0; i < groups; i++) ids.push(await make(server, 'group', { name: `g${i}` }))
      const model = ids.map(blank)
      const own: string[][] = auths.map(() => [])
      for (const { kind, group: at, members } of changes) {
        const names = members.map(one => `policy-${one}`)
        switch (kind) {
          case 'entities':
            await ask(server, 'POST', `group/id/${ids[at]}`, {
              member_entity_ids: members.map(one => auths[one]!.entity_id),
            })
            model[at]!.entities = members
            break
          case 'groups': {
            const body = { member_group_ids: members.map(one => ids[one]!) }
            const { status } = await server.ask('POST', `identity/group/id/${ids[at]}`, { body })
            const isRing = members.some(one => reaches(model, one, at))
            assert.equal(status !== 204, isRing)
            if (!isRing) model[at]!.groups = members
            break
          }
          case 'policies':
            await ask(server, 'POST', `group/id/${ids[at]}`, { policies: names })
            model[at]!.policies = names
            break
          case 'own':
            await ask(server, 'POST', `entity/id/${auths[at]!.entity_id}`, { policies: names })
            own[at] = names
            break
          case 'delete':
            await ask(server, 'DELETE', `group/id/${ids[at]}`)
            ids[at] = await make(server, 'group', { name: `g${at}` })
            model[at] = blank()
            for (const one of model) one.groups = one.groups.filter(member => member !== at)
            break
          case 'restart':
            await server.restart()
        }
        for (let who = 0; who < people; who++) {
          assert.deepEqual(await policiesOf(server, auths[who]!), expected(model, own, who), `after ${kind}`)
        }
      }
    }),
    { numRuns: 60, seed: 7 },
  )
})
