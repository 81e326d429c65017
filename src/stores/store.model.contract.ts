import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compareUtf8 } from '#ground/text/compare.ts'
import { isCode, keysOf, names, never, settle, type StoreSubject } from './store.lab.ts'
import type { Fence, Store, StoreBatch } from './store.ts'

type Command =
  | { readonly kind: 'commit'; readonly batch: StoreBatch }
  | { readonly kind: 'together'; readonly batches: readonly StoreBatch[] }
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string; readonly pageSize: number }
  | { readonly kind: 'scan'; readonly from: string; readonly to: string; readonly pageSize: number }
  | { readonly kind: 'purge'; readonly prefix: string }
  | { readonly kind: 'reopen' }

// Few and short segments, so that keys meet: folders and leaves of one name, neighbours of the slash, both UTF planes.
const segment = fc.constantFrom('a', 'b', 'a-', 'a0', '', ' ', '\uff5e', '\u{1f511}', 'é')
const key = fc
  .array(segment, { minLength: 1, maxLength: 3 })
  .map(parts => parts.join('/'))
  .filter(text => text !== '')
const prefix = fc.oneof(
  fc.constant(''),
  key.map(text => `${text}/`),
)
const value = fc.uint8Array({ maxLength: 40 })
const operation = fc.record({ key, value: fc.option(value, { nil: null, freq: 3 }) })
const batch = fc.array(operation, { maxLength: 6 })
const pageSize = fc.integer({ min: 1, max: 7 })

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('commit' as const), batch }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('together' as const), batches: fc.array(batch, { maxLength: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('list' as const), prefix, pageSize }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('scan' as const), from: key, to: key, pageSize }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('purge' as const), prefix: key.map(text => `${text}/`) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)

type Model = Map<string, Uint8Array>

function apply(model: Model, batch: StoreBatch): void {
  for (const { key, value } of batch) {
    if (value) model.set(key, value)
    else model.delete(key)
  }
}

/** One level below a prefix, the slow and plain way. */
function namesOf(model: Model, prefix: string): string[] {
  const below = [...model.keys()].filter(key => key.startsWith(prefix)).map(key => key.slice(prefix.length))
  return [...new Set(below.map(rest => (rest.includes('/') ? rest.slice(0, rest.indexOf('/') + 1) : rest)))].sort(
    compareUtf8,
  )
}

function keysBetween(model: Model, from: string, to: string): string[] {
  return [...model.keys()].filter(key => compareUtf8(key, from) >= 0 && compareUtf8(key, to) < 0).sort(compareUtf8)
}

async function run(command: Command, store: Store, fence: Fence, model: Model): Promise<void> {
  switch (command.kind) {
    case 'commit':
      await store.commit(command.batch, fence)
      return apply(model, command.batch)
    case 'together':
      await Promise.all(command.batches.map(batch => store.commit(batch, fence)))
      return command.batches.forEach(batch => apply(model, batch))
    case 'get': {
      const read = await store.get(command.key)
      return assert.deepEqual(read && new Uint8Array(read), model.get(command.key) ?? null)
    }
    case 'list':
      return assert.deepEqual(await names(store, command.prefix, command.pageSize), namesOf(model, command.prefix))
    case 'scan':
      return assert.deepEqual(
        await keysOf(store, command.from, command.to, command.pageSize),
        keysBetween(model, command.from, command.to),
      )
    case 'purge':
      await store.purge(command.prefix, fence)
      return [...model.keys()].filter(key => key.startsWith(command.prefix)).forEach(key => model.delete(key))
    case 'reopen':
      return
  }
}

/** A store behaves like an ordered map, whatever is done to it. */
export function modelContract(subject: StoreSubject): void {
  test(`${subject.name}: behaves like an ordered map`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async commands => {
        await using lab = await subject.lab()
        let store = await lab.open()
        try {
          let fence = await store.campaign(never)
          const model: Model = new Map()
          for (const command of commands) {
            await run(command, store, fence, model)
            if (command.kind !== 'reopen') continue
            await store.close()
            store = await lab.open()
            fence = await store.campaign(never)
          }
          assert.deepEqual(await keysOf(store, ' ', '\u{10ffff}'), keysBetween(model, ' ', '\u{10ffff}'))
        } finally {
          await store.close()
        }
        await assert.rejects(
          settle(() => store.get('a')),
          isCode('closed'),
        )
      }),
      { numRuns: subject.modelRuns },
    )
  })
}
