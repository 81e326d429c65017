import type { Seconds } from '#ground/base/clock.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { TemplateError } from '#ground/template/errors.ts'
import type { FunctionTable } from '#ground/template/function.ts'
import { parseTemplate, type Template } from '#ground/template/template.ts'
import { clockFunctions } from '#ground/template/functions/clock.ts'
import { textFunctions } from '#ground/template/functions/text.ts'
import type { ApiClient } from '#client/api.ts'
import { KvMounts } from '#client/calls/kv-mounts.ts'
import { ServerReturn } from '#client/server-return.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { type Query, queryText, readQuery } from '#delivery/functions/query.ts'
import { hostFunctions } from '#delivery/functions/host.ts'
import { vaultFunctions } from '#delivery/functions/vault.ts'
import type { Parcel, Recipe, Shape } from '#delivery/recipe.ts'
import { Dependency, type Primed } from './dependency.ts'
import { fieldText } from './field.ts'
import type { Identity } from './identity.ts'

export type ObtainerOptions = {
  readonly world: World
  readonly client: ApiClient
  /** When the client's token ends, ms since 1970; null, or left out: nobody knows. */
  readonly tokenEndsAtMs?: () => number | null
  /** See `Dependency`; left out: nothing can be done. */
  readonly outlive?: (untilMs: number, signal: AbortSignal) => Promise<void>
  /** Shortens waits for a server that was away; default its own. */
  readonly serverReturn?: ServerReturn
  readonly env: Readonly<Record<string, string | undefined>>
  readonly staticInterval: Seconds
  readonly retriesMax: number
  /** This token is known to nobody any more; it may have a successor. */
  readonly onTokenInvalid: (token: Secret | null) => void
  /** What an agent before this one fetched, by query text; each is used once. */
  readonly primed?: ReadonlyMap<string, Primed>
  /** What change notices are wanted for: the paths that are read now, those too where nothing is yet, and leases. */
  readonly onPaths?: (paths: ReadonlySet<string>) => void
  /** What `held` says is another. */
  readonly onKept?: () => void
}

export type Order = {
  /** A template finds its sources itself; a field has one. */
  readonly recipe: Recipe & { readonly shape: { readonly kind: 'template' | 'field' } }
  readonly sandboxPath: string | null
  /** Called with each new parcel, one at a time. */
  readonly deliver: (parcel: Parcel, signal: AbortSignal) => Promise<void>
  /** Rendering failed for good, or a source did after all retries. */
  readonly onFailed: (error: unknown) => void
}

type Job = {
  readonly order: Order
  template: Template | null
  isDirty: boolean
  isBusy: boolean
  uses: ReadonlySet<string>
}

const nothing = new Uint8Array(0)
const unknownEnd = (): null => null
const unheard = (): void => undefined
const nothingToDo = async (): Promise<void> => undefined

/**
 * Turns recipes into parcels and keeps them fresh. A template is executed again and again: each pass notes what it asked
 * for, what is new is fetched, and a pass in which nothing was missing makes the parcel. A source that no template asks
 * for any more is dropped. @source consul-template manager/runner.go
 */
export class Obtainer {
  readonly #options: ObtainerOptions
  readonly #dependencies = new Map<string, Dependency>()
  readonly #jobs: Job[] = []
  readonly #abort = new AbortController()
  readonly #pure: FunctionTable
  readonly #mounts: KvMounts
  readonly #primed: Map<string, Primed>
  readonly #serverReturn: ServerReturn
  #identity: Identity
  #isScheduled = false

  constructor(options: ObtainerOptions) {
    this.#options = options
    this.#identity = { client: options.client, endsAtMs: options.tokenEndsAtMs ?? unknownEnd }
    this.#serverReturn = options.serverReturn ?? new ServerReturn(options.world, options.client)
    this.#mounts = new KvMounts(options.world.clock)
    this.#primed = new Map(options.primed)
    this.#pure = new Map([...textFunctions, ...clockFunctions(options.world.clock)])
  }

  add(order: Order): void {
    this.#jobs.push({ order, template: null, isDirty: true, isBusy: false, uses: new Set() })
    this.#schedule()
  }

  /**
   * Another login: what was leased with another token is asked for anew, since it ends with that one; the rest stays,
   * and all of it when the token is the same.
   */
  setClient(client: ApiClient, tokenEndsAtMs: () => number | null = unknownEnd): void {
    this.#identity = { client, endsAtMs: tokenEndsAtMs }
    for (const dependency of this.#dependencies.values()) {
      const isOrphaned = dependency.isLeased && !dependency.isOwnedBy(this.#identity)
      if (isOrphaned || dependency.fetched === null || dependency.isFailing) dependency.poke()
    }
  }

  /**
   * Something at this path changed, or a lease of this id is gone; `null` = anything may have. Then what is made by asking (a database user, a
   * certificate) stays: asking again would make another.
   */
  changed(path: string | null): void {
    for (const dependency of this.#dependencies.values()) {
      if (path !== null && dependency.leaseId === path) dependency.leaseEnded()
      else if (path === null ? !dependency.isMade : dependency.path === path) dependency.poke()
    }
  }

  /** Another try for what failed: sources that were given up, templates that were not rendered or not delivered. */
  tryAgain(): void {
    for (const dependency of this.#dependencies.values()) if (dependency.isFailing) dependency.poke()
    for (const job of this.#jobs) job.isDirty = true
    this.#schedule()
  }

  /** All that is held now, by query text, for an agent that goes on with it; or only what was made by asking. */
  held(what: 'all' | 'made'): ReadonlyMap<string, Primed> {
    const held = new Map(this.#primed)
    for (const [text, { primed, isMade }] of this.#dependencies) {
      if (primed !== null && (what === 'all' || isMade)) held.set(text, primed)
    }
    return held
  }

  async close(): Promise<void> {
    this.#abort.abort()
    await Promise.all([...this.#dependencies.values()].map(dependency => dependency.stop()))
  }

  #schedule(): void {
    if (this.#isScheduled || this.#abort.signal.aborted) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      for (const job of this.#jobs) if (job.isDirty && !job.isBusy) void this.#work(job)
      this.#dropUnused()
    })
  }

  async #work(job: Job): Promise<void> {
    job.isBusy = true
    try {
      while (job.isDirty && !this.#abort.signal.aborted) {
        job.isDirty = false
        const parcel = this.#pass(job)
        if (parcel !== null) await job.order.deliver(parcel, this.#abort.signal)
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) job.order.onFailed(error)
    } finally {
      job.isBusy = false
    }
  }

  /** @returns null while something is missing. @throws TemplateError */
  #pass(job: Job): Parcel | null {
    const used = new Set<string>()
    const missing: Query[] = []
    const seen = (query: Query): Dependency | null => {
      const text = queryText(query)
      used.add(text)
      const dependency = this.#dependencies.get(text) ?? null
      if (dependency?.fetched == null) missing.push(query)
      return dependency
    }
    const bytes = this.#shaped(job, seen, missing)
    job.uses = used
    for (const query of missing) this.#want(query)
    return missing.length > 0 ? null : this.#parcel(job, bytes)
  }

  #shaped(job: Job, seen: (query: Query) => Dependency | null, missing: readonly Query[]): Uint8Array {
    const { shape, sources } = job.order.recipe
    if (shape.kind === 'template') return this.#rendered(job, shape, seen, missing)
    const fetched = seen(readQuery(sources[0]!.path))?.fetched ?? null
    return fetched === null ? nothing : Buffer.from(fieldText(fetched, shape.field))
  }

  #rendered(
    job: Job,
    shape: Shape & { readonly kind: 'template' },
    seen: (query: Query) => Dependency | null,
    missing: readonly Query[],
  ): Uint8Array {
    const functions: FunctionTable = new Map([
      ...this.#pure,
      ...hostFunctions({ env: this.#options.env, sandboxPath: job.order.sandboxPath, onFile: () => undefined }),
      ...vaultFunctions({
        secret: (query): Envelope | null => seen(query)?.fetched?.envelope ?? null,
        keys: query => seen(query)?.fetched?.keys ?? null,
      }),
    ])
    const [left, right] = shape.delimiters
    job.template ??= parseTemplate('', shape.text, { delims: { left, right }, functions })
    try {
      return job.template.render(null, { functions, missingKey: shape.missingKey === 'error' ? 'error' : 'zero' })
    } catch (error) {
      // Before the data is there, what a template makes of nil says nothing about it.
      if (!(error instanceof TemplateError) || missing.length === 0) throw error
      return nothing
    }
  }

  #parcel(job: Job, bytes: Uint8Array): Parcel {
    const sources = [...job.uses].map(text => this.#dependencies.get(text)!)
    return {
      recipe: job.order.recipe.name,
      bytes,
      origins: sources.map(({ fetched }) => ({
        path: fetched!.fullPath,
        version: fetched!.version,
        leaseId: fetched!.envelope.leaseId || null,
      })),
      nextAt: Math.min(...sources.map(source => source.nextAtMs || Number.MAX_SAFE_INTEGER)) as Parcel['nextAt'],
    }
  }

  #want(query: Query): void {
    const text = queryText(query)
    if (this.#dependencies.has(text)) return
    const { world, staticInterval, retriesMax, onTokenInvalid } = this.#options
    const primed = this.#primed.get(text) ?? null
    this.#primed.delete(text)
    const dependency = new Dependency({
      query,
      primed,
      world,
      identity: () => this.#identity,
      outlive: this.#options.outlive ?? nothingToDo,
      serverReturn: this.#serverReturn,
      mounts: this.#mounts,
      staticInterval,
      retriesMax,
      onTokenInvalid,
      onChange: () => this.#onChange(text),
      onKept: this.#options.onKept ?? unheard,
      onAbsent: () => this.#tellPaths(),
      onFailed: error => {
        for (const job of this.#jobs) if (job.uses.has(text)) job.order.onFailed(error)
      },
    })
    this.#dependencies.set(text, dependency)
  }

  #onChange(text: string): void {
    for (const job of this.#jobs) if (job.uses.has(text)) job.isDirty = true
    this.#tellPaths()
    this.#schedule()
  }

  #tellPaths(): void {
    const paths = [...this.#dependencies.values()].flatMap(one => [one.path, one.leaseId]).filter(path => path !== null)
    this.#options.onPaths?.(new Set(paths))
  }

  #dropUnused(): void {
    const used = new Set(this.#jobs.flatMap(job => [...job.uses]))
    for (const [text, dependency] of this.#dependencies) {
      if (used.has(text)) continue
      this.#dependencies.delete(text)
      void dependency.stop()
    }
  }
}
