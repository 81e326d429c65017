import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headersOf } from '#ground/http/headers.ts'
import type { HttpRequest, HttpResponse } from '#ground/http/message.ts'
import { parseCidr } from '#ground/text/cidr.ts'
import { withForwardedFor } from './forwarded-for.ts'

const request = (address: string, forwarded: readonly string[]): HttpRequest => ({
  method: 'GET',
  path: '/v1/secret/a',
  query: '',
  headers: headersOf(forwarded.map(one => ['x-forwarded-for', one] as const)),
  body: { length: 0, bytes: () => new Uint8Array(0), async *stream() {} },
  peer: { transport: 'tcp', address, port: 4711, tls: null },
  signal: new AbortController().signal,
})

const settings = {
  authorized: [parseCidr('10.0.0.0/8')],
  hopSkips: 0,
  rejectsNotPresent: true,
  rejectsNotAuthorized: true,
}

const hops = (skip: number, length: number): string =>
  `malformed x-forwarded-for configuration or request, hops to skip (${skip}) would skip before earliest chain link (chain length ${length})`

for (const [rule, from, forwarded, more, seen] of [
  ['the last link is the client', '10.1.2.3', ['192.0.2.9'], {}, '192.0.2.9'],
  ['of several links the last counts', '10.1.2.3', ['198.51.100.1, 192.0.2.9'], {}, '192.0.2.9'],
  ['lines are one chain', '10.1.2.3', ['198.51.100.1', '192.0.2.9'], {}, '192.0.2.9'],
  ['proxies behind it are passed over', '10.1.2.3', ['192.0.2.9, 10.9.9.9'], { hopSkips: 1 }, '192.0.2.9'],
  ['more hops than links are refused', '10.1.2.3', ['192.0.2.9'], { hopSkips: 1 }, hops(1, 1)],
  [
    'what is no address is refused',
    '10.1.2.3',
    ['secret'],
    {},
    'malformed x-forwarded-for header: a link of the chain is no address',
  ],
  [
    'without the header it is refused',
    '10.1.2.3',
    [],
    {},
    'missing x-forwarded-for header and configured to reject when not present',
  ],
  ['or served as it comes, if told so', '10.1.2.3', [], { rejectsNotPresent: false }, '10.1.2.3'],
  [
    'a stranger who says so is refused',
    '192.0.2.7',
    ['127.0.0.1'],
    {},
    'client address not authorized for x-forwarded-for and configured to reject connection',
  ],
  ['or served by its own address', '192.0.2.7', ['127.0.0.1'], { rejectsNotAuthorized: false }, '192.0.2.7'],
] as const) {
  test(`x-forwarded-for: ${rule}`, async () => {
    let address = ''
    const handler = withForwardedFor(
      ({ peer }) => {
        address = peer.address
        return { status: 204, headers: [], body: null }
      },
      { ...settings, ...more },
    )
    const answer = (await handler(request(from, forwarded))) as HttpResponse
    if (answer.status === 204) assert.equal(address, seen)
    else assert.deepEqual([answer.status, JSON.parse(answer.body as string), address], [400, { errors: [seen] }, ''])
  })
}
