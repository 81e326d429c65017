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
import { identityEngine } from '#core/builtin/identity/engine.ts'
import type { IdentityState } from '#core/builtin/identity/state.ts'
import { tokenEngine } from '#core/builtin/token/engine.ts'
import type { EventHub } from '#core/events/event-hub.ts'
import type { NoticeHub } from '#core/events/notices.ts'
import { Identity } from '#core/identity/identity.ts'
import { LeaseCount, type LeaseCountSettings } from '#core/leases/count.ts'
import { DueIndex } from '#core/leases/due-index.ts'
import { EffectRoom } from '#core/leases/effects.ts'
import { Leases } from '#core/leases/leases.ts'
import { Lockout } from '#core/lockout/lockout.ts'
import type { LockoutSettings } from '#core/lockout/rule.ts'
import { leaseMeters } from '#core/leases/meters.ts'
import { defaultMountConfig, fullPath, type MountEntry } from '#core/mounts/entry.ts'
import type { Mount } from '#core/mounts/mount.ts'
import { Moves } from '#core/mounts/moves.ts'
import { Mounts, type SystemTtls } from '#core/mounts/mounts.ts'
import { tokenOf } from '#core/pipeline/call.ts'
import type { House, Question } from '#core/pipeline/deps.ts'
import { type Acl, grantsBelow } from '#core/policy/acl.ts'
import { AclCache } from '#core/policy/judge.ts'
import { decide } from '#core/policy/decide.ts'
import { mayHear } from '#core/policy/hearing.ts'
import { PolicyShelf } from '#core/policy/shelf.ts'
import { LeaseQuotas } from '#core/quota/lease-quotas.ts'
import { readCounted } from '#core/quota/read.ts'
import { bothCensuses, TokenCount } from '#core/quota/token-count.ts'
import { Keeper } from '#core/storage/keeper.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import { identityPoliciesOf, type LiveToken } from '#core/tokens/live.ts'
import { type TokenMeters, tokenMeters } from '#core/tokens/meters.ts'
import { Renewals } from '#core/tokens/renewal.ts'
import { TokenRoles } from '#core/tokens/roles.ts'
import { subjectOf } from '#core/tokens/subject.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import { Wrappings } from '#core/tokens/wrapping.ts'
import type { Verdict } from '#protocol/verdict.ts'
import type { Store, Term } from '#stores/store.ts'
import { Telling } from './telling.ts'

export type HouseOptions = {
  readonly world: World
  readonly store: Store
  readonly barrier: Barrier
  readonly term: Term
  readonly ttls: SystemTtls
  readonly lockout: LockoutSettings
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
  /** Where clients reach this server; empty when not known. */
  readonly address: () => string
}

/** Everything that exists between unseal and seal. */
export type OpenHouse = House & {
  readonly keeper: Keeper
  readonly moves: Moves
  readonly policies: PolicyShelf
  readonly passwords: PasswordShelf
  readonly devices: AuditDevices
  readonly notices: NoticeHub
  readonly events: EventHub
  readonly due: DueIndex
  readonly effects: EffectRoom
  readonly quotas: LeaseQuotas
  readonly count: LeaseCount
  /** Does any rule of the token lie at or below the path, or cover it? */
  touches(live: LiveToken, path: string): Promise<boolean>
  readonly tokenCount: TokenCount
  /** The verdict for a token. */
  judgeToken(token: string, question: Question): Promise<Verdict | null>
  /** May the token's holder hear of an event of this type about this path? */
  mayHear(live: LiveToken, path: string | null, type: string): Promise<boolean>
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
  const { keeper, audit, devices, identity, policies, passwords, acls, due, telling, mounts } = rooms
  const { effects, leases, tokens, quotas, lockout, tokenCount, count, meters, moves } = rooms
  const aclOf = (live: LiveToken): Maybe<Acl> =>
    acls.aclOf(live, () => ({
      // Whoever forgets to ask whether its entity is there finds that it may do nothing.
      policies: live.isOrphaned ? [] : live.policies,
      isRoot: live.isRoot,
      subject: subjectOf(live.standing),
    }))
  const judge = (live: LiveToken, question: Question): Maybe<Verdict> => {
    const acl = aclOf(live)
    const ask = { ...question, namespacePath: '' }
    return acl instanceof Promise ? acl.then(one => decide(one, ask)) : decide(acl, ask)
  }
  // What a crash left of values in parts; nobody waits for it.
  void keeper.sweep(sweeping.signal)
  return {
    mounts,
    moves,
    tokens,
    wrappings: rooms.wrappings,
    identity,
    audit,
    judge,
    keeper,
    policies,
    passwords,
    devices,
    notices: telling.notices,
    events: telling.events,
    due,
    effects,
    leases,
    quotas,
    lockout,
    mayHear: async (live, path, type) => mayHear(await aclOf(live), path, type),
    tokenCount,
    count,
    meters,
    touches: async (live, path) => grantsBelow(await aclOf(live), path),
    async judgeToken(token, question) {
      const live = await tokens.find(token)
      return live === null ? null : judge(live, question)
    },
    async judgeFor(accessor, question) {
      const live = await tokens.liveByAccessor(accessor)
      return live === null ? null : judge(live, question)
    },
    async close() {
      sweeping.abort()
      quotas.close()
      count.close()
      tokenCount.close()
      telling.close()
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
  lockout: lockoutSettings,
  catalog,
  services,
  metrics,
  leaseCount,
  cacheBytes,
  auditDirectory,
  onFailed,
  address,
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
  const telling = new Telling(world, accessor => mounts.byAccessor(accessor)?.entry ?? null)
  const counting = { metrics, meters, leaseCount }
  const lives = buildLives({ keeper, world, identity, due, salt, barrier, telling, ...counting, mounts: () => mounts })
  const { effects, leases, tokens, quotas } = lives
  const wrappings = new Wrappings({ tokens, keeper, world, prefix: `${ns}/token/`, address })
  const lockout = new Lockout({ keeper, world, due, prefix: `${ns}/lockout/`, settings: lockoutSettings })
  const mounts: Mounts = new Mounts({
    keeper,
    world,
    catalog,
    services: { ...services, passwords },
    ttls,
    effects: mount => effects.of(mount.accessor),
    emit: (mount, event) => telling.tell(mount, event),
    revokeBelow: async mount => {
      await tokens.revokeOfMount(mount.accessor)
      await leases.endOfMount(mount.accessor, fullPath(mount), world.signal)
      await effects.end(mount.accessor, world.signal)
      await quotas.endOfMount(fullPath(mount))
      await lockout.endOfMount(mount.accessor)
    },
  })
  return {
    audit,
    keeper,
    devices,
    identity,
    policies,
    passwords,
    acls,
    due,
    lockout,
    telling,
    mounts,
    moves: buildMoves(mounts, world, lives),
    wrappings,
    meters,
    ...lives,
  }
}

function buildMoves(mounts: Mounts, world: World, { tokens, leases, quotas }: ReturnType<typeof buildLives>): Moves {
  return new Moves({
    mounts,
    world,
    async revoke(mount, signal) {
      await tokens.revokeOfMount(mount.accessor)
      await leases.endOfMount(mount.accessor, fullPath(mount), signal)
    },
    rename: (source, target) => quotas.rename(source, target),
  })
}

type LifeParts = {
  readonly keeper: Keeper
  readonly world: World
  readonly identity: Identity
  readonly due: DueIndex
  readonly salt: string
  readonly telling: Telling
  readonly barrier: Barrier
  readonly metrics: Metrics
  readonly meters: TokenMeters
  readonly leaseCount: LeaseCountSettings
  /** Asked only once everything is built. */
  readonly mounts: () => Mounts
}

/** What has a life: leases and tokens, and who counts them. */
function buildLives(parts: LifeParts) {
  const { keeper, world, identity, due, salt, barrier, telling, metrics, meters, leaseCount, mounts } = parts
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
    onChange: (what, lease) => telling.tellLease(what, lease),
    onIrrevocable: by => count.irrevocable(by),
  })
  const tokenCount: TokenCount = new TokenCount((after, limit) => tokens.shelf.keys(after, limit))
  const tokens: Tokens = new Tokens({
    keeper,
    world,
    identity,
    due,
    prefix: `${ns}/token/`,
    salt,
    sealer: barrier,
    isMounted: accessor => mountOf(accessor)?.entry.isTainted === false,
    leases,
    census: bothCensuses(count, tokenCount),
    meters,
  })
  return { effects, quotas, count, leases, tokens, tokenCount }
}

async function furnishRooms(rooms: Rooms, { world, system }: HouseOptions): Promise<void> {
  const { identity, policies, tokens, leases, mounts, devices } = rooms
  const roles = new TokenRoles(rooms.keeper, `${ns}/token/`)
  await mounts.addBuiltin(system.entry, system.engine)
  await mounts.addBuiltin(
    builtinEntry('auth', 'token/', 'token', 'token based credentials'),
    tokenEngine({
      tokens,
      roles,
      leases,
      renewals: new Renewals({ tokens, mounts, identity, roles, world, meters: rooms.meters }),
      policyExists: async name => (await policies.get(name)) !== null,
      identityPolicies: async id =>
        id === '' ? [] : identityPoliciesOf((await identity.standing(id))?.policies ?? []),
      callerOf: tokenOf,
    }),
  )
  const cubbyhole = cubbyholeEngine({ cubbyholes: tokens.cubbyholes, wrappings: rooms.wrappings, callerOf: tokenOf })
  const entry = builtinEntry('secret', 'cubbyhole/', cubbyhole.type, cubbyhole.description)
  await mounts.addBuiltin({ ...entry, local: true, sealWrap: false }, cubbyhole)
  const shown: IdentityState['mountOf'] = accessor => {
    const mount = mounts.byAccessor(accessor)
    return mount && { type: mount.entry.type, path: mount.path, isLocal: mount.entry.local }
  }
  const identities = identityEngine({ identity, mountOf: shown })
  const atIdentity = builtinEntry('secret', 'identity/', identities.type, identities.description)
  await mounts.addBuiltin({ ...atIdentity, sealWrap: false }, identities)
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
