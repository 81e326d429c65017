import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { AuditHasher } from './hash.ts'

const none: ReadonlySet<string> = new Set()

test('audit hash: the names of a list are hashed as any text is, the first time and later', () => {
  const hasher = new AuditHasher('salt')
  const many = Array.from({ length: 25_000 }, (_, n) => `name-${n}`)
  const lists: readonly Json[] = [
    { keys: [] },
    { keys: ['a', 'b/', 'a', '__proto__', 'quote"', '2026-01-01T00:00:00Z', 'x'.repeat(2_000)] },
    { keys: many },
    { keys: ['a'], key_info: { a: { value: 's3cret' } } },
    { keys: [1, null, ['a'], { a: 'b' }] },
    { keys: 'a' },
    ['a'],
  ]
  for (const list of [...lists, ...lists]) {
    assert.equal(hasher.list(list, none), hasher.json(list, none))
    assert.ok(!hasher.list(list, none).includes('s3cret'))
    assert.equal(hasher.list(list, new Set(['keys'])), hasher.json(list, new Set(['keys'])))
    assert.equal(new AuditHasher(null).list(list, none), new AuditHasher(null).json(list, none))
  }
})
