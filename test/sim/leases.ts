import assert from 'node:assert/strict'
import type { Entropy } from '#ground/base/entropy.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { accountsEngine } from '#core/testing/accounts.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount, type TestServer } from '#core/testing/mount.ts'
import { Pod } from './pod.ts'
import { Database, Weather } from './weather.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Until an agent knows that what was away is back, and has asked: its longest waits, and a little for the answers. */
const reactionMs = 45_000
/** How tokens and leases live, by the seed. */
type Terms = {
  readonly login: JsonObject
  readonly mount: JsonObject
  readonly shortestMs: number
  readonly says: string
}

function termsOf(entropy: Entropy): Terms {
  const pick = <T>(...choices: readonly T[]): T => choices[entropy.below(choices.length)]!
  const kind = pick('short', 'equal', 'long', 'periodic')
  // With equal terms each login's end falls together with that of its leases.
  const [ttl, tokenMax, leaseMax] = {
    short: [pick(1, 4), 12, pick(2, 24)],
    equal: [1, 6, 6],
    long: [pick(4, 12), pick(24, 72), pick(2, 24, 768)],
    periodic: [pick(1, 12), 768, pick(2, 24, 768)],
  }[kind] as [number, number, number]
  const [token_ttl, token_explicit_max_ttl] = [ttl * 3600, tokenMax * 3600]
  return {
    login: {
      token_policies: ['pod'],
      ...(kind === 'periodic' ? { token_period: token_ttl } : { token_ttl, token_explicit_max_ttl }),
    },
    mount: { default_lease_ttl: 3600, max_lease_ttl: leaseMax * 3600 },
    shortestMs: Math.min(leaseMax, tokenMax) * hourMs,
    says: `${kind} tokens of ${ttl} h, at most ${tokenMax} h, leases of at most ${leaseMax} h`,
  }
}

/** What one pod's file held, and what must be true of it. */
class Witness {
  readonly name: string
  readonly names: string[] = []
  overlaps = 0
  #deadSinceMs: number | null = null
  #isEnded = false
  readonly #server: TestServer
  readonly #weather: Weather
  readonly #database: Database
  readonly #tell: (text: string) => string

  constructor(name: string, server: TestServer, weather: Weather, database: Database, tell: (text: string) => string) {
    this.name = name
    this.#server = server
    this.#weather = weather
    this.#database = database
    this.#tell = tell
    database.onDropped.push(account => {
      if (account === this.names.at(-1)) this.#deadSinceMs = weather.clock.now()
    })
  }

  /** From now on its pod is gone. */
  ended(): void {
    this.#isEnded = true
  }

  async landed(account: string): Promise<void> {
    this.judge()
    const old = this.names.at(-1)
    if (old !== undefined && this.#database.accounts.has(old)) this.overlaps++
    assert.ok(!this.names.includes(account), this.#tell(`${account} was in the file before`))
    assert.ok(account.startsWith(this.name), this.#tell(`${account} is another pod's`))
    assert.ok(this.#database.accounts.has(account), this.#tell(`${account} is dead when it lands`))
    this.names.push(account)
    this.#deadSinceMs = null
    const living = await this.living()
    assert.ok(living.length <= 2, this.#tell(`${living.length} leases live: ${living.join(', ')}`))
  }

  /** Fails when the file holds what is dead, though a live one could have been had for a while. */
  judge(): void {
    const { calmSinceMs, clock } = this.#weather
    if (calmSinceMs === null || this.#deadSinceMs === null || this.#isEnded) return
    const sinceMs = Math.max(calmSinceMs, this.#deadSinceMs)
    const lateMs = clock.now() - sinceMs
    assert.ok(lateMs <= reactionMs, this.#tell(`${this.names.at(-1)} was dead for ${lateMs} ms longer than needed`))
  }

  /** As an operator does in an incident. */
  async revokeAll(): Promise<void> {
    for (const id of await this.living()) {
      await this.#server.ask('PUT', 'sys/leases/revoke', { body: { lease_id: id, sync: true } })
    }
  }

  /** Leases of the pod that have not ended. */
  async living(): Promise<string[]> {
    const { leases } = this.#server.house
    const living: string[] = []
    for (const id of await leases.below(`accounts/creds/${this.name}/`, undefined, 100)) {
      const entry = await leases.get(id)
      if (entry !== null && entry.expiresAt > this.#weather.clock.now()) living.push(id)
    }
    return living
  }
}

export type Days = { readonly events: number; readonly leases: number; readonly overlaps: number }

/**
 * Two pods for so many days, against the real server under virtual time, in the weather of a seed.
 * @throws AssertionError whose text says how to play it again
 */
export async function liveThrough(seed: number, days: number): Promise<Days> {
  const entropy = seededEntropy(seed)
  const terms = termsOf(entropy)
  const database = new Database()
  await using server = await openTestMount(accountsEngine(database), { seed, others: [doorman()] })
  await server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
  const policy = 'path "accounts/creds/*" { capabilities = ["read"] }'
  await server.ask('PUT', 'sys/policies/acl/pod', { body: { policy } })
  await server.ask('POST', 'sys/mounts/accounts/tune', { body: terms.mount })
  const weather = new Weather(server, database, entropy)
  const startMs = weather.clock.now()
  const past: string[] = []
  const tell = (text: string): string =>
    `${text}\n  at ${hours(weather.clock.now() - startMs)} with ${terms.says}\n  after ${past.slice(-4).join('; ')}\n` +
    `  again: node --test --test-name-pattern="seed ${seed}$" test/sim/leases.isolated.test.ts`
  const failures: unknown[] = []
  const names = seed % 10 === 0 ? ['one', 'two'] : ['one']
  const witnesses = names.map(name => new Witness(name, server, weather, database, tell))
  const pods = witnesses.map(
    (witness, i) =>
      new Pod({
        weather,
        seed: seed * 100 + i,
        secret: `accounts/creds/${witness.name}`,
        login: terms.login,
        isRevokedAtEnd: true,
        onLanded: text => witness.landed(text).catch((error: unknown) => void failures.push(error)),
      }),
  )
  const look = (): void => {
    if (failures.length > 0) throw failures[0]
    for (const witness of witnesses) witness.judge()
  }
  for (let second = 0; second < 60; second++) await weather.clock.advance(1000)
  for (const [i, { accessors }] of pods.entries()) {
    const { names } = witnesses[i]!
    assert.deepEqual(
      [names.length, accessors.length],
      [1, 1],
      tell('the agent that stays asked for what was handed over'),
    )
  }
  while (weather.clock.now() < startMs + days * dayMs) {
    await weather.clock.advance(Math.floor(-Math.log(1 - entropy.fraction()) * 18 * hourMs))
    look()
    const { event, lastsMs } = weather.next()
    past.push(`${event} for ${hours(lastsMs)} at ${hours(weather.clock.now() - startMs)}`)
    const i = entropy.below(pods.length)
    const pod = pods[i]!
    await weather.happen(event, lastsMs, {
      revokeToken: async () => {
        await server.ask('POST', 'auth/token/revoke-accessor', { body: { accessor: pod.accessors.at(-1) ?? '' } })
      },
      revokeLeases: () => witnesses[i]!.revokeAll(),
      killAgent: awayMs => pod.kill(awayMs),
    })
  }
  await weather.clock.advance(2 * hourMs)
  look()
  for (const witness of witnesses) witness.ended()
  for (const pod of pods) assert.deepEqual(await pod.stop(), { code: 0 })
  for (const witness of witnesses) assert.deepEqual(await witness.living(), [], tell('stopped, it left leases behind'))
  const leases = witnesses.reduce((sum, { names }) => sum + names.length, 0)
  // They are renewed while they can be: an agent that always asked for another would make hundreds.
  const most = pods.length * ((2.5 * days * dayMs) / terms.shortestMs + 2) + past.length * pods.length
  assert.ok(leases <= most, tell(`${leases} leases, ${most} at most were to be expected`))
  return { events: past.length, leases, overlaps: witnesses.reduce((sum, { overlaps }) => sum + overlaps, 0) }
}

const hours = (ms: number): string => `${(ms / hourMs).toFixed(2)} h`
