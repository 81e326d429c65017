import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProxyHeader, type ProxyHeader } from './proxy-protocol.ts'

const signature = '0d0a0d0a000d0a515549540a'
const v4 = `${signature}2111000cc0000201c633640501bb2008`
const v6 = `${signature}2121002420010db800000000000000000000000120010db800000000000000000000000201bb2008`

const text = (raw: string): Buffer => Buffer.from(raw, 'latin1')
const hex = (raw: string): Buffer => Buffer.from(raw, 'hex')
const header = (length: number, address: string | null, port = 0): ProxyHeader => ({
  kind: 'header',
  length,
  client: address === null ? null : { address, port },
})

for (const [rule, input, want] of [
  ['v1 over IPv4', text('PROXY TCP4 192.0.2.1 198.51.100.5 443 8200\r\nGET'), header(44, '192.0.2.1', 443)],
  ['v1 over IPv6', text('PROXY TCP6 2001:db8::1 ::1 443 8200\r\n'), header(37, '2001:db8::1', 443)],
  ['v1 of the proxy itself', text('PROXY UNKNOWN\r\n'), header(15, null)],
  ['v2 over IPv4', hex(`${v4}4745`), header(28, '192.0.2.1', 443)],
  ['v2 over IPv6', hex(v6), header(52, '2001:db8::1', 443)],
  ['v2 with TLVs', hex(`${v4.replace('2111000c', '2111000f')}040000`), header(31, '192.0.2.1', 443)],
  ['v2 of the proxy itself', hex(`${signature}20000000`), header(16, null)],
  ['v2 over a unix socket', hex(`${signature}213100d8${'00'.repeat(216)}`), header(232, null)],
  ['another verb with P is none', text('POST / HTTP/1.1\r\n'), { kind: 'none' }],
  ['a TLS hello is none', hex('160301'), { kind: 'none' }],
  ['the first letter decides nothing', text('P'), { kind: 'more' }],
  ['v1 without its end', text('PROXY TCP4 192.0.2.1'), { kind: 'more' }],
  ['v2 without its end', hex(v4.slice(0, -2)), { kind: 'more' }],
  ['v2 without its length', hex(`${signature}2111`), { kind: 'more' }],
  ['v1 too long', text(`PROXY UNKNOWN ${'x'.repeat(100)}`), { kind: 'bad' }],
  ['v1 with a name for an address', text('PROXY TCP4 a b 1 2\r\n'), { kind: 'bad' }],
  ['v1 with the other family', text('PROXY TCP4 ::1 ::1 1 2\r\n'), { kind: 'bad' }],
  ['v1 with a port out of range', text('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n'), { kind: 'bad' }],
  ['v1 with more', text('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n'), { kind: 'bad' }],
  ['v2 of version 3', hex(`${signature}31110000`), { kind: 'bad' }],
  ['v2 with an unknown command', hex(`${signature}22110000`), { kind: 'bad' }],
  ['v2 too short for its family', hex(`${signature}21110004c0000201`), { kind: 'bad' }],
  ['v2 too long', hex(`${signature}2111ffff`), { kind: 'bad' }],
] as const) {
  test(`PROXY header: ${rule}`, () => assert.deepEqual(parseProxyHeader(input), want))
}
