import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultMountConfig } from '#core/mounts/entry.ts'
import { systemTtlsDefault } from '#core/mounts/mounts.ts'
import { applyConfig } from './mount-fields.ts'

const apply = (sent: Parameters<typeof applyConfig>[1]): ReturnType<typeof applyConfig> =>
  applyConfig(defaultMountConfig, sent, 'secret', systemTtlsDefault)

test('what Go sends beside the fields of a mount is passed over', () => {
  // What `vault/api` 1.21 sends for Sys().Mount with nothing set.
  const sent = { options: null, default_lease_ttl: '', max_lease_ttl: '', force_no_cache: false }
  assert.deepEqual(apply(sent), defaultMountConfig)
})

test('a TTL is told by name when it can not be read', () => {
  assert.equal(apply({ max_lease_ttl: '2h' }).maxLeaseTtl, 7200)
  assert.throws(() => apply({ default_lease_ttl: 'soon' }), /unable to parse default TTL of soon/)
})
