import { isIP } from 'node:net'
import type { Bytes } from '#ground/base/brand.ts'
import { goQuote } from './quote.ts'

/** A block of addresses: the address as written, 4 or 16 bytes, and how many leading bits count. */
export type Cidr = { readonly address: Bytes; readonly bits: number }

/** Text that is no address or block; it says which and why. */
export class CidrError extends Error {
  override readonly name = 'CidrError'
}

/**
 * The bytes of an IP address: 4, or 16 for IPv6; an IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) gives 4, so that
 * a rule on IPv4 holds on a dual-stack socket too. A zone (`%eth0`) is no part of the address.
 * @returns null when it isn't one
 */
export function parseIp(text: string): Bytes | null {
  const zone = text.indexOf('%')
  const bare = zone < 0 ? text : text.slice(0, zone)
  const family = isIP(bare)
  if (family === 4) return Uint8Array.from(bare.split('.', 4), Number)
  if (family !== 6) return null
  const bytes = ipv6Bytes(bare)
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return bytes
  return bytes[10] === 0xff && bytes[11] === 0xff ? bytes.slice(12) : bytes
}

function ipv6Bytes(text: string): Bytes {
  let groups = text
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const [a, b, c, d] = text
      .slice(lastColon + 1)
      .split('.', 4)
      .map(Number) as [number, number, number, number]
    groups = `${text.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head = '', tail] = groups.split('::', 2)
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const words = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  const bytes = new Uint8Array(16)
  for (const [i, word] of words.entries()) {
    const value = Number.parseInt(word, 16)
    bytes[2 * i] = value >> 8
    bytes[2 * i + 1] = value & 0xff
  }
  return bytes
}

/**
 * Reads `10.0.0.0/8`, `fd00::/8`, or a bare address, which is the block of that one address.
 * @throws CidrError
 */
export function parseCidr(text: string): Cidr {
  const slash = text.indexOf('/')
  const address = parseIp(slash < 0 ? text : text.slice(0, slash))
  if (!address || text.includes('%')) {
    throw new CidrError(`invalid CIDR ${goQuote(text)}: want an IP address or a block such as 10.0.0.0/8`)
  }
  const most = address.length * 8
  if (slash < 0) return { address, bits: most }
  const mask = text.slice(slash + 1)
  // A mapped address counts its bits from the start of the IPv6 form.
  const bits = /^\d{1,3}$/.test(mask) ? Number(mask) - (most === 32 && text.includes(':') ? 96 : 0) : -1
  if (bits < 0 || bits > most) {
    throw new CidrError(`invalid CIDR ${goQuote(text)}: the prefix length must be a number from 0 to ${most}`)
  }
  return { address, bits }
}

/** Is the address in the block? Another family never is; nor is text that is no address. */
export function cidrContains(cidr: Cidr, address: string | Bytes): boolean {
  const bytes = typeof address === 'string' ? parseIp(address) : address
  if (!bytes || bytes.length !== cidr.address.length) return false
  const whole = cidr.bits >> 3
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.address[i]) return false
  const rest = cidr.bits & 7
  return rest === 0 || (bytes[whole]! ^ cidr.address[whole]!) >> (8 - rest) === 0
}

/** Is every address of `inner` in `outer`? */
export function cidrCovers(outer: Cidr, inner: Cidr): boolean {
  return outer.bits <= inner.bits && cidrContains(outer, inner.address)
}

/** The address in its shortest form (RFC 5952). */
export function formatIp(bytes: Bytes): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && words[end] === 0) end++
    if (end - i > length) [start, length] = [i, end - i]
    if (end > i) i = end - 1
  }
  const hex = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map(word => word.toString(16))
      .join(':')
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`
}

/**
 * The text under which a bound block is shown and compared: no length for a single address, host bits kept.
 * @source hashicorp/go-sockaddr IPv4Addr.String, IPv6Addr.String
 */
export function formatCidr(cidr: Cidr): string {
  const address = formatIp(cidr.address)
  return cidr.bits === cidr.address.length * 8 ? address : `${address}/${cidr.bits}`
}

/** Do two texts name the same block? Text that is none equals nothing. */
export function sameCidr(a: string, b: string): boolean {
  try {
    return formatCidr(parseCidr(a)) === formatCidr(parseCidr(b))
  } catch (error) {
    if (error instanceof CidrError) return false
    throw error
  }
}
