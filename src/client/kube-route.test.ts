import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSlice } from '#kube/objects.ts'
import { chooseEndpoint, choosePort, isTls } from './kube-route.ts'

const ports = [
  { name: 'cluster', port: 8201 },
  { name: 'http', port: 8200 },
]

for (const [rule, asked, want] of [
  ['a name', 'cluster', 8201],
  ['a number', '8200', 8200],
  ['nothing: http before the first', null, 8200],
  ['what is not there', 'nope', undefined],
] as const) {
  test(`the port of a service by ${rule}`, () => assert.equal(choosePort(ports, asked)?.port, want))
}

for (const [rule, port, want] of [
  ['https by its name', { name: 'https', port: 8200 }, true],
  ['https-internal by its name', { name: 'https-internal', port: 8201 }, true],
  ['https by appProtocol', { name: 'api', port: 8200, appProtocol: 'https' }, true],
  ['http is plain', { name: 'http', port: 8200 }, false],
] as const) {
  test(`how a port of a service speaks: ${rule}`, () => assert.equal(isTls(port), want))
}

const pod = (name: string, conditions: { ready: boolean; serving?: boolean; terminating?: boolean }) => ({
  addresses: ['10.0.0.1'],
  conditions,
  targetRef: { kind: 'Pod', name },
})
const slice = (...endpoints: ReturnType<typeof pod>[]): EndpointSlice => ({
  metadata: { name: 's' },
  ports: [{ name: 'http', port: 8200 }],
  endpoints,
})

for (const [rule, endpoints, want] of [
  ['a ready one before the others', [pod('a', { ready: false }), pod('b', { ready: true })], 'b'],
  [
    'one that still serves before a sealed one',
    [pod('a', { ready: false }), pod('b', { ready: false, serving: true })],
    'b',
  ],
  ['a sealed one when there is no other', [pod('a', { ready: false })], 'a'],
  ['none that is ending', [pod('a', { ready: false, terminating: true })], undefined],
  ['none at all', [], undefined],
] as const) {
  test(`the pod behind a service: ${rule}`, () => {
    assert.equal(chooseEndpoint([slice(...endpoints)], 'http')?.name, want)
  })
}

test('the pod behind a service: the port is that of the pod, by the name of the service port', () => {
  assert.equal(chooseEndpoint([slice(pod('a', { ready: true }))], 'http')?.port, 8200)
  assert.equal(chooseEndpoint([slice(pod('a', { ready: true }))], 'https'), null)
})
