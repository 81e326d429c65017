import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestServer } from '#core/testing/mount.ts'

test('counters: entities are counted, requests no more, and clients not at all', async () => {
  await using server = await openTestServer({ catalog: [] })
  const read = (path: string) => server.ask('GET', `sys/internal/counters/${path}`)
  assert.deepEqual((await read('entities')).data, { counters: { entities: { total: 0 } } })
  for (const name of ['a', 'b']) await server.ask('POST', 'identity/entity', { body: { name } })
  assert.deepEqual((await read('entities')).data, { counters: { entities: { total: 2 } } })
  const requests = await read('requests')
  assert.deepEqual([requests.status, requests.errors], [404, ['The functionality has been removed on this path']])
  for (const path of ['activity', 'activity/monthly', 'activity?start_time=2026-01-01T00:00:00Z']) {
    const { status, text } = await read(path)
    assert.deepEqual([status, text], [204, ''], path)
  }
  assert.partialDeepStrictEqual((await read('config')).data, {
    enabled: 'default-disabled',
    queries_available: false,
    retention_months: 48,
  } as object)
  const set = await server.ask('POST', 'sys/internal/counters/config', { body: { enabled: 'enable' } })
  assert.deepEqual([set.status, set.errors], [400, ['this server counts no clients, and can not be told to']])
})
