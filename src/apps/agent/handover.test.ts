import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import { NumberLiteral } from '#ground/text/json.ts'
import type { Primed } from '#delivery/obtain/dependency.ts'
import { emptyEnvelope } from '#protocol/envelope.ts'
import type { Held } from './auth.ts'
import { handOver, handoverFolder, takeOver } from './handover.ts'

const held: Held = {
  token: new Secret('hvs.secret'),
  expiresAtMs: simWorld({ seed: 1 }).clock.now() + 60_000,
  isRenewable: true,
}
const primed: Primed = {
  fetched: {
    envelope: {
      ...emptyEnvelope,
      requestId: 'r',
      leaseId: 'database/creds/app/1',
      renewable: true,
      leaseDuration: 3600,
      data: { username: 'u', big: new NumberLiteral('12345678901234567890') },
      warnings: ['w'],
      mountType: 'database',
    },
    keys: ['a'],
    fullPath: 'database/creds/app',
    version: null,
  },
  fetchedAtMs: 10,
  nextAtMs: 20,
  lease: { endsAtMs: 30, isOrphaned: true, before: { id: 'database/creds/app/0', endsAtMs: 25 } },
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-handover-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('a hand-over gives back tokens, their ends and all that was fetched, as often as it is asked for', () =>
  inFolder(async folder => {
    const fetched = new Map([['vault.read(database/creds/app)', primed]])
    const place = handoverFolder(folder)
    const old: Held = { token: new Secret('hvs.old'), expiresAtMs: null, isRenewable: false }
    await handOver(place, { held, before: [old], fetched })
    const [name] = await readdir(folder)
    assert.equal((await stat(join(folder, name!))).mode & 0o777, 0o600)
    await takeOver(simWorld({ seed: 1 }), place)
    const taken = await takeOver(simWorld({ seed: 1 }), place)
    assert.equal(taken?.held.token.reveal('a test'), 'hvs.secret')
    assert.deepEqual({ ...taken?.held, token: null }, { ...held, token: null })
    assert.deepEqual({ ...taken?.before[0], token: null }, { ...old, token: null })
    assert.deepEqual(taken?.fetched, fetched)
    await place.remove()
    assert.deepEqual(await readdir(folder), [])
  }))

test('an answer that holds a token of its own is not handed over', () =>
  inFolder(async folder => {
    const wrapInfo = {
      token: new Secret('hvs.wrapped'),
      accessor: '',
      ttl: 1,
      creationTime: '',
      creationPath: '',
      wrappedAccessor: '',
    }
    const wrapped: Primed = { ...primed, fetched: { ...primed.fetched, envelope: { ...emptyEnvelope, wrapInfo } } }
    await handOver(handoverFolder(folder), { held, before: [], fetched: new Map([['q', wrapped]]) })
    assert.equal((await readFile(join(folder, 'handover.json'), 'utf8')).includes('hvs.wrapped'), false)
  }))

for (const [rule, text] of [
  ['text that is no JSON', '{"form":2,"tokens":[{"token":"hvs.sec'],
  ['another form', '{"form":1,"tokens":[{"token":"hvs.secret"}]}'],
  ['no token', '{"form":2,"tokens":[]}'],
  ['tokens that are none', '{"form":2,"tokens":["hvs.secret",null,{"token":7}]}'],
  ['an expired token', '{"form":2,"tokens":[{"token":"hvs.secret","expires_at_ms":-1}]}'],
] as const) {
  test(`a hand-over that is of no use means a login, is removed, and shows nothing: ${rule}`, () =>
    inFolder(async folder => {
      await writeFile(join(folder, 'handover.json'), text)
      let lines = ''
      const write = (line: string): void => {
        lines += line
      }
      const log = createLog({ level: 'trace', format: 'standard', write, now: () => 0 })
      assert.equal(await takeOver(simWorld({ seed: 1, log }), handoverFolder(folder)), null)
      assert.deepEqual(await readdir(folder), [])
      assert.match(lines, /logging in/)
      assert.equal(lines.includes('hvs.sec'), false)
    }))
}

test('a folder that is not there is no hand-over', async () => {
  assert.equal(await takeOver(simWorld({ seed: 1 }), handoverFolder('/nonexistent/handover')), null)
})
