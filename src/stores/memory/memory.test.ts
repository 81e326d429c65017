import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeContract } from '#stores/store.contract.ts'
import { faultContract } from '#stores/store.fault.contract.ts'
import type { StoreLab } from '#stores/store.lab.ts'
import { MemoryMedium, openMemoryStore } from './memory.ts'
import { SortedKeys } from './sorted-keys.ts'

const lab = async (): Promise<StoreLab> => {
  const medium = new MemoryMedium()
  return { open: async () => openMemoryStore({ medium }), [Symbol.asyncDispose]: async () => undefined }
}

storeContract({ name: 'memory store', modelRuns: 200, lab })
faultContract({ name: 'memory store', lab })

test('sorted keys: chunks split and vanish and the order stays', () => {
  const keys = new SortedKeys()
  const all = Array.from({ length: 3_000 }, (_, i) => `k${String((i * 7_919) % 3_000).padStart(4, '0')}`)
  for (const key of all) keys.add(key)
  assert.deepEqual([...keys.from('')], all.toSorted())
  for (const key of all.filter(key => key > 'k0100' && key < 'k2900')) keys.delete(key)
  const left = all.filter(key => key <= 'k0100' || key >= 'k2900').toSorted()
  assert.deepEqual([...keys.from('')], left)
  assert.deepEqual(keys.from('k1').next().value, 'k2900')
  for (const key of left) keys.delete(key)
  assert.deepEqual([...keys.from('')], [])
  keys.add('x')
  assert.deepEqual([...keys.from('a')], ['x'])
})
