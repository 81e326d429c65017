import type { Bytes } from '#ground/base/brand.ts'
import { Base64Error, decodeBase64 } from '#ground/text/base64.ts'
import { SealError } from './seal.ts'

// The barrier takes AES keys of 128 to 256 bits; a share has its x byte more.
const shareBytesMin = 16
const shareBytesMax = 33

/**
 * Reads an unseal or recovery key as people give it: hex when that gives a length which a share may have, else base64
 * (a base64 text may be valid hex by accident).
 * @throws SealError `bad-key`, whose text is the answer's
 * @source openbao http/sys_seal.go, vault/core.go
 */
export function parseShare(text: string): Bytes {
  if (text === '') {
    throw new SealError('bad-key', "'key' must be specified in request body as JSON, or 'reset' set to true")
  }
  const hex = /^(?:[0-9a-fA-F]{2})+$/.test(text) ? Buffer.from(text, 'hex') : null
  if (hex && hex.length >= shareBytesMin && hex.length <= shareBytesMax) return hex
  const bytes = fromBase64(text)
  if (bytes.length < shareBytesMin) {
    throw new SealError('bad-key', `invalid key: key is shorter than minimum ${shareBytesMin} bytes`)
  }
  if (bytes.length > shareBytesMax) {
    throw new SealError('bad-key', `invalid key: key is longer than maximum ${shareBytesMax} bytes`)
  }
  return bytes
}

function fromBase64(text: string): Bytes {
  try {
    return decodeBase64(text)
  } catch (error) {
    if (!(error instanceof Base64Error)) throw error
    throw new SealError('bad-key', "'key' must be a valid hex or base64 string")
  }
}

/** A share as handed out once: `keys` and `keys_base64` of the answer. */
export function shareTexts(share: Bytes): { readonly hex: string; readonly base64: string } {
  const bytes = Buffer.from(share)
  return { hex: bytes.toString('hex'), base64: bytes.toString('base64') }
}
