import { isIP } from 'node:net'

export type ClientAddress = { readonly address: string; readonly port: number }

/**
 * What the first bytes of a connection are to the PROXY protocol. `client` is null when the proxy speaks for itself
 * (LOCAL, UNKNOWN) or over what is no TCP.
 * @source haproxy doc/proxy-protocol.txt, sections 2.1 and 2.2
 */
export type ProxyHeader =
  | { readonly kind: 'none' }
  | { readonly kind: 'more' }
  | { readonly kind: 'bad' }
  | { readonly kind: 'header'; readonly length: number; readonly client: ClientAddress | null }

const none: ProxyHeader = { kind: 'none' }
const more: ProxyHeader = { kind: 'more' }
const bad: ProxyHeader = { kind: 'bad' }

const textStart = Buffer.from('PROXY ', 'latin1')
const binaryStart = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const textBytesMax = 107
// The standard's own bound: what a receiver must be ready to take. Longer ones carry TLVs that nobody here reads.
const binaryBytesMax = 4_096

export function parseProxyHeader(input: Buffer): ProxyHeader {
  if (input.length === 0) return more
  if (startsAlike(input, binaryStart)) return input.length < 16 ? more : parseBinary(input)
  if (startsAlike(input, textStart)) return input.length < textStart.length ? more : parseText(input)
  return none
}

function startsAlike(input: Buffer, start: Buffer): boolean {
  const length = Math.min(input.length, start.length)
  return input.compare(start, 0, length, 0, length) === 0
}

function parseText(input: Buffer): ProxyHeader {
  const end = input.indexOf('\r\n')
  if (end < 0) return input.length >= textBytesMax ? bad : more
  if (end + 2 > textBytesMax) return bad
  const [, family, source, target, sourcePort, targetPort, rest] = input.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', length: end + 2, client: null }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0
  if (version === 0 || rest !== undefined || isIP(source ?? '') !== version || isIP(target ?? '') !== version)
    return bad
  if (!isPort(sourcePort) || !isPort(targetPort)) return bad
  return { kind: 'header', length: end + 2, client: { address: source!, port: Number(sourcePort) } }
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(?:0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535
}

function parseBinary(input: Buffer): ProxyHeader {
  const command = input[12]!
  const family = input[13]!
  const length = 16 + input.readUInt16BE(14)
  if (command >> 4 !== 2 || (command & 15) > 1 || length > binaryBytesMax) return bad
  if (input.length < length) return more
  const isLocal = (command & 15) === 0
  if (isLocal) return { kind: 'header', length, client: null }
  if (family === 0x11) {
    if (length < 16 + 12) return bad
    return {
      kind: 'header',
      length,
      client: { address: input.subarray(16, 20).join('.'), port: input.readUInt16BE(24) },
    }
  }
  if (family === 0x21) {
    if (length < 16 + 36) return bad
    const groups = Array.from({ length: 8 }, (_, i) => input.readUInt16BE(16 + 2 * i).toString(16))
    return { kind: 'header', length, client: { address: shortest(groups.join(':')), port: input.readUInt16BE(48) } }
  }
  return { kind: 'header', length, client: null }
}

// `URL` writes an IPv6 address in its shortest form (RFC 5952), as the system does for other peers.
function shortest(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1)
}
