import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MemoryMedium } from '#stores/memory/memory.ts'
import type { FaultPlan } from '#stores/faulty/faulty.ts'
import type { KeeperWrite } from './keeper.ts'
import { type KeeperLab, openKeeperLab, partsNamed, partsOn } from './keeper.lab.ts'
import { textCodec } from './text-codec.ts'

type Step =
  | { readonly do: 'put' | 'update'; readonly key: string; readonly bytes: number }
  | { readonly do: 'drop' | 'read' | 'forget'; readonly key: string }
  /** Both keys of a pair, in one commit. */
  | { readonly do: 'pair'; readonly bytes: number }
  | { readonly do: 'wait'; readonly ms: number }

const pair = ['pair/one', 'pair/two'] as const
// A leaf and the folder of its name, so that parts of one key lie below those of another.
const key = fc.constantFrom('a', 'a/b', 'c')
// Whole in its head; in one to three parts; in more than a batch takes at once.
const bytes = fc.oneof(fc.constant(10), fc.constant(1_500), fc.constant(9_000))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'update' as const), key, bytes }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'read' as const, 'forget' as const), key }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pair' as const), bytes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12 }) }) },
)
const steps = fc.array(step, { minLength: 1, maxLength: 25 })

type Sent = { readonly entry: string | null; isAcknowledged: boolean }

/** What was sent for each key, in order. */
class History {
  readonly #byKey = new Map<string, Sent[]>()

  /** Begins with what is there. */
  async readFrom(lab: KeeperLab, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const entry = (await lab.keeper.get(key, textCodec)) as string | null
      this.#byKey.set(key, [{ entry, isAcknowledged: true }])
    }
  }

  of(key: string): Sent[] {
    const known = this.#byKey.get(key) ?? [{ entry: null, isAcknowledged: true }]
    this.#byKey.set(key, known)
    return known
  }

  add(key: string, entry: string | null): Sent {
    const sent = { entry, isAcknowledged: false }
    this.of(key).push(sent)
    return sent
  }

  newest(key: string): string | null {
    return this.of(key).at(-1)!.entry
  }

  /** What a read may find that begins now: the last acknowledged, or anything sent after it. */
  firstPossible(key: string): number {
    return this.of(key).findLastIndex(one => one.isAcknowledged)
  }

  assertPossible(key: string, found: unknown, from = this.firstPossible(key)): void {
    const possible = this.of(key).slice(from)
    const short = (entry: unknown): string => String(entry).slice(0, 30)
    assert.ok(
      possible.some(one => one.entry === found),
      `${key} is ${short(found)}; possible: ${possible.map(one => short(one.entry)).join(' | ')}`,
    )
  }

  keys(): string[] {
    return [...this.#byKey.keys()]
  }
}

const write = (at: string, entry: string | null): KeeperWrite => ({ key: at, codec: textCodec, entry })

/** Plays the steps, each as soon as the one before was called, and waits for all; errors count once the store failed. */
async function play(lab: KeeperLab, script: readonly Step[], history: History): Promise<void> {
  const { keeper } = lab
  const underWay: Promise<void>[] = []
  const acknowledged = async (work: Promise<unknown>, sent: Sent[]): Promise<void> => {
    await work
    for (const one of sent) one.isAcknowledged = true
  }
  const run = (one: Step, label: string): Promise<void> | undefined => {
    switch (one.do) {
      case 'put': {
        const entry = label.padEnd(one.bytes, 'x')
        return acknowledged(keeper.commit([write(one.key, entry)]), [history.add(one.key, entry)])
      }
      case 'drop':
        return acknowledged(keeper.commit([write(one.key, null)]), [history.add(one.key, null)])
      case 'pair': {
        const entry = label.padEnd(one.bytes, 'p')
        const work = keeper.commit(pair.map(at => write(at, entry)))
        return acknowledged(
          work,
          pair.map(at => history.add(at, entry)),
        )
      }
      case 'update': {
        const sent: Sent[] = []
        const work = keeper.update(one.key, textCodec, now => {
          assert.equal(now, history.newest(one.key), 'an update sees the newest entry')
          const entry = `${label} after ${history.newest(one.key)?.slice(0, 12)}`.padEnd(one.bytes, 'u')
          sent.push(history.add(one.key, entry))
          return { entry, result: null }
        })
        return acknowledged(work, sent)
      }
      case 'read': {
        const from = history.firstPossible(one.key)
        return Promise.resolve(keeper.get(one.key, textCodec)).then(found =>
          history.assertPossible(one.key, found, from),
        )
      }
      case 'forget':
        keeper.forget([one.key])
        return undefined
      case 'wait':
        return undefined
      default:
        return one satisfies never
    }
  }
  for (const [at, one] of script.entries()) {
    if (one.do === 'wait') await lab.clock.advance(one.ms)
    const attempt = async (): Promise<void> => run(one, `step ${at}`)
    const work = attempt()
    // Looked at below; until then nobody waits for it.
    work.catch(() => undefined)
    underWay.push(work)
  }
  const results = await lab.settle(Promise.allSettled(underWay))
  // Parts that go after their head, and what a failed store had under way.
  await lab.clock.advance(200)
  for (const result of results) {
    if (result.status === 'rejected' && (lab.failures.length === 0 || result.reason instanceof assert.AssertionError)) {
      throw result.reason
    }
  }
}

async function assertKept(medium: MemoryMedium, history: History): Promise<void> {
  const { keeper } = openKeeperLab({ kind: 'memory', medium })
  for (const at of history.keys()) history.assertPossible(at, await keeper.get(at, textCodec))
  assert.deepEqual(
    await keeper.get(pair[0], textCodec),
    await keeper.get(pair[1], textCodec),
    'a commit is there as a whole',
  )
  await keeper.sweep(new AbortController().signal)
  assert.deepEqual(partsOn(medium), partsNamed(medium), 'after a sweep nothing is left over')
}

for (const kind of ['memory', 'lagging'] as const) {
  test(`${kind}: commits reach the store in the order of the calls, large values as small ones`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), async (script, seed) => {
        const medium = new MemoryMedium()
        const lab = openKeeperLab({ kind, medium, seed })
        const history = new History()
        await play(lab, script, history)
        for (const at of history.keys()) assert.equal(history.firstPossible(at), history.of(at).length - 1)
        assert.deepEqual(partsOn(medium), partsNamed(medium), 'the parts of replaced values are gone')
        await lab.settle(lab.store.close())
        await assertKept(medium, history)
      }),
      { numRuns: 150 },
    )
  })

  test(`${kind}: after a crash at any write what was acknowledged is there, and nothing is half there`, async () => {
    const plan: fc.Arbitrary<FaultPlan> = fc.record({
      call: fc.constant('commit' as const),
      at: fc.integer({ min: 1, max: 30 }),
      isApplied: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(steps, plan, fc.nat(), async (script, fault, seed) => {
        const medium = new MemoryMedium()
        const lab = openKeeperLab({ kind, medium, seed, fault })
        const history = new History()
        await play(lab, script, history)
        await lab.settle(lab.store.close())
        await assertKept(medium, history)
      }),
      { numRuns: 150 },
    )
  })

  test(`${kind}: a sweep beside writes removes what a crash left, and nothing else`, async () => {
    const at = fc.integer({ min: 1, max: 12 })
    await fc.assert(
      fc.asyncProperty(steps, at, steps, fc.nat(), async (script, failing, later, seed) => {
        const medium = new MemoryMedium()
        const fault: FaultPlan = { call: 'commit', at: failing, isApplied: true }
        const crashed = openKeeperLab({ kind, medium, seed, fault })
        const before = new History()
        await play(crashed, script, before)
        await crashed.settle(crashed.store.close())

        const found = openKeeperLab({ kind: 'memory', medium })
        const history = new History()
        await history.readFrom(found, [...before.keys(), ...pair])
        await found.store.close()

        const lab = openKeeperLab({ kind, medium, seed: seed + 1 })
        const swept = lab.keeper.sweep(new AbortController().signal)
        await play(lab, later, history)
        await lab.settle(swept)
        await lab.clock.advance(200)
        assert.deepEqual(partsOn(medium), partsNamed(medium))
        await lab.settle(lab.store.close())
        await assertKept(medium, history)
      }),
      { numRuns: 150 },
    )
  })
}
