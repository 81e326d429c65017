import { type Seconds, seconds } from '#ground/base/clock.ts'
import type { World } from '#ground/base/world.ts'
import type { AnyEngine, MountFacts, Parts } from '#backend/engine.ts'
import { goQuote } from '#ground/text/quote.ts'
import { rootNamespace } from '#backend/namespace.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { type EffectLog, MountView } from '#core/storage/view.ts'
import { fault } from '#protocol/fault.ts'
import type { EngineEvent } from '#protocol/event.ts'
import { checkOptions, checkPath, conflict } from './checks.ts'
import { fullPath, type MountConfig, type MountEntry, mountCodec } from './entry.ts'
import { makeMount, type Mount } from './mount.ts'

/** What the system grants where a mount says nothing. */
export type SystemTtls = { readonly defaultTtl: Seconds; readonly maxTtl: Seconds }

export type MountsOptions = {
  keeper: Keeper
  world: World
  /** Every engine and auth method that can be mounted. */
  catalog: readonly AnyEngine[]
  /** Handed to engines that name them in `needs`. */
  services: Readonly<Record<string, unknown>>
  ttls: SystemTtls
  effects: (mount: MountEntry) => EffectLog
  emit: (mount: MountEntry, event: EngineEvent) => void
  /** Ends every lease and token below a path; before a mount's storage is cleared. */
  revokeBelow: (mount: MountEntry) => Promise<void>
  /** How long a mount that is removed or opened anew waits for requests that hold it; default: their deadline, 90 s. */
  drainMsMax?: number
}

const pageSize = 200
const drainMsDefault = 90_000

/** All mounts of a namespace: found by longest prefix, enabled, tuned, disabled. */
export class Mounts {
  readonly #options: MountsOptions
  #byPath = new Map<string, Mount>()
  #byAccessor = new Map<string, Mount>()
  /** By uuid. */
  readonly #builtins = new Set<string>()
  #busy: Promise<unknown> = Promise.resolve()
  /** Being removed, by path. */
  readonly #removals = new Map<string, Promise<void>>()
  /** States that a tune replaced, until they are closed. */
  readonly #retiring = new Set<Promise<void>>()
  readonly #closing = new AbortController()

  constructor(options: MountsOptions) {
    this.#options = options
  }

  /** Mounts that are part of the server: `sys/`, `cubbyhole/`, `auth/token/`. Kept is only how they were tuned. */
  async addBuiltin(entry: MountEntry, engine: AnyEngine): Promise<void> {
    const tuned = (await this.#options.keeper.get(this.#entryKey(entry.uuid), mountCodec)) as MountEntry | null
    const { config, description, options } = tuned ?? entry
    this.#put(await this.#open({ ...entry, config, description, options }, engine))
    this.#builtins.add(entry.uuid)
  }

  /** Opens what is kept; goes on with removals that were cut short. One that fails again leaves its mount refused. */
  async load(): Promise<void> {
    const { keeper } = this.#options
    let after: string | undefined
    for (;;) {
      const page = await keeper.list(this.#entryKey(''), { ...(after !== undefined && { after }), limit: pageSize })
      for (const uuid of page.names) {
        if (this.#builtins.has(uuid)) continue
        const entry = (await keeper.get(this.#entryKey(uuid), mountCodec)) as MountEntry
        const engine = this.#engine(entry)
        if (engine === null) {
          this.#options.world.log.error('a mount has a type that this version does not know; it is not served', {
            path: fullPath(entry),
            type: entry.type,
          })
          continue
        }
        this.#put(await this.#open(entry, engine))
        if (entry.isTainted && entry.moving === undefined) await this.#resumeRemoval(entry)
      }
      if (!page.more) return
      after = page.names.at(-1)
    }
  }

  async #resumeRemoval(entry: MountEntry): Promise<void> {
    const path = fullPath(entry)
    try {
      await this.disable(path)
    } catch (error) {
      this.#options.world.log.error('a mount could not be removed; disable it again', { path, error })
    }
  }

  /** The mount whose path is the longest prefix; a path without its last slash counts, too. */
  resolve(path: string): { mount: Mount; rest: string } | null {
    for (let at = path.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1)) {
      const mount = this.#byPath.get(path.slice(0, at + 1))
      if (mount !== undefined) return mount.entry.isTainted ? null : { mount, rest: path.slice(at + 1) }
    }
    const mount = this.#byPath.get(`${path}/`)
    return mount === undefined || mount.entry.isTainted ? null : { mount, rest: '' }
  }

  at(path: string): Mount | null {
    return this.#byPath.get(path) ?? null
  }

  byAccessor(accessor: string): Mount | null {
    return this.#byAccessor.get(accessor) ?? null
  }

  /** Sorted by path. */
  all(): readonly Mount[] {
    return [...this.#byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  /** @throws Fault for paths that are taken, and types that aren't there. */
  enable(entry: MountEntry): Promise<void> {
    return this.#exclusively(async () => {
      const engine = this.#engine(entry)
      if (engine === null) throw fault('request.invalid', `plugin not found in the catalog: ${this.#asked(entry)}`)
      checkPath(this.#entries(), entry)
      checkOptions(engine, entry)
      const mount = await this.#open(entry, engine)
      await this.#commitOrClose(entry, mount)
      this.#put(mount)
    })
  }

  /**
   * Refuses new requests, waits for those that hold the mount (bounded), ends its leases, then its storage. Nothing to do
   * for what isn't there. When it fails, the mount stays refused, and disabling it again goes on.
   */
  disable(path: string): Promise<void> {
    const underWay = this.#removals.get(path)
    if (underWay !== undefined) return underWay
    if (this.#byPath.get(path)?.entry.moving !== undefined) {
      return Promise.reject(fault('request.invalid', `the mount at "${path}" is being moved: wait until that is done`))
    }
    const removal = this.#disable(path).finally(() => this.#removals.delete(path))
    this.#removals.set(path, removal)
    return removal
  }

  async #disable(path: string): Promise<void> {
    const tainted = await this.#exclusively(async () => {
      const mount = this.#byPath.get(path)
      if (!mount) return null
      const entry = { ...mount.entry, isTainted: true }
      await this.#options.keeper.commit([{ key: this.#entryKey(entry.uuid), codec: mountCodec, entry }])
      return this.#put({ ...mount, entry })
    })
    // Outside: others are enabled and tuned meanwhile; this path stays taken.
    if (tainted !== null) await this.#remove(tainted)
  }

  /**
   * The first step of a move: refuses new requests from then on, and keeps the new path free for it. @param to as `entry.path`
   * @throws Fault for a mount that isn't there, and a path that is taken.
   */
  beginMove(from: string, to: string, id: string): Promise<Mount> {
    return this.#exclusively(async () => {
      const now = this.#byPath.get(from)
      if (!now || now.entry.isTainted || this.#builtins.has(now.entry.uuid)) {
        throw fault('request.invalid', `no matching mount at ${goQuote(from)}`)
      }
      const taken = conflict(this.#entries(), fullPath({ ...now.entry, path: to }))
      if (taken !== null) throw fault('request.invalid', `path already in use at ${goQuote(taken)}`)
      const entry = { ...now.entry, isTainted: true, moving: { to, id } }
      await this.#options.keeper.commit([{ key: this.#entryKey(entry.uuid), codec: mountCodec, entry }])
      return this.#put({ ...now, entry })
    })
  }

  /** Waits for the requests that hold a mount which takes no new ones. @throws when the server is sealed meanwhile. */
  async settle(mount: Mount): Promise<void> {
    await this.#drain(mount)
    // Handlers that a tune left behind write below the same prefix.
    await Promise.all(this.#retiring)
    this.#closing.signal.throwIfAborted()
  }

  /** The last: it is at its new path, as itself, and takes requests again; or at the old one, where nothing came of it. */
  endMove(mount: Mount, isMoved: boolean): Promise<void> {
    return this.#exclusively(async () => {
      this.#closing.signal.throwIfAborted()
      const { moving, ...kept } = mount.entry
      const entry = { ...kept, isTainted: false, ...(isMoved && { path: moving!.to }) }
      // Its engine is told where it is when it is opened.
      const next = isMoved ? await this.#open(entry, mount.engine) : { ...mount, entry }
      await this.#commitOrClose(entry, next, mount)
      this.#byPath.delete(mount.path)
      this.#put(next)
      if (isMoved) void this.#retire(mount)
    })
  }

  /** Moves that a restart has to go on with. */
  get cutShort(): readonly Mount[] {
    return [...this.#byPath.values()].filter(mount => mount.entry.moving !== undefined)
  }

  /** Aborted when requests are waited for no longer. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Replaces entry and what is derived from it. When its options changed, the engine is opened anew (it may be another of
   * the same type), and the old state is closed once the requests that hold it are answered.
   */
  tune(path: string, change: (entry: MountEntry) => MountEntry): Promise<void> {
    return this.#exclusively(async () => {
      const mount = this.#byPath.get(path)
      if (!mount || mount.entry.isTainted) {
        throw fault('request.invalid', `tune of path "${path}" failed: no mount entry found`)
      }
      const entry = change(mount.entry)
      const hasNewOptions = JSON.stringify(entry.options) !== JSON.stringify(mount.entry.options)
      const former = Promise.withResolvers<void>()
      const next = hasNewOptions
        ? await this.#openInPlaceOf(mount, entry, former.promise)
        : { ...makeMount({ ...mount, entry, facts: this.#facts(entry) }), inFlight: mount.inFlight }
      await this.#commitOrClose(entry, next, mount)
      this.#put(next)
      if (hasNewOptions) void this.#retire(mount).then(former.resolve)
    })
  }

  async #openInPlaceOf(mount: Mount, entry: MountEntry, former: Promise<void>): Promise<Mount> {
    const engine = this.#builtins.has(mount.entry.uuid) ? mount.engine : this.#engine(entry)
    if (engine === null) throw fault('request.invalid', `plugin not found in the catalog: ${this.#asked(entry)}`)
    return engine === mount.engine ? this.#open(entry, engine) : this.#open(entry, engine, former)
  }

  /** @param kept shares its state with `mount` when that is no new one. */
  async #commitOrClose(entry: MountEntry, mount: Mount, kept?: Mount): Promise<void> {
    try {
      await this.#options.keeper.commit([{ key: this.#entryKey(entry.uuid), codec: mountCodec, entry }])
    } catch (error) {
      if (mount.state !== kept?.state) await this.#closeState(mount)
      throw error
    }
  }

  #retire(mount: Mount): Promise<void> {
    const retiring = this.#drain(mount)
      .then(() => this.#closeState(mount))
      .finally(() => this.#retiring.delete(retiring))
    this.#retiring.add(retiring)
    return retiring
  }

  async #drain(mount: Mount): Promise<void> {
    const { world, drainMsMax = drainMsDefault } = this.#options
    const isIdle = await mount.inFlight.idle(world.clock, drainMsMax, this.#closing.signal)
    if (isIdle) return
    const { count } = mount.inFlight
    world.log.warn('a mount is closed under requests that did not end in time', { path: mount.path, requests: count })
  }

  async #closeState(mount: Mount): Promise<void> {
    try {
      await mount.engine.close?.(mount.state)
    } catch (error) {
      this.#options.world.log.error('a mount could not be closed in good order', { path: mount.path, error })
    }
  }

  /** Effective TTLs of a mount. */
  effectiveTtls(config: MountConfig): SystemTtls {
    const { ttls } = this.#options
    return {
      defaultTtl: config.defaultLeaseTtl || ttls.defaultTtl,
      maxTtl: config.maxLeaseTtl || ttls.maxTtl,
    }
  }

  /** Requests are waited for no longer. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#retiring)
    for (const mount of this.#byPath.values()) await this.#closeState(mount)
    this.#byPath = new Map()
    this.#byAccessor = new Map()
  }

  #entries(): readonly MountEntry[] {
    return [...this.#byPath.values()].map(mount => mount.entry)
  }

  #put(mount: Mount): Mount {
    this.#byPath.set(mount.path, mount)
    this.#byAccessor.set(mount.entry.accessor, mount)
    return mount
  }

  #engine({ kind, type, options }: MountEntry): AnyEngine | null {
    const serves = (engine: AnyEngine): boolean => engine.serves?.(options ?? {}) ?? true
    return this.#options.catalog.find(engine => engine.kind === kind && engine.type === type && serves(engine)) ?? null
  }

  // A type that is there in another version only: the message names the option that asked for this one.
  #asked({ kind, type, options }: MountEntry): string {
    const isKnown = this.#options.catalog.some(engine => engine.kind === kind && engine.type === type)
    return isKnown ? `${type} with options ${JSON.stringify(options ?? {})}` : type
  }

  #entryKey(uuid: string): string {
    return `${rootNamespace.id}/${mountCodec.prefix}${uuid}`
  }

  #viewPrefix(entry: MountEntry): string {
    return `${rootNamespace.id}/${entry.kind === 'auth' ? 'auth' : 'logical'}/${entry.uuid}/`
  }

  #facts(entry: MountEntry): MountFacts {
    return {
      path: fullPath(entry),
      accessor: entry.accessor,
      uuid: entry.uuid,
      namespace: rootNamespace,
      options: entry.options ?? {},
      defaultTtl: () => this.effectiveTtls(this.#current(entry).config).defaultTtl,
      maxTtl: () => this.effectiveTtls(this.#current(entry).config).maxTtl,
    }
  }

  #current(entry: MountEntry): MountEntry {
    return this.#byPath.get(fullPath(entry))?.entry ?? entry
  }

  async #open(entry: MountEntry, engine: AnyEngine, former?: Promise<void>): Promise<Mount> {
    const { keeper, world, services, effects, emit } = this.#options
    const view = new MountView(keeper, this.#viewPrefix(entry), effects(entry))
    const facts = this.#facts(entry)
    const needed: Record<string, unknown> = {}
    for (const name of engine.needs ?? []) {
      if (services[name] === undefined)
        throw fault('internal', 'internal error', { reason: `engine ${engine.type} needs ${name}` })
      needed[name] = services[name]
    }
    const parts: Parts = {
      world: { ...world, log: world.log.named(`${entry.kind === 'auth' ? 'auth' : 'secrets'}.${entry.type}`) },
      view,
      mount: facts,
      emit: event => emit(this.#current(entry), event),
      services: needed,
      ...(former && { former }),
    }
    const state = await engine.open(parts)
    return makeMount({ entry, engine, state, view, facts })
  }

  async #remove(mount: Mount): Promise<void> {
    const { keeper, revokeBelow } = this.#options
    await this.#drain(mount)
    // Handlers that a tune left behind write below the same prefix.
    await Promise.all(this.#retiring)
    await revokeBelow(mount.entry)
    await this.#closeState(mount)
    await keeper.purge(this.#viewPrefix(mount.entry))
    await keeper.commit([{ key: this.#entryKey(mount.entry.uuid), codec: mountCodec, entry: null }])
    this.#byPath.delete(mount.path)
    this.#byAccessor.delete(mount.entry.accessor)
  }

  #exclusively<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.#busy.then(work, work)
    this.#busy = mine.then(
      () => undefined,
      () => undefined,
    )
    return mine
  }
}

/** 768 hours, Vault's for both. */
export const systemTtlsDefault: SystemTtls = { defaultTtl: seconds(2_764_800), maxTtl: seconds(2_764_800) }
