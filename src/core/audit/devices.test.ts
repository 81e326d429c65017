import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Metrics } from '#ground/base/metrics.ts'
import { simWorld } from '#ground/base/world.ts'
import { createBarrier } from '#core/barrier/barrier.ts'
import { Keeper } from '#core/storage/keeper.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { AuditBroker } from './broker.ts'
import { AuditDevices } from './devices.ts'

/** Devices over a memory store; `start` is another start of the server on the same store. */
async function newDevices() {
  const world = simWorld({ seed: 3 })
  const store = openMemoryStore()
  const fence = await store.campaign(world.signal)
  const barrier = await createBarrier(store, fence, world, world.entropy.bytes(32), [])
  const start = async (directory: string | null = null): Promise<AuditDevices> => {
    const keeper = new Keeper({
      store,
      barrier,
      fence,
      world,
      metrics: new Metrics(world.clock),
      cacheBytes: 1 << 20,
      beforeCommit: () => undefined,
      onFailed: error => {
        throw error
      },
    })
    const broker = new AuditBroker(world, new Metrics(world.clock))
    const devices = new AuditDevices({ keeper, broker, world, prefix: 'root/', directory })
    await devices.load()
    return devices
  }
  return { devices: await start(), start }
}

const discard = (path: string) => ({
  path,
  type: 'file',
  description: '',
  options: { file_path: 'discard' },
  local: false,
})
const paths = (devices: AuditDevices): string[] => devices.all().map(device => device.path)

test('audit devices with nested paths are there again after a restart', async () => {
  const { devices, start } = await newDevices()
  for (const path of ['team/a/', 'file/', 'team/b/raw/']) await devices.enable(discard(path))
  const again = await start()
  assert.deepEqual(paths(again), ['file/', 'team/a/', 'team/b/raw/'])
  assert.equal(again.hash('team/a/', 'x'), devices.hash('team/a/', 'x'), 'with the same salt')
  await again.disable('team/a/')
  assert.deepEqual(paths(await start()), ['file/', 'team/b/raw/'])
})

for (const [rule, path] of [
  ['itself', 'team/a/'],
  ['a folder of it', 'team/'],
  ['below it', 'team/a/raw/'],
] as const) {
  test(`an audit device is refused where one is enabled: ${rule}`, async () => {
    const { devices } = await newDevices()
    await devices.enable(discard('team/a/'))
    await assert.rejects(devices.enable(discard(path)), { message: 'path already in use' })
    await devices.enable(discard('team/ab/'))
    assert.deepEqual(paths(devices), ['team/a/', 'team/ab/'])
  })
}

test('an audit device that can not be opened stays in the list; when none can be, the server must not start', async () => {
  const { devices, start } = await newDevices()
  const folder = mkdtempSync(join(tmpdir(), 'coffer-audit-'))
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  const options = { file_path: join(folder, 'audit.log') }
  const elsewhere = await start(folder)
  await elsewhere.enable({ ...discard('gone/'), options })
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'no folder any more')
  await assert.rejects(start(folder), /audit\.log/)
  await devices.enable(discard('discard/'))
  assert.deepEqual(paths(await start(folder)), ['discard/', 'gone/'])
})
