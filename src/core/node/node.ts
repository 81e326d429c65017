import type { Seconds } from '#ground/base/clock.ts'
import type { Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { HttpHandler, HttpRequest, HttpResponse } from '#ground/http/message.ts'
import { defaultJsonLimits } from '#ground/text/json-parse.ts'
import type { BareValue } from '#ground/text/metrics.ts'
import type { AnyEngine } from '#backend/engine.ts'
import type { NewToken } from '#backend/login.ts'
import { rootNamespace } from '#backend/namespace.ts'
import { Unsealer } from '#core/barrier/unsealer.ts'
import { systemEngine } from '#core/builtin/system/engine.ts'
import { openApiDocument } from '#core/builtin/system/openapi.ts'
import { Refusals } from '#core/builtin/system/refusal.ts'
import type { InitAsk, InitResult, SealControl, SealStatus, SystemState } from '#core/builtin/system/state.ts'
import { defaultMountConfig, type MountEntry } from '#core/mounts/entry.ts'
import type { LockoutSettings } from '#core/lockout/rule.ts'
import { makeMount, type Mount } from '#core/mounts/mount.ts'
import { closedView } from '#core/storage/closed-view.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import { sentTokenOf, tokenOf } from '#core/pipeline/call.ts'
import { PipelineMeters } from '#core/pipeline/meters.ts'
import { createPipeline, noRateLimits } from '#core/pipeline/pipeline.ts'
import { type AutoSeal, SealError } from '#core/seal/seal.ts'
import { shareTexts } from '#core/seal/unseal-key.ts'
import { registerToken } from '#core/tokens/register.ts'
import { type Fault, fault } from '#protocol/fault.ts'
import { programVersion } from '#protocol/version.ts'
import type { Store, Term } from '#stores/store.ts'
import { builtinEntry, type OpenHouse, openHouse } from './house.ts'
import { NodeSnapshots } from './snapshots.ts'
import { Telemetry, type TelemetrySettings } from './telemetry.ts'

/** What a server is told about itself; times in seconds. */
export type NodeSettings = {
  readonly requestBytesMax: number
  readonly requestSecondsMax: number
  readonly defaultLeaseTtl: Seconds
  readonly maxLeaseTtl: Seconds
  readonly lockout: LockoutSettings
  /** Decoded entries kept in memory. */
  readonly cacheBytes: number
  /** Enabled at unseal, if not there yet. */
  readonly audits: readonly AuditStanza[]
  /** Audit files lie below it; null = none may be enabled. */
  readonly auditDirectory: string | null
  /** null: made from the cluster's id. */
  readonly clusterName: string | null
  readonly telemetry: TelemetrySettings
}

export type AuditStanza = {
  readonly path: string
  readonly type: string
  readonly options: Readonly<Record<string, string>>
}

export type NodeOptions = {
  readonly world: World
  readonly store: Store
  readonly settings: NodeSettings
  /** null: Shamir shares, given by people. */
  readonly autoSeal: AutoSeal | null
  /** Every engine and auth method that can be mounted. */
  readonly catalog: readonly AnyEngine[]
  /** Handed to engines that name them in `needs`. */
  readonly services: Readonly<Record<string, unknown>>
  readonly metrics: Metrics
  /** Of the process, for the text format. */
  readonly bareMetrics: () => readonly BareValue[]
  /** Answers paths outside `/v1/`; null = no such page. */
  readonly pages: (request: HttpRequest, state: NodeState) => HttpResponse | null
  /** The store failed: the process must end, since nothing can be built on it. */
  readonly onFatal: (error: unknown) => void
  /** Where clients reach this server, for tokens that say it; empty when not known. */
  readonly address?: () => string
}

export type NodeState = 'uninitialised' | 'sealed' | 'ready'

const clusterKey = `${rootNamespace.id}/cluster-id`
const buildDate = '2026-11-25T00:00:00Z'
const countKeptMs = 600_000

/** One server: its store, its seal, and while unsealed everything else. */
export class ServerNode implements SealControl {
  readonly #options: NodeOptions
  readonly #unsealer: Unsealer
  readonly #refusals = new Refusals()
  readonly #system: Mount
  readonly handler: HttpHandler
  readonly telemetry: Telemetry
  #term: Term | null = null
  #house: OpenHouse | null = null
  #clusterId: string | null = null
  #lastClusterId: string | null = null
  #counting: Disposable | null = null
  #wasInitialised = false

  constructor(options: NodeOptions) {
    this.#options = options
    const { world, store, autoSeal, settings, metrics } = options
    this.#unsealer = new Unsealer({ store, world: { ...world, log: world.log.named('seal') }, autoSeal })
    this.telemetry = new Telemetry({
      metrics,
      settings: settings.telemetry,
      bare: options.bareMetrics,
      house: () => this.#house,
      clusterName: () => this.#clusterName(),
    })
    const engine = systemEngine(this.#state())
    this.#system = systemMount(engine)
    this.handler = createPipeline({
      world: { ...world, log: world.log.named('core') },
      settings: {
        bodyBytesMax: settings.requestBytesMax,
        json: defaultJsonLimits,
        requestMsMax: settings.requestSecondsMax * 1000,
        pages: request => options.pages(request, this.state),
      },
      rateLimits: noRateLimits,
      refusals: this.#refusals,
      meters: new PipelineMeters(metrics, world.clock),
      system: this.#system,
      house: () => this.#house,
    })
  }

  get state(): NodeState {
    if (this.#house !== null) return 'ready'
    return this.#wasInitialised ? 'sealed' : 'uninitialised'
  }

  /** null while sealed. */
  get house(): OpenHouse | null {
    return this.#house
  }

  /** Takes the lead, and unseals where the seal does it by itself. */
  async start(): Promise<void> {
    const { store, world, autoSeal } = this.#options
    this.#term = await store.campaign(world.signal)
    this.#wasInitialised = (await this.#unsealer.status()).isInitialised
    if (autoSeal === null || !this.#wasInitialised) return
    const { isStale } = await this.#unsealer.unsealByItself()
    if (isStale) await this.#unsealer.rewrap(this.#term)
    await this.#open()
  }

  async status(): Promise<SealStatus> {
    const status = await this.#unsealer.status()
    return {
      type: status.type,
      isInitialized: status.isInitialised,
      isSealed: this.#house === null,
      threshold: status.threshold,
      shares: status.shares,
      progress: status.progress,
      nonce: status.nonce,
      isRecoverySeal: status.hasRecoverySeal,
      storageType: this.#options.store.type,
    }
  }

  async init(ask: InitAsk): Promise<InitResult> {
    const { autoSeal } = this.#options
    checkFamily(ask, autoSeal)
    const made = await asFaults(() =>
      this.#unsealer.initialise(this.#term!, {
        secret:
          autoSeal === null || ask.secretShares > 0
            ? { shares: ask.secretShares, threshold: ask.secretThreshold }
            : null,
        recovery: ask.sent.has('recovery_shares')
          ? { shares: ask.recoveryShares, threshold: ask.recoveryThreshold }
          : null,
      }),
    )
    this.#wasInitialised = true
    await this.#open()
    const rootToken = await this.createRootToken(null)
    if (autoSeal === null) await this.seal()
    return {
      keys: made.keys.map(share => shareTexts(share).hex),
      recoveryKeys: (made.recoveryKeys ?? []).map(share => shareTexts(share).hex),
      rootToken,
    }
  }

  async unseal(key: string): Promise<SealStatus> {
    await asFaults(() => this.#unsealer.submit(key))
    if (this.#unsealer.barrier !== null && this.#house === null) await this.#open()
    return this.status()
  }

  async resetUnseal(): Promise<SealStatus> {
    await asFaults(() => this.#unsealer.reset())
    return this.status()
  }

  async seal(): Promise<void> {
    const house = this.#house
    this.#house = null
    this.#clusterId = null
    this.#counting?.[Symbol.dispose]()
    await house?.close()
    this.#unsealer.seal()
    this.#options.world.log.info('sealed')
  }

  /** A token with the root policy and no end. @param id only for `-dev-root-token-id`. */
  async createRootToken(id: string | null): Promise<string> {
    const house = this.#house!
    const none = 0 as never
    const asked: NewToken = {
      type: 'service',
      id,
      policies: ['root'],
      metadata: null,
      displayName: 'root',
      path: 'auth/token/root',
      isOrphan: true,
      renewable: false,
      ttl: none,
      explicitMaxTtl: none,
      period: none,
      numUses: 0,
      boundCidrs: [],
      role: null,
      alias: null,
    }
    const mount = { ...house.mounts.effectiveTtls(defaultMountConfig), accessor: 'auth_token_builtin' }
    const { token } = await registerToken(house, asked, null, mount, { now: this.#options.world.clock.now() })
    return token.reveal('the root token, shown once by init')
  }

  /** SIGHUP: audit files are opened anew. */
  reopenAudit(): void {
    this.#house?.audit.reopen()
  }

  /** Ends orderly: what was acknowledged is durable already. */
  async stop(): Promise<void> {
    if (this.#house !== null) await this.seal()
    await this.#term?.resign()
    await this.#options.store.close()
  }

  /** The store gets the content that was staged. Where that can't be unsealed, the server stays sealed with it. */
  async #reload(): Promise<void> {
    const { store, world, onFatal } = this.#options
    try {
      await this.seal()
      await store.install()
    } catch (error) {
      return onFatal(error)
    }
    try {
      await this.start()
    } catch (error) {
      world.log.error('the restored store could not be unsealed by the seal of this server', { error })
    }
  }

  async #open(): Promise<void> {
    const { world, store, settings, catalog, services, metrics, onFatal, address = () => '' } = this.#options
    const began = world.clock.monotonic()
    const barrier = this.#unsealer.barrier!
    const house = await openHouse({
      world,
      store,
      barrier,
      term: this.#term!,
      ttls: { defaultTtl: settings.defaultLeaseTtl, maxTtl: settings.maxLeaseTtl },
      lockout: settings.lockout,
      cacheBytes: settings.cacheBytes,
      auditDirectory: settings.auditDirectory,
      catalog,
      services,
      metrics,
      leaseCount: settings.telemetry.leaseCount,
      system: { entry: this.#system.entry, engine: this.#system.engine },
      onFailed: onFatal,
      address,
    })
    this.#clusterId = await house.keeper.update(clusterKey, textCodec, now => {
      const id = (now as string | null) ?? world.entropy.uuid()
      return now === null ? { entry: id, result: id } : { result: id }
    })
    this.#lastClusterId = this.#clusterId
    for (const audit of settings.audits) {
      if (house.devices.all().some(device => device.path === audit.path)) continue
      await house.devices.enable({ ...audit, description: '', local: false })
    }
    await house.identity.works.resume()
    await house.tokens.resume()
    await house.effects.resume()
    this.#house = house
    await house.due.start()
    house.moves.resume()
    house.count.start()
    this.#keepCount()
    metrics.summary('core.post_unseal').add(world.clock.monotonic() - began)
    world.log.info('unsealed', { storage: store.type, term: this.#term!.term })
  }

  #keepCount(): void {
    this.#counting = this.#options.world.clock.after(countKeptMs, () => {
      const barrier = this.#unsealer.barrier
      if (barrier === null || this.#house === null) return
      void barrier
        .keepCount(this.#term!)
        .then(() => barrier.rotateIfWorn(this.#term!))
        .catch(error => this.#options.world.log.error('the count of encryptions could not be kept', { error }))
        .finally(() => this.#keepCount())
    })
  }

  /** Sealed, it keeps the name that it had. */
  #clusterName(): string {
    return this.#options.settings.clusterName ?? `vault-cluster-${(this.#lastClusterId ?? '00000000').slice(0, 8)}`
  }

  #state(): SystemState {
    return {
      world: this.#options.world,
      seal: this,
      snapshots: new NodeSnapshots({
        store: this.#options.store,
        world: { ...this.#options.world, log: this.#options.world.log.named('snapshot') },
        barrier: () => this.#unsealer.barrier,
        reload: () => this.#reload(),
      }),
      version: programVersion,
      buildDate,
      clusterName: () => this.#clusterName(),
      metrics: (format, accepted) => this.telemetry.answer(format, accepted),
      clusterId: () => this.#clusterId,
      house: () => {
        if (this.#house === null) throw fault('server.sealed', 'Vault is sealed')
        return this.#house
      },
      refusal: id => this.#refusals.get(id),
      judgeFor: (accessor, path, operation) =>
        this.#house!.judgeFor(accessor, { path, operation, values: null, wrapTtl: 0 } as never),
      sentTokenOf,
      judgeToken: (token, path, operation) =>
        this.#house!.judgeToken(token, { path, operation, values: null, wrapTtl: 0 } as never),
      isCallerAlive: async call => {
        const live = tokenOf(call)
        const found = live === null || this.#house === null ? null : await this.#house.tokens.find(live.audited.token)
        return found !== null && !found.isOrphaned && !found.entity?.isDisabled
      },
      touches: async (call, path) => {
        const live = tokenOf(call)
        return live !== null && this.#house !== null && (await this.#house.touches(live, path))
      },
      mayHear: async (call, path, type) => {
        const live = tokenOf(call)
        return live !== null && this.#house !== null && (await this.#house.mayHear(live, path, type))
      },
      openApi: (_call, generic) =>
        openApiDocument(this.#house?.mounts.all() ?? [this.#system], { generic, version: programVersion }),
    }
  }
}

function systemMount(engine: AnyEngine): Mount {
  const entry: MountEntry = builtinEntry(
    'secret',
    'sys/',
    'system',
    'system endpoints used for control, policy and debugging',
  )
  const facts = {
    path: entry.path,
    accessor: entry.accessor,
    uuid: entry.uuid,
    namespace: rootNamespace,
    options: {},
    defaultTtl: () => 0 as never,
    maxTtl: () => 0 as never,
  }
  return makeMount({ entry, engine, state: engineState(engine), view: closedView, facts })
}

// The engine of `sys/` was made around its state and gives it to whoever opens it.
const engineState = (engine: AnyEngine): unknown => engine.open(undefined as never)

function checkFamily(ask: InitAsk, autoSeal: AutoSeal | null): void {
  const names = (list: readonly string[]): string => list.filter(name => ask.sent.has(name)).join(',')
  const secret = autoSeal === null ? '' : names(['secret_shares', 'secret_threshold'])
  if (secret !== '' && (ask.secretShares > 0 || ask.secretThreshold > 0)) {
    throw fault('request.invalid', `parameters ${secret} not applicable to seal type ${autoSeal!.type}`)
  }
  const recovery = autoSeal === null ? names(['recovery_shares', 'recovery_threshold']) : ''
  if (recovery !== '' && (ask.recoveryShares > 0 || ask.recoveryThreshold > 0)) {
    throw fault('request.invalid', `parameters ${recovery} not applicable to seal type shamir`)
  }
}

async function asFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SealError ? faultOf(error) : error
  }
}

const faultOf = (error: SealError): Fault => fault('request.invalid', error.message)

/** The answer in the place of those whose audit entry nobody took. */
export const auditFailedResponse = (): HttpResponse => ({
  status: 500,
  headers: [
    ['Content-Type', 'application/json'],
    ['Cache-Control', 'no-store'],
  ],
  body: '{"errors":["internal error"]}\n',
})
