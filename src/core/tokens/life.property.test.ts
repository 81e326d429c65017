import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seconds } from '#ground/base/clock.ts'
import { accountsEngine, Outside } from '#core/testing/accounts.ts'
import { doorman } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

const settings = { defaultLeaseTtl: seconds(100), maxLeaseTtl: seconds(1_000) }
const ttl = fc.integer({ min: 0, max: 1_500 })
const steps = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 400_000 }), increment: ttl }), { maxLength: 12 })

test('token life: whatever is asked and renewed, no token works after what it was granted, nor past its maxima', async () => {
  await using server = await openTestMount(doorman(), { settings })
  await fc.assert(
    fc.asyncProperty(ttl, ttl, ttl, steps, async (asked, explicitMax, period, renewals) => {
      const issuedAt = server.world.clock.now()
      const body = { policies: ['default'], ttl: asked, explicit_max_ttl: explicitMax, period }
      const made = await server.ask('POST', 'auth/token/create', { body })
      const { auth } = made.body as { auth: { client_token: string; lease_duration: number } }
      const token = auth.client_token
      let until = issuedAt + auth.lease_duration * 1000
      const bounds = [...(period === 0 ? [1_000] : []), ...(explicitMax > 0 ? [explicitMax] : [])]
      const last = issuedAt + Math.min(...bounds) * 1000
      for (const { waitMs, increment } of renewals) {
        assert.ok(until <= last, 'granted past the maximum')
        await server.world.clock.advance(waitMs)
        const now = server.world.clock.now()
        const answer = await server.ask('POST', 'auth/token/renew-self', { token, body: { increment } })
        assert.equal(answer.status === 403, now >= until, `at ${now}, granted until ${until}: ${answer.status}`)
        if (answer.status === 200)
          until =
            now + (answer.body as typeof made.body & { auth: { lease_duration: number } }).auth.lease_duration * 1000
      }
    }),
    { numRuns: 60, seed: 7 },
  )
})

/** Who makes a token: an index into those made before, and what of it. */
const births = fc.array(
  fc.record({
    parent: fc.nat(20),
    kind: fc.constantFrom('service', 'batch', 'orphan', 'orphan batch'),
    ttl: fc.integer({ min: 1, max: 900 }),
  }),
  { minLength: 1, maxLength: 12 },
)
const ends = fc.array(
  fc.record({
    waitMs: fc.integer({ min: 0, max: 300_000 }),
    ends: fc.option(fc.nat(20), { nil: null }),
    restarts: fc.boolean(),
  }),
  { maxLength: 5 },
)

type Made = { token: string; parent: Made | null; isBatch: boolean; until: number; isRevoked: boolean }

const lives = (made: Made | null, now: number): boolean =>
  made === null || (!made.isRevoked && now < made.until && lives(made.parent, now))

test('token life: a tree of service and batch tokens lives as long as time, ends and ancestors let each', async () => {
  await fc.assert(
    fc.asyncProperty(births, ends, async (born, steps) => {
      await using server = await openTestMount(doorman(), { settings })
      await server.ask('PUT', 'sys/policies/acl/all', {
        body: { policy: 'path "*" { capabilities = ["update", "read"] }' },
      })
      const all: Made[] = []
      for (const { parent, kind, ttl } of born) {
        const makers = all.filter(one => !one.isBatch)
        const maker = makers[parent % (makers.length + 1)] ?? null
        const isOrphan = kind.startsWith('orphan')
        const answer = await server.ask('POST', isOrphan ? 'auth/token/create-orphan' : 'auth/token/create', {
          body: { policies: ['all'], ttl, type: kind.endsWith('batch') ? 'batch' : 'service' },
          ...(maker !== null && { token: maker.token }),
        })
        const { auth } = answer.body as { auth: { client_token: string; lease_duration: number } }
        const until = server.world.clock.now() + auth.lease_duration * 1000
        const isBatch = kind.endsWith('batch')
        all.push({ token: auth.client_token, parent: isOrphan ? null : maker, isBatch, until, isRevoked: false })
      }
      for (const { waitMs, ends: ended, restarts } of steps) {
        await server.world.clock.advance(waitMs)
        if (restarts) await server.restart()
        const one = ended === null ? undefined : all[ended]
        if (one !== undefined) {
          const { status } = await server.ask('POST', 'auth/token/revoke', { body: { token: one.token } })
          const isRefused = one.isBatch && lives(one, server.world.clock.now())
          assert.equal(status, isRefused ? 400 : 204)
          if (!one.isBatch) one.isRevoked = true
        }
        const now = server.world.clock.now()
        for (const made of all) {
          const { status } = await server.ask('GET', 'auth/token/lookup-self', { token: made.token })
          assert.equal(status === 200, lives(made, now), JSON.stringify({ made, now, status }))
        }
      }
    }),
    { numRuns: 40, seed: 11, includeErrorInReport: true },
  )
})

const leased = fc.record({
  tokenTtl: fc.integer({ min: 1, max: 900 }),
  leaseTtl: fc.integer({ min: 0, max: 1_500 }),
  afterMs: fc.integer({ min: 0, max: 500_000 }),
  isOrphan: fc.boolean(),
  renewals: fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 300_000 }), increment: ttl }), { maxLength: 6 }),
})

test('token life: whatever is asked and renewed, no lease outlives the batch token that took it', async () => {
  await fc.assert(
    fc.asyncProperty(leased, async ({ tokenTtl, leaseTtl, afterMs, isOrphan, renewals }) => {
      const outside = new Outside()
      await using server = await openTestMount(accountsEngine(outside), { settings })
      await server.ask('PUT', 'sys/policies/acl/all', { body: { policy: 'path "*" { capabilities = ["read"] }' } })
      const body = { policies: ['all'], type: 'batch', ttl: tokenTtl, no_parent: isOrphan }
      const made = await server.ask('POST', 'auth/token/create', { body })
      const { auth } = made.body as unknown as { auth: { client_token: string; lease_duration: number } }
      const { clock } = server.world
      const until = clock.now() + auth.lease_duration * 1000
      await clock.advance(afterMs)
      const taken = await server.ask('GET', `accounts/creds/a?ttl=${leaseTtl}`, { token: auth.client_token })
      assert.equal(taken.status, clock.now() < until ? 200 : 403)
      if (taken.status === 403) return
      const lease = taken.body as unknown as { lease_id: string; lease_duration: number }
      let end = clock.now() + lease.lease_duration * 1000
      for (const { waitMs, increment } of renewals) {
        assert.ok(end <= until, `until ${end}, and the token until ${until}`)
        await clock.advance(waitMs)
        const answer = await server.ask('POST', 'sys/leases/renew', { body: { lease_id: lease.lease_id, increment } })
        if (answer.status !== 200) continue
        end = clock.now() + (answer.body as unknown as { lease_duration: number }).lease_duration * 1000
      }
      await clock.advance(Math.max(0, until - clock.now()) + 1_000)
      assert.equal(outside.accounts.size, 0)
    }),
    { numRuns: 60, seed: 3 },
  )
})
