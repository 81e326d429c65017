import { goQuote } from '#ground/text/quote.ts'

const pairsMax = 64
const keyBytesMax = 128
const valueBytesMax = 512

/**
 * What is wrong with metadata of an entity or group, or null.
 * @source vault vault/identity_store_util.go validateMetadata
 */
export function metadataProblem(metadata: Readonly<Record<string, string>>): string | null {
  const pairs = Object.entries(metadata)
  if (pairs.length > pairsMax) return `metadata cannot contain more than ${pairsMax} key/value pairs`
  for (const [key, value] of pairs) {
    const problem = pairProblem(key, value)
    if (problem !== null) return `failed to load metadata pair (${goQuote(key)}, ${goQuote(value)}): ${problem}`
  }
  return null
}

function pairProblem(key: string, value: string): string | null {
  if (key === '') return 'key cannot be blank'
  if (!/^[a-zA-Z0-9=/+_-]+$/.test(key)) return 'key contains invalid characters'
  if (key.length > keyBytesMax) return `key is too long (limit: ${keyBytesMax} characters)`
  if (key.startsWith('consul-')) return 'key prefix "consul-" is reserved for internal use'
  if (Buffer.byteLength(value) > valueBytesMax) return `value is too long (limit: ${valueBytesMax} characters)`
  return null
}

/**
 * The same of an alias's custom metadata; each thing that is wrong.
 * @source vault sdk/helper/custommetadata
 */
export function customMetadataProblem(metadata: Readonly<Record<string, string>>): string | null {
  const pairs = Object.entries(metadata)
  if (pairs.length > pairsMax) {
    return `custom_metadata validation failed: payload must contain at most ${pairsMax} keys, provided ${pairs.length}`
  }
  for (const [key, value] of pairs) {
    const problem =
      lengthProblem('key', key, key, keyBytesMax) ?? lengthProblem('value for key', key, value, valueBytesMax)
    if (problem !== null) return `custom_metadata validation failed: ${problem}`
    if (/\p{C}/u.test(key + value)) {
      return `custom_metadata validation failed: ${goQuote(key)} or its value contains unprintable characters`
    }
  }
  return null
}

function lengthProblem(what: string, key: string, text: string, bytesMax: number): string | null {
  const length = Buffer.byteLength(text)
  if (length >= 1 && length <= bytesMax) return null
  return `length of ${what} ${goQuote(key)} is ${length} but must be 0 < len(${what.split(' ')[0]}) <= ${bytesMax}`
}
