import { createHash } from 'node:crypto'
import type { Maybe } from '#ground/base/brand.ts'
import { type Instant, instant } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import { formatRfc3339 } from '#ground/text/time.ts'
import type { Alias } from '#backend/login.ts'
import type { Reply } from '#backend/reply.ts'
import type { Codec } from '#backend/storage.ts'
import type { DueIndex } from '#core/leases/due-index.ts'
import type { Due } from '#core/leases/due-lane.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { Keeper, KeeperWrite } from '#core/storage/keeper.ts'
import { Fault, fault } from '#protocol/fault.ts'
import { lockoutRule, type LockoutRule, type LockoutSettings, lockoutTypes } from './rule.ts'
import { Tally } from './tally.ts'

export type LockoutOptions = {
  keeper: Keeper
  world: Pick<World, 'clock' | 'log'>
  due: DueIndex
  /** Ending in `/`: `root/lockout/`. */
  prefix: string
  settings: LockoutSettings
}

/** `<mount accessor>/<hash of the name>` → who is locked out. */
type LockEntry = { readonly alias: string; readonly until: Instant }

const lockCodec: Codec<LockEntry> = { prefix: '', encode: jsonBytes.encode, decode: jsonBytes.decode }
const lane = 'lockout'
const width = 4
const pageSize = 500
/** Names whose refused logins are counted, of somebody and of nobody each: who thinks up names pushes out no user. */
const namesMax = 10_000

type Login = { readonly mount: Mount; readonly alias: Alias; readonly key: string; readonly rule: LockoutRule }

/**
 * Locks out who is refused too often in a row, by mount and name, before credentials are looked at. Counters are in
 * memory; a lock is durable. Names that nobody has are counted and refused alike, so that a lock doesn't tell who exists,
 * but in memory only: they would fill the store.
 */
export class Lockout {
  readonly #options: LockoutOptions
  readonly #somebody = new Tally(namesMax)
  readonly #nobody = new Tally(namesMax)
  /** Names of nobody that are locked, by key: until when. */
  readonly #feigned = new Map<string, Instant>()

  constructor(options: LockoutOptions) {
    this.#options = options
    options.due.handle(lane, width, due => this.#end(due))
  }

  /** Does the mount's method count logins, and is that not turned off? */
  isFor({ entry }: Mount): boolean {
    return lockoutTypes.has(entry.type) && !this.#ruleOf(entry).isDisabled
  }

  #ruleOf({ type, config }: Mount['entry']): LockoutRule {
    return lockoutRule(type, config.lockout, this.#options.settings)
  }

  /**
   * A login under a name: refused unheard while the name is locked. One whose credentials were looked at while others
   * locked the name is refused, too, right or wrong: guessing at once gets no more tries than guessing one by one.
   * @throws Fault 403; what `login` throws.
   */
  async guard(mount: Mount, alias: Alias, login: () => Maybe<Reply>): Promise<Reply> {
    const one: Login = { mount, alias, key: keyOf(mount.entry.accessor, alias.name), rule: this.#ruleOf(mount.entry) }
    await this.#lock(one.key)
    this.#requireOpen(one.key)
    let reply: Reply
    try {
      reply = await login()
    } catch (error) {
      if (error instanceof Fault) await this.#refused(one, error)
      throw error
    }
    await this.#lock(one.key)
    this.#requireOpen(one.key)
    this.#somebody.clear(one.key)
    return reply
  }

  // Doesn't wait, so that nothing comes between this and what is done on it; the lock was read just before.
  #requireOpen(key: string): void {
    const { keeper, world, prefix } = this.#options
    const now = world.clock.now()
    const lock = keeper.peek(prefix + key) as LockEntry | null | undefined
    const until = lock?.until ?? this.#feigned.get(key) ?? now
    if (until <= now) return
    const reason = `the name is locked out until ${formatRfc3339(until)} after too many refused logins`
    throw fault('permission.bare', 'permission denied', { reason })
  }

  #lock(key: string): Maybe<LockEntry | null> {
    return this.#options.keeper.get(this.#options.prefix + key, lockCodec) as Maybe<LockEntry | null>
  }

  async #refused(login: Login, { code }: Fault): Promise<void> {
    if (code !== 'credentials.refused' && code !== 'credentials.unknown') return
    const { key, rule, mount } = login
    await this.#lock(key)
    this.#requireOpen(key)
    const isSomebody = code === 'credentials.refused'
    const now = this.#options.world.clock.now()
    const tally = isSomebody ? this.#somebody : this.#nobody
    if (tally.add(key, now, rule.counterReset * 1000) < rule.threshold) return
    tally.clear(key)
    const until = instant(now + rule.duration * 1000)
    if (isSomebody) this.#keep(login, until)
    else this.#feign(key, until)
    this.#options.world.log.warn('a name is locked out after too many refused logins', { mount: mount.path })
  }

  // It holds from here on; the refusal doesn't wait until it is durable, since that would tell who exists.
  #keep({ key, alias }: Login, until: Instant): void {
    const { keeper, world, due, prefix } = this.#options
    const entry: LockEntry = { alias: alias.name, until }
    const writes = [{ key: prefix + key, codec: lockCodec, entry }, due.entry({ lane, id: key, at: until })]
    keeper.commit(writes).then(
      () => due.expect(lane, until),
      error => world.log.error('a lock could not be kept', { error }),
    )
  }

  #feign(key: string, until: Instant): void {
    this.#feigned.delete(key)
    this.#feigned.set(key, until)
    if (this.#feigned.size > namesMax) this.#feigned.delete(this.#feigned.keys().next().value!)
  }

  async #end({ id }: Due): Promise<readonly KeeperWrite[]> {
    const entry = await this.#lock(id)
    // Locked again meanwhile: that has a time of its own.
    if (entry === null || entry.until > this.#options.world.clock.now()) return []
    return [{ key: this.#options.prefix + id, codec: lockCodec, entry: null }]
  }

  /** Names that are locked out now, by mount accessor, in pages' order. @param only of this mount */
  async locked(only: string | null, signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
    const found = new Map<string, readonly string[]>()
    const accessors = only === null ? (await this.#names('', signal)).map(name => name.replace(/\/$/, '')) : [only]
    const now = this.#options.world.clock.now()
    for (const accessor of accessors) {
      const aliases: string[] = []
      for (const name of await this.#names(`${accessor}/`, signal)) {
        const entry = await this.#lock(`${accessor}/${name}`)
        if (entry !== null && entry.until > now) aliases.push(entry.alias)
      }
      if (aliases.length > 0) found.set(accessor, aliases.sort())
    }
    return found
  }

  async #names(folder: string, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = []
    for (;;) {
      signal.throwIfAborted()
      const after = names.at(-1)
      const { keeper, prefix } = this.#options
      const page = await keeper.list(prefix + folder, { ...(after !== undefined && { after }), limit: pageSize })
      names.push(...page.names)
      if (!page.more) return names
    }
  }

  /** Does nothing for who isn't locked out. */
  async unlock(accessor: string, alias: string): Promise<void> {
    const key = keyOf(accessor, alias)
    this.#somebody.clear(key)
    this.#nobody.clear(key)
    this.#feigned.delete(key)
    const { keeper, prefix } = this.#options
    await keeper.update(prefix + key, lockCodec, now => ({ ...(now !== null && { entry: null }), result: undefined }))
  }

  /** Before a mount goes. */
  async endOfMount(accessor: string): Promise<void> {
    for (const tally of [this.#somebody, this.#nobody]) tally.clearBelow(`${accessor}/`)
    await this.#options.keeper.purge(`${this.#options.prefix}${accessor}/`)
  }
}

// Names hold what the outside likes, at any length: keys have their hash.
const keyOf = (accessor: string, alias: string): string =>
  `${accessor}/${createHash('sha256').update(alias).digest('base64url')}`
