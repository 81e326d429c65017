import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServicePort } from './objects.ts'
import { bestPod, choosePort } from './pod-choice.ts'
import type { Pod } from './pod.ts'

const ports = (...all: (readonly [number, string?])[]): ServicePort[] =>
  all.map(([port, name]) => (name ? { port, name } : { port }))
const choices: readonly (readonly [rule: string, ports: ServicePort[], asked: string | null, want: number | RegExp])[] =
  [
    ['the one named https comes first', ports([80, 'http'], [8443, 'https']), null, 8443],
    ['then 8200', ports([8201, 'internal'], [8200, 'api']), null, 8200],
    ['then the only one', ports([1234]), null, 1234],
    ['a number is the Service’s port', ports([80, 'a'], [81, 'b']), '81', 81],
    ['a name is the Service’s port', ports([80, 'a'], [81, 'b']), 'a', 80],
    [
      'several that don’t stand out',
      ports([80, 'a'], [81, 'b']),
      null,
      /that stands out: name one \(there are: 80 \(a\), 81 \(b\)\)/,
    ],
    ['one that isn’t there', ports([80]), '81', /has no port 81 \(there are: 80\)/],
  ]
for (const [rule, all, asked, want] of choices) {
  test(`the port of a Service: ${rule}`, () => {
    if (typeof want === 'number') assert.equal(choosePort(all, asked, 'service a/b').port, want)
    else assert.throws(() => choosePort(all, asked, 'service a/b'), want)
  })
}

const pod = (name: string, phase: 'Running' | 'Pending', ready = false, deleted = false): Pod => ({
  metadata: { name, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
  status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
})
const pods: readonly (readonly [rule: string, pods: Pod[], want: string | undefined])[] = [
  ['a ready one before one that only runs', [pod('a', 'Running'), pod('b', 'Running', true)], 'b'],
  [
    'one that only runs is good enough: a sealed server is never ready',
    [pod('a', 'Pending'), pod('b', 'Running')],
    'b',
  ],
  ['one that is being deleted is not taken', [pod('a', 'Running', true, true)], undefined],
  ['none', [], undefined],
]
for (const [rule, all, want] of pods)
  test(`the pod of a Service: ${rule}`, () => assert.equal(bestPod(all)?.metadata?.name, want))
