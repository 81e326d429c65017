import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'

const everyMs = 200

/** The accounts of one moment. */
type Sample = { readonly at: string; readonly names: ReadonlySet<string> }

/** Who used an account. */
type Use = { readonly account: string; readonly pods: readonly string[] }

/**
 * Looks all the time at the accounts that a database would let in, beside the pods that use them: each login is a line of
 * the table `logins`.
 */
export class AccountWatch implements AsyncDisposable {
  readonly #client: Client
  readonly #pattern: string
  readonly #samples: Sample[] = []
  #isEnding = false
  #done: Promise<void> = Promise.resolve()

  /** @param pattern of the accounts' names, in SQL */
  constructor(url: string, pattern: string) {
    this.#client = new Client(url)
    this.#pattern = pattern
  }

  async start(): Promise<void> {
    await this.#client.connect()
    this.#done = this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await this.look()
      await sleep(everyMs)
    }
  }

  /** Those that would be let in now. */
  async look(): Promise<ReadonlySet<string>> {
    const { rows } = await this.#client.query<{ rolname: string }>(
      'SELECT rolname FROM pg_roles WHERE rolname LIKE $1 AND rolvaliduntil > now()',
      [this.#pattern],
    )
    const names = new Set(rows.map(({ rolname }) => rolname))
    this.#samples.push({ at: new Date().toISOString(), names })
    return names
  }

  /** Waits for a moment whose number of accounts is as wanted. */
  async until(wanted: (accounts: number) => boolean, limitMs: number): Promise<void> {
    for (let tries = 0; !wanted((await this.look()).size); tries++) {
      assert(tries * everyMs < limitMs, `${(await this.look()).size} accounts after ${limitMs} ms`)
      await sleep(everyMs)
    }
  }

  /** No account had two pods, no pod more than two at a time, and each was there still when the next one was. */
  async judge(): Promise<void> {
    const { rows } = await this.#client.query<Use>(
      'SELECT account, array_agg(DISTINCT pod) AS pods FROM logins GROUP BY account ORDER BY min(at)',
    )
    for (const { account, pods } of rows) assert.equal(pods.length, 1, `${account} is shared by ${pods.join(', ')}`)
    const podOf = new Map(rows.map(({ account, pods }) => [account, pods[0]!]))
    for (const { at, names } of this.#samples) {
      const used = [...names].filter(name => podOf.has(name))
      for (const [pod, mine] of Map.groupBy(used, name => podOf.get(name)!)) {
        assert.ok(mine.length <= 2, `${pod} has ${mine.join(', ')} at ${at}`)
      }
    }
    const lines = Map.groupBy(rows, ({ pods }) => pods[0]!)
    for (const [pod, uses] of lines) {
      assert.ok(uses.length >= 3, `${pod} had ${uses.length} accounts only`)
      for (const [i, { account }] of uses.slice(1).entries()) this.#assertOverlap(uses[i]!.account, account)
    }
    // One whose answer a killed agent didn't hear is used by nobody, and ends by its lease.
    const unused = new Set(this.#samples.flatMap(({ names }) => [...names].filter(name => !podOf.has(name))))
    assert.ok(unused.size <= lines.size, `made and never used: ${[...unused].join(', ')}`)
  }

  #assertOverlap(old: string, next: string): void {
    const isBoth = this.#samples.some(({ names }) => names.has(old) && names.has(next))
    assert.ok(isBoth, `${old} and ${next} were never there together`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    await this.#done
    await this.#client.end()
  }
}
