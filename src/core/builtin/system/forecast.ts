import { text } from '#ground/fields/kit.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import type { TokenKey } from '#backend/engine.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import type { LeaseEntry } from '#core/leases/entry.ts'
import type { Mount } from '#core/mounts/mount.ts'
import { Forecast, type Outlook, type Sample } from '#core/quota/forecast.ts'
import type { TokenEntry } from '#core/tokens/entry.ts'
import { rulePath } from '#core/quota/rule.ts'
import { row, type SystemRow, type SystemState, type UnsealedState } from './state.ts'
import { mayHoldTokens } from './token-leases.ts'

const pageSize = 500
/** Leases and tokens looked at; beyond, the answer says that it is cut. */
const samplesMax = 500_000

/** The shortest of the maxima that are set; null: none is. */
function least(...maxima: readonly number[]): number | null {
  const set = maxima.filter(max => max > 0)
  return set.length === 0 ? null : Math.min(...set)
}

class Sampler {
  readonly #house: UnsealedState

  constructor(house: UnsealedState) {
    this.#house = house
  }

  ofLease(entry: LeaseEntry): Sample | null {
    const mount = this.#house.mounts.byAccessor(entry.mount)
    if (mount === null) return null
    const path = entry.id.slice(0, entry.id.lastIndexOf('/'))
    // No renewal passes the end of a batch token.
    const left = entry.until === undefined ? 0 : (entry.until - entry.issuedAt) / 1000
    const max = entry.renewable ? least(entry.maxTtl, this.#maxTtl(mount), left) : entry.ttl
    return { ...this.#place(mount, path, entry.role), issuedAt: entry.issuedAt, ttl: entry.ttl, maxTtl: max }
  }

  ofToken(entry: TokenEntry): Sample | null {
    const mount = this.#house.mounts.byAccessor(entry.mountAccessor)
    if (mount === null || entry.expiresAt === null) return null
    const { period, explicitMaxTtl, renewable, grantedTtl: ttl } = entry
    const max = period > 0 ? least(explicitMaxTtl) : least(explicitMaxTtl, this.#maxTtl(mount))
    const at = this.#place(mount, entry.path, entry.role ?? null)
    return { ...at, issuedAt: entry.createdAt, ttl, maxTtl: renewable ? max : ttl }
  }

  #maxTtl(mount: Mount): number {
    return this.#house.mounts.effectiveTtls(mount.entry.config).maxTtl
  }

  #place(mount: Mount, path: string, role: string | null) {
    const rule = this.#house.quotas.ruleFor({ mount: mount.path, path, role })
    return { mount: mount.path, role, quota: rule?.name ?? null }
  }
}

/** All leases and tokens below a prefix, by pages; null where one fell out meanwhile. */
async function* samples(house: UnsealedState, prefix: string): AsyncGenerator<readonly (Sample | null)[]> {
  const sampler = new Sampler(house)
  const { leases, tokens } = house
  for (let after: string | undefined; ; ) {
    const ids = await leases.below(prefix, after, pageSize)
    if (ids.length === 0) break
    const entries = await Promise.all(ids.map(id => leases.get(id)))
    yield entries.map(entry => (entry === null ? null : sampler.ofLease(entry)))
    after = ids.at(-1)
    await turn()
  }
  if (!mayHoldTokens(prefix)) return
  for (let after: TokenKey | null = null; ; ) {
    const page: Awaited<ReturnType<typeof tokens.shelf.page>> = await tokens.shelf.page(after, pageSize)
    yield page.tokens.map(({ entry }) => (entry.path.startsWith(prefix) ? sampler.ofToken(entry) : null))
    if (page.next === null) return
    after = page.next
    await turn()
  }
}

/** Other requests have theirs, also where nothing had to be waited for. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

const shown = ({ leases, perHour, ttl, forecast, renewed }: Outlook): JsonObject => ({
  leases,
  leases_per_hour: perHour,
  ttl,
  forecast,
  forecast_if_renewed: renewed,
})

async function forecast(call: Call<{ prefix: string }>, state: SystemState): Promise<Reply> {
  const { input, signal } = call
  const house = state.house()
  const prefix = input.prefix === '' || input.prefix.endsWith('/') ? input.prefix : `${input.prefix}/`
  const made = new Forecast(call.now())
  let seen = 0
  let isCut = false
  for await (const page of samples(house, prefix)) {
    signal.throwIfAborted()
    for (const sample of page) if (sample !== null) made.add(sample)
    seen += page.length
    if (seen < samplesMax) continue
    isCut = true
    break
  }
  const mounts: Record<string, Json> = {}
  for (const { mount, outlook, roles } of made.mounts()) {
    const byRole = Object.entries(roles).map(([role, one]) => [role, shown(one)])
    mounts[mount] = { ...shown(outlook), roles: Object.fromEntries(byRole) as JsonObject }
  }
  const quotas: Record<string, Json> = {}
  for (const rule of house.quotas.rules()) {
    const outlook = made.quota(rule.name, rule.maxLeases)
    if (outlook === null) continue
    const { fullIn } = outlook
    quotas[rule.name] = { path: rulePath(rule), max_leases: rule.maxLeases, ...shown(outlook), full_in: fullIn }
  }
  const warnings = [`there are more than ${samplesMax} leases, and only so many were looked at; name a prefix`]
  return { kind: 'data', data: { mounts, quotas }, ...(isCut && { warnings }) }
}

/** `sys/leases/forecast`: ours. */
export const forecastRow: SystemRow = row({
  path: 'leases/forecast',
  fields: { prefix: text({ description: 'Only what lies below this path.', from: 'query' }) },
  operations: {
    read: { access: 'sudo', summary: 'How many leases the present rate comes to, by mount.', handler: forecast },
  },
  help: {
    synopsis: 'How many leases the present rate comes to, by mount.',
    description: 'As many as are made in the time that one lives. Ours.',
  },
})
