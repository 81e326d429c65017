import { instant, seconds as secondsOf, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import { ServerNode } from '#core/node/node.ts'
import { noTelemetry } from '#core/node/telemetry.ts'
import { staticSeal } from '#core/seal/static.ts'
import { openSqliteStore } from '#stores/sqlite/sqlite.ts'
import { catalog } from '#apps/server/catalog.ts'
import { prepareLogin, reviewer } from './reviewer.ts'
import { Running, say, sealKey } from './running.ts'

// What a million leases cost, and what happens when all of them end at once:
//
//     sh bin/pinned bench/leases.ts [leases, default 1000000] [ms a lease that the filling may take, default 0.3]
//
// The store is filled in this process, through the rooms that the server itself writes with; then the program runs over
// it. All leases end within one minute, which begins when the filling and the first measurements must be over.

const leases = Number(process.argv[2] ?? 1_000_000)
const fillMs = Number(process.argv[3] ?? 0.3)
const connections = 32
const endsFrom = Date.now() + leases * fillMs + 90_000
const spreadMs = 60_000
const metricsOpen = {
  listener: {
    tcp: { address: '127.0.0.1:0', tls_disable: true, telemetry: { unauthenticated_metrics_access: true } },
  },
  telemetry: { disable_hostname: true },
}

/** @returns the root token */
async function fill(path: string): Promise<string> {
  const ending = new AbortController()
  const world: World = { clock: systemClock, entropy: systemEntropy, log: silentLog, signal: ending.signal }
  const node = new ServerNode({
    world,
    store: await openSqliteStore({ path, world }),
    settings: {
      requestBytesMax: 1 << 20,
      requestSecondsMax: 90,
      defaultLeaseTtl: secondsOf(2_764_800),
      maxLeaseTtl: secondsOf(2_764_800),
      cacheBytes: 16 << 20,
      lockout: { isDisabled: false, stanzas: new Map() },
      audits: [],
      auditDirectory: null,
      clusterName: null,
      telemetry: { ...noTelemetry, leaseCount: { ...noTelemetry.leaseCount, everyMs: null } },
    },
    autoSeal: staticSeal({ current: { id: 'one', key: sealKey }, previous: null, entropy: systemEntropy }),
    catalog,
    services: {},
    metrics: new Metrics(systemClock),
    bareMetrics: () => [],
    pages: () => null,
    onFatal: error => {
      throw error
    },
  })
  await node.start()
  const none = { secretShares: 0, secretThreshold: 0, recoveryShares: 0, recoveryThreshold: 0 }
  const { rootToken } = await node.init({ ...none, sent: new Set() })
  const { tokens } = node.house!
  let made = 0
  const one = async (): Promise<void> => {
    while (made < leases) {
      const n = made++
      const now = systemClock.now()
      const expiresAt = instant(endsFrom + systemEntropy.below(spreadMs))
      const ttl = secondsOf((expiresAt - now) / 1000)
      await tokens.issue({
        parent: null,
        policies: ['app', 'default'],
        path: 'auth/kubernetes/login',
        metadata: { role: 'app', service_account_name: 'app', service_account_namespace: 'default' },
        displayName: 'kubernetes-default-app',
        numUses: 0,
        createdAt: now,
        creationTtl: ttl,
        expiresAt,
        renewedAt: null,
        grantedTtl: ttl,
        explicitMaxTtl: secondsOf(0),
        period: secondsOf(0),
        renewable: true,
        entityId: '',
        boundCidrs: [],
        mountAccessor: 'auth_kubernetes_00000000',
        login: null,
      })
      if (n % 100_000 === 0) process.stderr.write(`${n} leases\n`)
    }
  }
  await Promise.all(Array.from({ length: 1024 }, one))
  ending.abort()
  await node.stop()
  return rootToken
}

async function metric(server: Running, name: string): Promise<number | null> {
  const text = await server.text('GET', 'sys/metrics?format=prometheus')
  const line = new RegExp(`^${name}(?:{.*})? (.+)$`, 'm').exec(text)
  return line === null ? null : Number(line[1])
}

async function counted(server: Running): Promise<number> {
  for (;;) {
    const now = await metric(server, 'vault_expire_num_leases')
    if (now !== null) return now
    await systemClock.sleep(250)
  }
}

const server = new Running(metricsOpen)
const empty = new Running(metricsOpen)
const toReviewer = reviewer()

/** While a part of them end: reads beside it, and how many end in a second. */
async function ending(seconds: number, name: string): Promise<void> {
  const before = (await metric(server, 'vault_expire_lease_expiration')) ?? 0
  const began = performance.now()
  await server.load(name, 'wrk.path = "/v1/secret/data/hot"', { seconds, connections })
  const after = (await metric(server, 'vault_expire_lease_expiration')) ?? 0
  say(`  ended meanwhile: ${(((after - before) * 1000) / (performance.now() - began)).toFixed(0)}/s`)
}

try {
  say(`${leases} leases`)
  await empty.start()
  await empty.init()
  await systemClock.sleep(5_000)
  empty.sayMemory('empty')
  const without = empty.memory('VmRSS')
  await empty.end()
  const began = performance.now()
  server.token = await fill(server.data)
  say(
    `filled: ${((performance.now() - began) / 1000).toFixed(0)} s, ${(leases / ((performance.now() - began) / 1000)).toFixed(0)}/s`,
  )
  if (Date.now() > endsFrom - 60_000) throw new Error('the filling took too long: give more ms a lease')
  const started = performance.now()
  await server.start()
  await server.ask('GET', 'auth/token/lookup-self')
  say(`start to the first answer: ${(performance.now() - started).toFixed(0)} ms`)
  await systemClock.sleep(5_000)
  server.sayMemory(`with all of them (empty: ${without.toFixed(0)} MB)`)
  const at = performance.now()
  const all = await counted(server)
  say(`the metrics count ${all}, ${((performance.now() - at) / 1000).toFixed(1)} s later`)
  server.sayMemory('after the count')
  await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  await server.ask('POST', 'secret/data/hot', { data: { username: 'app', password: 's3cr3t' } })
  const login = await prepareLogin(server, toReviewer)
  const made: string[] = []
  for (let i = 0; i < 500; i++) {
    const { auth } = (await server.ask('POST', 'auth/kubernetes/login', JSON.parse(login))) as {
      auth: { client_token: string }
    }
    made.push(auth.client_token)
  }
  await server.load(
    'kubernetes login',
    `wrk.method = "POST"\nwrk.path = "/v1/auth/kubernetes/login"\nwrk.body = '${login}'`,
    { seconds: 8, connections },
  )
  await server.load(
    'renew-self, durable',
    `local tokens = {${made.map(one => `"${one}"`).join(',')}}\nlocal n = 0\nrequest = function() n = n + 1 ` +
      `return wrk.format("POST", "/v1/auth/token/renew-self", {["X-Vault-Token"] = tokens[n % ${made.length} + 1]}, "{}") end`,
    { seconds: 8, connections },
  )
  await server.load('kv read, nothing ends', 'wrk.path = "/v1/secret/data/hot"', { seconds: 5, connections })
  await systemClock.sleep(Math.max(0, endsFrom + spreadMs / 2 - Date.now()))
  await ending(8, 'kv read, half of them are due')
  await systemClock.sleep(Math.max(0, endsFrom + spreadMs - Date.now()))
  await ending(8, 'kv read, all of them are due')
  await server.kill()
  const again = performance.now()
  await server.start()
  await server.ask('GET', 'auth/token/lookup-self')
  say(`after kill -9 in the middle, to the first answer: ${(performance.now() - again).toFixed(0)} ms`)
  await ending(8, 'kv read, after it')
  const from = (await metric(server, 'vault_expire_lease_expiration')) ?? 0
  const quiet = performance.now()
  await systemClock.sleep(10_000)
  const to = (await metric(server, 'vault_expire_lease_expiration')) ?? 0
  say(`ended beside nothing: ${(((to - from) * 1000) / (performance.now() - quiet)).toFixed(0)}/s`)
  server.sayMemory('meanwhile')
} finally {
  await empty.end()
  await server.end()
  toReviewer.close()
}
