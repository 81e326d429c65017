import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seconds } from '#ground/base/clock.ts'
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
