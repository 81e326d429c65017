import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Artifact, cacheRoot, keyOf, obtain } from './cache.ts'
import { owner, sweep } from './sweep.ts'

let scratch = ''
const quiet = (): void => undefined

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'coffer-cache-test-'))
  process.env['COFFER_CACHE'] = join(scratch, 'cache')
  process.env['TMPDIR'] = scratch
})
after(() => rmSync(scratch, { recursive: true, force: true }))

const artifact = (name: string, key: string, make: Artifact['make']): Artifact => ({ name, key, make })

test('the cache’s place: COFFER_CACHE beats XDG_CACHE_HOME, which beats ~/.cache', () => {
  assert.equal(cacheRoot({ COFFER_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a')
  assert.equal(cacheRoot({ XDG_CACHE_HOME: '/b' }), '/b/coffer')
  assert.match(cacheRoot({}), /\/\.cache\/coffer$/)
})

test('a key depends on where one part ends and the next begins', () => {
  assert.notEqual(keyOf(['ab', 'c']), keyOf(['a', 'bc']))
})

test('of two that miss the same artifact one makes it, and both get it', async () => {
  let made = 0
  const slow = artifact('slow', '1', async folder => {
    made++
    await new Promise(resolve => setImmediate(resolve))
    writeFileSync(join(folder, 'x'), '')
  })
  const [a, b] = await Promise.all([obtain(slow, quiet), obtain(slow, quiet)])
  assert.equal(a, b)
  assert.equal(made, 1)
  assert(existsSync(join(a, 'x')))
})

test('what fails to be made leaves nothing, and is made at the next try', async () => {
  let tries = 0
  const shaky = artifact('shaky', '1', async folder => {
    writeFileSync(join(folder, 'half'), '')
    if (tries++ === 0) throw new Error('no network')
  })
  await assert.rejects(obtain(shaky, quiet), /no network/)
  assert.deepEqual(
    readdirSync(join(cacheRoot(), 'cluster')).filter(name => name.includes('shaky')),
    [],
  )
  assert(existsSync(await obtain(shaky, quiet)))
})

test('a draft that a killed run left goes, and of older artifacts the two last used stay', async () => {
  const root = join(cacheRoot(), 'cluster')
  mkdirSync(join(root, '.making-many-XYZ'), { recursive: true })
  for (const [key, usedAt] of [
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ] as const) {
    mkdirSync(join(root, `many-${key}`))
    utimesSync(join(root, `many-${key}`), usedAt, usedAt)
  }
  await obtain(
    artifact('many', 'd', async () => undefined),
    quiet,
  )
  assert.deepEqual(
    readdirSync(root)
      .filter(name => name.includes('many'))
      .sort(),
    ['many-b', 'many-c', 'many-d'],
  )
})

test('a sweep removes folders of dead runs, and nothing else', async () => {
  const child = spawn('/bin/true')
  await once(child, 'exit')
  const runOf = (name: string, by: object | null): string => {
    const folder = join(scratch, `coffer-cluster-${name}`)
    mkdirSync(folder)
    if (by) writeFileSync(join(folder, 'owner.json'), JSON.stringify(by))
    return folder
  }
  const dead = runOf('dead', { ...owner(), pid: child.pid })
  const reused = runOf('reused', { ...owner(), startTime: '1' })
  const live = runOf('live', owner())
  const elsewhere = runOf('elsewhere', { ...owner(), pid: child.pid, pidNamespace: 'pid:[1]' })
  const fresh = runOf('fresh', null)
  const removed = sweep()
  assert.deepEqual([dead, reused, live, elsewhere, fresh].map(existsSync), [false, false, true, true, true])
  assert(removed.includes(dead) && removed.includes(reused))
})
