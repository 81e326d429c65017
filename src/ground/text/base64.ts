import type { Bytes } from '#ground/base/brand.ts'

/** Base64 that isn't; the text is Go's, with the offset of the first bad byte. */
export class Base64Error extends Error {
  override readonly name = 'Base64Error'
  readonly offset: number

  constructor(offset: number) {
    super(`illegal base64 data at input byte ${offset}`)
    this.offset = offset
  }
}

const clean = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Standard base64 with padding (RFC 4648 section 4); line feeds and carriage returns are skipped, as in Go.
 * @throws Base64Error
 * @source Go encoding/base64 StdEncoding
 */
export function decodeBase64(text: string): Bytes {
  if (clean.test(text)) return Buffer.from(text, 'base64')
  const bare = text.replace(/[\r\n]+/g, '')
  if (bare.length !== text.length && clean.test(bare)) return Buffer.from(bare, 'base64')
  throw new Base64Error(firstFault(text))
}

const isBreak = (char: string | undefined): boolean => char === '\n' || char === '\r'

// Where Go's decoder stops. Every character before the fault is ASCII, so the index is the byte offset.
function firstFault(text: string): number {
  let taken = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (isBreak(char)) continue
    if (/[A-Za-z0-9+/]/.test(char)) {
      taken = (taken + 1) % 4
      continue
    }
    if (char !== '=' || taken < 2) return at
    let next = skipBreaks(text, at + 1)
    if (taken === 2) {
      if (next >= text.length) return text.length
      if (text[next] !== '=') return next - 1
      next = skipBreaks(text, next + 1)
    }
    return next
  }
  return text.length - taken
}

function skipBreaks(text: string, from: number): number {
  let at = from
  while (isBreak(text[at])) at++
  return at
}

/** Standard base64 with padding. */
export function encodeBase64(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
