import type { Maybe } from '#ground/base/brand.ts'
import type { Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import type { AnyEngine } from '#backend/engine.ts'
import { rootNamespace } from '#backend/namespace.ts'
import { AuditBroker } from '#core/audit/broker.ts'
import { AuditDevices } from '#core/audit/devices.ts'
import type { Barrier } from '#core/barrier/barrier.ts'
import { PasswordShelf } from '#core/builtin/system/password-shelf.ts'
import { cubbyholeEngine } from '#core/builtin/cubbyhole.ts'
import { tokenEngine } from '#core/builtin/token.ts'
import { NoticeHub } from '#core/events/notices.ts'
import { Identity } from '#core/identity/identity.ts'
import { LeaseCount, type LeaseCountSettings } from '#core/leases/count.ts'
import { DueIndex } from '#core/leases/due-index.ts'
import { EffectRoom } from '#core/leases/effects.ts'
import { Leases } from '#core/leases/leases.ts'
import { leaseMeters } from '#core/leases/meters.ts'
import { defaultMountConfig, fullPath, type MountEntry } from '#core/mounts/entry.ts'
import type { Mount } from '#core/mounts/mount.ts'
import { Mounts, type SystemTtls } from '#core/mounts/mounts.ts'
import { tokenOf } from '#core/pipeline/call.ts'
import type { House, Question } from '#core/pipeline/deps.ts'
import { type Acl, grantsBelow } from '#core/policy/acl.ts'
import { AclCache } from '#core/policy/judge.ts'
import { decide } from '#core/policy/decide.ts'
import { PolicyShelf } from '#core/policy/shelf.ts'
import { LeaseQuotas } from '#core/quota/lease-quotas.ts'
import { readCounted } from '#core/quota/read.ts'
import { Keeper } from '#core/storage/keeper.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import { type TokenMeters, tokenMeters } from '#core/tokens/meters.ts'
import { Renewals } from '#core/tokens/renewal.ts'
import { subjectOf } from '#core/tokens/subject.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import type { Verdict } from '#protocol/verdict.ts'
import type { Store, Term } from '#stores/store.ts'

export type HouseOptions = {
  readonly world: World
  readonly store: Store
  readonly barrier: Barrier
  readonly term: Term
  readonly ttls: SystemTtls
  readonly cacheBytes: number
  readonly auditDirectory: string | null
  readonly catalog: readonly AnyEngine[]
  readonly services: Readonly<Record<string, unknown>>
  readonly metrics: Metrics
  readonly leaseCount: LeaseCountSettings
  /** The mount of `sys/`, which is there while sealed, too. */
  readonly system: { readonly entry: MountEntry; readonly engine: AnyEngine }
  /** The store failed: the node must seal. */
  readonly onFailed: (error: unknown) => void
}

/** Everything that exists between unseal and seal. */
export type OpenHouse = House & {
  readonly keeper: Keeper
  readonly policies: PolicyShelf
  readonly passwords: PasswordShelf
  readonly devices: AuditDevices
  readonly notices: NoticeHub
  readonly due: DueIndex
  readonly effects: EffectRoom
  readonly quotas: LeaseQuotas
  readonly count: LeaseCount
  /** Does any rule of the token lie at or below the path, or cover it? */
  touches(live: LiveToken, path: string): Promise<boolean>
  /** The verdict for the token behind an accessor. */
  judgeFor(accessor: string, question: Question): Promise<Verdict | null>
  close(): Promise<void>
}

const ns = rootNamespace.id
const saltKey = `${ns}/token/salt`

/** Builds the rooms of an unsealed server on each other, and reads what they keep. */
export async function openHouse(options: HouseOptions): Promise<OpenHouse> {
  const rooms = await buildRooms(options)
  await furnishRooms(rooms, options)
  const sweeping = new AbortController()
  const { keeper, audit, devices, identity, policies, passwords, acls, due, effects, leases, tokens, notices, mounts } =
    rooms
  const { quotas, count, meters } = rooms
  const aclOf = (live: LiveToken): Maybe<Acl> =>
    acls.aclOf(live, () => ({ policies: live.policies, isRoot: live.isRoot, subject: subjectOf(live.entity) }))
  const judge = (live: LiveToken, question: Question): Maybe<Verdict> => {
    const acl = aclOf(live)
    const ask = { ...question, namespacePath: '' }
    return acl instanceof Promise ? acl.then(one => decide(one, ask)) : decide(acl, ask)
  }
  // What a crash left of values in parts; nobody waits for it.
  void keeper.sweep(sweeping.signal)
  return {
    mounts,
    tokens,
    identity,
    audit,
    judge,
    keeper,
    policies,
    passwords,
    devices,
    notices,
    due,
    effects,
    leases,
    quotas,
    count,
    meters,
    touches: async (live, path) => grantsBelow(await aclOf(live), path),
    async judgeFor(accessor, question) {
      const live = await tokens.liveByAccessor(accessor)
      return live === null ? null : judge(live, question)
    },
    async close() {
      sweeping.abort()
      quotas.close()
      count.close()
      notices.close()
      await due.stop()
      await mounts.close()
      try {
        audit.flush()
      } finally {
        audit.close()
      }
    },
  }
}

type Rooms = Awaited<ReturnType<typeof buildRooms>>

async function buildRooms({
  world,
  store,
  barrier,
  term,
  ttls,
  catalog,
  services,
  metrics,
  leaseCount,
  cacheBytes,
  auditDirectory,
  onFailed,
}: HouseOptions) {
  const audit = new AuditBroker(world, metrics)
  const meters = tokenMeters(metrics, world.clock)
  const beforeCommit = (): void => audit.flush()
  const keeper = new Keeper({ store, barrier, fence: term, world, metrics, cacheBytes, beforeCommit, onFailed })
  const devices = new AuditDevices({ keeper, broker: audit, world, prefix: `${ns}/`, directory: auditDirectory })
  const identity = new Identity(keeper, world, `${ns}/identity/`)
  const policies = new PolicyShelf(keeper, world, `${ns}/policy/`)
  const passwords = new PasswordShelf(keeper, world, `${ns}/password-policy/`)
  const acls = new AclCache(policies, world)
  const due = new DueIndex(keeper, world, `${ns}/due/`)
  const salt = await keeper.update(saltKey, textCodec, now => {
    const made = (now as string | null) ?? Buffer.from(world.entropy.bytes(32)).toString('hex')
    return now === null ? { entry: made, result: made } : { result: made }
  })
  const lives = buildLives({ keeper, world, identity, due, salt, metrics, meters, leaseCount, mounts: () => mounts })
  const { effects, leases, tokens, quotas } = lives
  const notices = new NoticeHub()
  const mounts: Mounts = new Mounts({
    keeper,
    world,
    catalog,
    services: { ...services, passwords },
    ttls,
    effects: mount => effects.of(mount.accessor),
    emit: (mount, event) => notices.publish(fullPath(mount) + event.dataPath, event.version ?? null),
    revokeBelow: async mount => {
      await tokens.revokeOfMount(mount.accessor)
      await leases.endOfMount(mount.accessor, fullPath(mount), world.signal)
      await effects.end(mount.accessor, world.signal)
      await quotas.endOfMount(fullPath(mount))
    },
  })
  return { audit, keeper, devices, identity, policies, passwords, acls, due, notices, mounts, meters, ...lives }
}

type LifeParts = {
  readonly keeper: Keeper
  readonly world: World
  readonly identity: Identity
  readonly due: DueIndex
  readonly salt: string
  readonly metrics: Metrics
  readonly meters: TokenMeters
  readonly leaseCount: LeaseCountSettings
  /** Asked only once everything is built. */
  readonly mounts: () => Mounts
}

/** What has a life: leases and tokens, and who counts them. */
function buildLives({ keeper, world, identity, due, salt, metrics, meters, leaseCount, mounts }: LifeParts) {
  const mountOf = (accessor: string): Mount | null => mounts().byAccessor(accessor)
  const effects = new EffectRoom({ keeper, world, due, prefix: `${ns}/`, mountOf })
  const quotas: LeaseQuotas = new LeaseQuotas({
    keeper,
    world,
    prefix: `${ns}/quota/`,
    mountOf: path => mounts().resolve(path)?.mount.path ?? null,
    read: (kind, after) => readCounted({ leases, tokens }, kind, after, quotas.areRolesCounted),
    metrics,
  })
  const count: LeaseCount = new LeaseCount({
    world,
    due,
    inner: quotas.census,
    irrevocable: (after, limit) => leases.irrevocable(after, limit),
    settings: leaseCount,
  })
  const leases: Leases = new Leases({
    keeper,
    world,
    due,
    effects,
    prefix: `${ns}/lease/`,
    mountOf,
    ttlsOf: mount => mounts().effectiveTtls(mount.entry.config),
    attach: (token, writes) => tokens.attach(token, writes),
    census: count,
    meters: leaseMeters(metrics),
    onIrrevocable: by => count.irrevocable(by),
  })
  const prefix = `${ns}/token/`
  const tokens: Tokens = new Tokens({ keeper, world, identity, due, prefix, salt, leases, census: count, meters })
  return { effects, quotas, count, leases, tokens }
}

async function furnishRooms(rooms: Rooms, { world, system }: HouseOptions): Promise<void> {
  const { identity, policies, tokens, mounts, devices } = rooms
  await mounts.addBuiltin(system.entry, system.engine)
  await mounts.addBuiltin(
    builtinEntry('auth', 'token/', 'token', 'token based credentials'),
    tokenEngine({
      tokens,
      renewals: new Renewals(tokens, mounts, world, rooms.meters),
      policyExists: async name => (await policies.get(name)) !== null,
      identityPolicies: async id => (id === '' ? [] : ((await identity.entity(id))?.policies ?? [])),
      callerOf: tokenOf,
    }),
  )
  const cubbyhole = cubbyholeEngine({ cubbyholes: tokens.cubbyholes, callerOf: tokenOf })
  const entry = builtinEntry('secret', 'cubbyhole/', cubbyhole.type, cubbyhole.description)
  await mounts.addBuiltin({ ...entry, local: true, sealWrap: false }, cubbyhole)
  await policies.ensureDefault()
  await devices.load()
  await mounts.load()
  await rooms.quotas.load()
}

/** A mount of the server itself: made anew at each start, with an accessor of its own. */
export function builtinEntry(kind: MountEntry['kind'], path: string, type: string, description: string): MountEntry {
  return {
    uuid: `builtin-${type}`,
    kind,
    path,
    type,
    accessor: `${kind === 'auth' ? 'auth_' : ''}${type}_builtin`,
    description,
    config: defaultMountConfig,
    options: null,
    local: false,
    sealWrap: kind === 'secret',
    externalEntropyAccess: false,
    isTainted: false,
  }
}
