import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { textCodec } from '#core/storage/text-codec.ts'
import { Fault } from '#protocol/fault.ts'
import { MemoryMedium } from '#stores/memory/memory.ts'
import { defaultMountConfig, type MountEntry } from './entry.ts'
import { entryOf, type Events, numberedEngine, openMountsLab } from './mounts.lab.ts'

const refusal =
  (text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof Fault && error.status === 400 && text.test(error.text)

for (const [rule, path, mount, rest] of [
  ['a path below a mount', 'secret/data/a', 'secret/', 'data/a'],
  ['the mount itself', 'secret/', 'secret/', ''],
  ['a path without its last slash', 'secret', 'secret/', ''],
  ['an auth method is below auth/', 'auth/gate/login', 'auth/gate/', 'login'],
  ['a longer name is another mount', 'secrets/a', null, null],
  ['a mount of several segments', 'team/red/x/y', 'team/red/', 'x/y'],
  ['the longest prefix wins', 'team/red/deep/x', 'team/red/deep/', 'x'],
  ['a neighbour of the longest prefix', 'team/red/deeper/x', 'team/red/', 'deeper/x'],
  ['the folder of a mount is none', 'team/', null, null],
  ['nothing', '', null, null],
] as const) {
  test(`resolve: ${rule}`, async () => {
    const { mounts } = openMountsLab()
    for (const at of ['secret/', 'team/red/']) await mounts.enable(entryOf(at))
    await mounts.enable(entryOf('gate/', { kind: 'auth', type: 'gate' }))
    // Users can't nest mounts; the server's own may.
    await mounts.addBuiltin(entryOf('team/red/deep/'), numberedEngine([]))
    const found = mounts.resolve(path)
    assert.deepEqual([found?.mount.path ?? null, found?.rest ?? null], [mount, rest])
  })
}

for (const [rule, entry, text] of [
  ['one that is taken', entryOf('secret/'), /^path is already in use at secret\/$/],
  ['one below another mount', entryOf('secret/deep/'), /^existing mount at secret\/$/],
  ['one above another mount', entryOf('team/'), /^existing mount at team\/red\/$/],
  ['a type that is not there', entryOf('x/', { type: 'scratch' }), /^plugin not found in the catalog: scratch$/],
  ['a secrets engine as a method', entryOf('x/', { kind: 'auth' }), /^plugin not found in the catalog: pad$/],
  ['an unknown option', entryOf('x/', { options: { colour: 'red' } }), /^unknown mount option "colour" for type pad$/],
  [
    'a value of an option',
    entryOf('x/', { options: { size: 'huge' } }),
    /^mount option "size" must be one of small, la/,
  ],
] as const satisfies [string, MountEntry, RegExp][]) {
  test(`enable refuses ${rule}`, async () => {
    const { mounts, events } = openMountsLab()
    for (const at of ['secret/', 'team/red/']) await mounts.enable(entryOf(at))
    await assert.rejects(mounts.enable(entry), refusal(text))
    assert.equal(events.length, 2, 'no state was opened for it')
    assert.equal(mounts.all().length, 2)
  })
}

test('enable: neighbours and names that begin alike are no conflict, and all() is sorted', async () => {
  const { mounts } = openMountsLab()
  for (const at of ['secret/', 'secret2/', 'sec/', 'a/b/', 'a/c/']) await mounts.enable(entryOf(at))
  await mounts.enable(entryOf('secret/', { kind: 'auth', type: 'gate', uuid: 'gate' }))
  assert.deepEqual(
    mounts.all().map(mount => mount.path),
    ['a/b/', 'a/c/', 'auth/secret/', 'sec/', 'secret/', 'secret2/'],
  )
  assert.equal(mounts.byAccessor('pad_sec/')?.path, 'sec/')
  assert.equal(mounts.byAccessor('nobody'), null)
})

test('enable: what is enabled is there after a restart, with its entry; a type that is unknown now is passed over', async () => {
  const medium = new MemoryMedium()
  const first = openMountsLab({ medium })
  await first.mounts.enable(entryOf('secret/', { description: 'mine', options: { size: 'small' } }))
  await first.mounts.enable(entryOf('gate/', { kind: 'auth', type: 'gate' }))
  const events: Events = []
  const second = openMountsLab({ medium, catalog: [numberedEngine(events)] })
  await second.mounts.load()
  assert.deepEqual(
    second.mounts.all().map(({ path, entry }) => [path, entry.description, entry.options]),
    [['secret/', 'mine', { size: 'small' }]],
  )
  const third = openMountsLab({ medium })
  await third.mounts.load()
  assert.equal(third.mounts.all().length, 2, 'what was passed over is not lost')
})

test('disable: storage and entry are gone, and the path is free', async () => {
  const medium = new MemoryMedium()
  const { mounts, keeper, events } = openMountsLab({ medium })
  await mounts.enable(entryOf('secret/'))
  const kept = `root/logical/${entryOf('secret/').uuid}/a`
  await keeper.commit([{ key: kept, codec: textCodec, entry: 'x'.repeat(1_000_000) }])
  await mounts.disable('secret/')
  assert.deepEqual(events, ['open 1 at secret/', 'revoke below secret/', 'close 1'])
  assert.equal(mounts.resolve('secret/a'), null)
  assert.deepEqual([...medium.from('')], [])
  await mounts.enable(entryOf('secret/', { uuid: 'another' }))
  assert.equal(mounts.at('secret/')?.state, 2)
})

test('disable: of what is not there nothing happens, twice at once is once', async () => {
  const { mounts, events } = openMountsLab()
  await mounts.disable('secret/')
  await mounts.enable(entryOf('secret/'))
  await Promise.all([mounts.disable('secret/'), mounts.disable('secret/')])
  assert.equal(events.filter(one => one.startsWith('revoke')).length, 1)
})

test('disable: new requests are refused first; leases, state and storage end after the requests that hold it', async () => {
  const { mounts, events, clock } = openMountsLab()
  await mounts.enable(entryOf('secret/'))
  const { inFlight } = mounts.resolve('secret/a')!.mount
  inFlight.enter()
  inFlight.enter()
  const disabled = mounts.disable('secret/')
  await clock.advance(1_000)
  assert.equal(mounts.resolve('secret/a'), null)
  await assert.rejects(mounts.enable(entryOf('secret/')), refusal(/already in use/))
  await assert.rejects(
    mounts.tune('secret/', entry => entry),
    refusal(/^tune of path "secret\/" failed: no mount entry found$/),
  )
  await mounts.enable(entryOf('other/'))
  inFlight.leave()
  await clock.advance(1_000)
  assert.deepEqual(events, ['open 1 at secret/', 'open 2 at other/'])
  inFlight.leave()
  await disabled
  assert.deepEqual(events.slice(2), ['revoke below secret/', 'close 1'])
  assert.equal(clock.waiting, 0)
})

test('disable: requests that do not end are waited for no longer than their deadline', async () => {
  const { mounts, events, clock } = openMountsLab({ drainMsMax: 5_000 })
  await mounts.enable(entryOf('secret/'))
  mounts.resolve('secret/a')!.mount.inFlight.enter()
  const disabled = mounts.disable('secret/')
  // It begins to wait once it is known to be going.
  await clock.advance(0)
  await clock.advance(4_999)
  assert.equal(events.length, 1)
  await clock.advance(1)
  await disabled
  assert.deepEqual(events.slice(1), ['revoke below secret/', 'close 1'])
})

test('disable: when leases can not be ended the mount stays refused, also after a restart, and can be tried again', async () => {
  const medium = new MemoryMedium()
  const outside = { isDown: true }
  const revokeBelow = async (): Promise<void> => {
    if (outside.isDown) throw new Error('the database is down')
  }
  const { mounts } = openMountsLab({ medium, revokeBelow })
  await mounts.enable(entryOf('secret/'))
  await mounts.enable(entryOf('stays/'))
  await assert.rejects(mounts.disable('secret/'), /the database is down/)
  assert.equal(mounts.resolve('secret/a'), null)

  const again = openMountsLab({ medium, revokeBelow })
  await again.mounts.load()
  assert.equal(again.mounts.resolve('secret/a'), null)
  assert.notEqual(again.mounts.resolve('stays/a'), null, 'the others are served')
  outside.isDown = false
  await again.mounts.disable('secret/')
  assert.equal(again.mounts.at('secret/'), null)
})

test('load: a removal that was cut short is gone on with', async () => {
  const medium = new MemoryMedium()
  const cut = openMountsLab({ medium, revokeBelow: () => Promise.reject(new Error('killed')) })
  await cut.mounts.enable(entryOf('secret/'))
  await assert.rejects(cut.mounts.disable('secret/'))
  const { mounts, events } = openMountsLab({ medium })
  await mounts.load()
  assert.deepEqual(events, ['open 1 at secret/', 'revoke below secret/', 'close 1'])
  assert.equal(mounts.at('secret/'), null)
  assert.deepEqual([...medium.from('')], [])
})

test('tune: entry, facts and what is audited follow; state and requests in flight stay', async () => {
  const medium = new MemoryMedium()
  const { mounts, events } = openMountsLab({ medium })
  await mounts.enable(entryOf('secret/'))
  const before = mounts.at('secret/')!
  before.inFlight.enter()
  const config = { ...defaultMountConfig, defaultLeaseTtl: seconds(7), auditNonHmacRequestKeys: ['open'] }
  await mounts.tune('secret/', entry => ({ ...entry, config, description: 'tuned' }))
  const after = mounts.at('secret/')!
  assert.equal(after.inFlight.count, 1)
  assert.deepEqual([after.state, after.entry.description, after.facts.defaultTtl()], [1, 'tuned', 7])
  assert.equal(before.facts.defaultTtl(), 7, 'what the engine was given when it was opened follows, too')
  assert.deepEqual([...after.audited.openRequestKeys], ['open'])
  assert.deepEqual(mounts.effectiveTtls(after.entry.config), { defaultTtl: 7, maxTtl: 200 })
  assert.deepEqual(events, ['open 1 at secret/'])
  const again = openMountsLab({ medium })
  await again.mounts.load()
  assert.equal(again.mounts.at('secret/')?.entry.description, 'tuned')
})

test('tune: new options open the engine anew at once, and close the old state after its requests', async () => {
  const { mounts, events, clock } = openMountsLab()
  await mounts.enable(entryOf('secret/', { options: { size: 'small' } }))
  const { mount: old } = mounts.resolve('secret/a')!
  old.inFlight.enter()
  await mounts.tune('secret/', entry => ({ ...entry, options: { size: 'large' } }))
  assert.equal(mounts.at('secret/')?.state, 2)
  await clock.advance(1_000)
  assert.deepEqual(events.slice(1), ['open 2 at secret/'])
  const disabled = mounts.disable('secret/')
  await clock.advance(1_000)
  assert.equal(events.length, 2, 'what the old state writes lies below the same prefix')
  old.inFlight.leave()
  await disabled
  assert.deepEqual(events.slice(2), ['close 1', 'revoke below secret/', 'close 2'])
})

test('tune: an engine that does not open with its new options keeps the old ones', async () => {
  const medium = new MemoryMedium()
  const events: Events = []
  const engine = numberedEngine(events, {
    open({ mount }) {
      if (mount.options['size'] === 'large') throw new Error('too large')
      return 'small'
    },
  })
  const { mounts } = openMountsLab({ medium, catalog: [engine] })
  await mounts.enable(entryOf('secret/', { options: { size: 'small' } }))
  await assert.rejects(
    mounts.tune('secret/', entry => ({ ...entry, options: { size: 'large' } })),
    /too large/,
  )
  assert.equal(mounts.resolve('secret/a')?.mount.state, 'small')
  const again = openMountsLab({ medium, catalog: [engine] })
  await again.mounts.load()
  assert.deepEqual(again.mounts.at('secret/')?.entry.options, { size: 'small' })
})

test('tune of what is not there', async () => {
  const { mounts } = openMountsLab()
  await assert.rejects(
    mounts.tune('secret/', entry => entry),
    refusal(/^tune of path "secret\/" failed: no mount entry found$/),
  )
})

test('close: requests are waited for no longer, and a state that does not close keeps no other open', async () => {
  const events: Events = []
  const engine = numberedEngine(events, {
    close(state) {
      events.push(`close ${String(state)}`)
      if (state === 1) throw new Error('stuck')
    },
  })
  const { mounts, clock } = openMountsLab({ catalog: [engine] })
  for (const at of ['a/', 'b/']) await mounts.enable(entryOf(at))
  mounts.at('b/')!.inFlight.enter()
  await mounts.tune('b/', entry => ({ ...entry, options: { size: 'large' } }))
  await mounts.close()
  assert.deepEqual(events.slice(3).sort(), ['close 1', 'close 2', 'close 3'])
  assert.deepEqual(mounts.all(), [])
  assert.equal(clock.waiting, 0)
})
