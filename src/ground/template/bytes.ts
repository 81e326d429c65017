/**
 * Go strings are bytes, ours are UTF-16. A byte that is no part of valid UTF-8 (a decoded keystore, half a character
 * cut by `slice`) lives in a string as the lone surrogate U+DC00 + byte, and leaves it as that byte again.
 */

const escapeBase = 0xdc00
const notAscii = /[^\u0000-\u007f]/

export function isAscii(text: string): boolean {
  return !notAscii.test(text)
}

/** How long the text is in UTF-8, in bytes. */
export function byteLength(text: string): number {
  return isAscii(text) ? text.length : toBytes(text).length
}

/** The bytes of a text: UTF-8, with escaped bytes as they were. */
export function toBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8')
  const parts: Uint8Array[] = []
  let from = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit < 0xdc00 && isLow(text.charCodeAt(i + 1))) {
      i++
      continue
    }
    if (!isLow(unit) || unit > escapeBase + 0xff || unit < escapeBase + 0x80) continue
    parts.push(Buffer.from(text.slice(from, i), 'utf8'), Uint8Array.of(unit - escapeBase))
    from = i + 1
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'))
  return Buffer.concat(parts)
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** The text of bytes; what isn't UTF-8 is escaped. */
export function fromBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  if (!text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(buffer)) return text
  let out = ''
  let i = 0
  while (i < buffer.length) {
    const width = runeWidth(buffer, i)
    if (width === 0) out += String.fromCharCode(escapeBase + buffer[i]!)
    else out += buffer.toString('utf8', i, i + width)
    i += width || 1
  }
  return out
}

/** Bytes of the character at `i`, 0 when there is no valid one (RFC 3629 section 4). */
function runeWidth(bytes: Uint8Array, i: number): number {
  const lead = bytes[i]!
  if (lead < 0x80) return 1
  const width = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0
  if (width === 0 || lead >= 0xf5 || i + width > bytes.length) return 0
  for (let k = 1; k < width; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return 0
  const second = bytes[i + 1]!
  if (lead === 0xe0 && second < 0xa0) return 0
  if (lead === 0xed && second > 0x9f) return 0
  if (lead === 0xf0 && second < 0x90) return 0
  if (lead === 0xf4 && second > 0x8f) return 0
  return width
}

/** The part from byte `start` to byte `end`, as Go slices a string. */
export function sliceBytes(text: string, start: number, end: number): string {
  return isAscii(text) ? text.slice(start, end) : fromBytes(toBytes(text).subarray(start, end))
}

/** Order by bytes, as Go compares strings: negative, 0 or positive. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0
  if (isAscii(a) && isAscii(b)) return a < b ? -1 : 1
  return Buffer.compare(toBytes(a), toBytes(b))
}

/** Is the code point one of the escapes for a byte that is no UTF-8? */
export function isEscapedByte(codePoint: number): boolean {
  return codePoint >= escapeBase + 0x80 && codePoint <= escapeBase + 0xff
}
