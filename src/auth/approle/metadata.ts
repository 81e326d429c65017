import { decodeBase64, Base64Error } from '#ground/text/base64.ts'
import { fault } from '#protocol/fault.ts'

/**
 * Metadata of a secret id from its text: a JSON object of texts, or `a=b,c=d`; either may be in base64.
 * @source hashicorp go-secure-stdlib strutil ParseArbitraryKeyValues
 */
export function parseMetadata(text: string): Readonly<Record<string, string>> {
  if (text.trim() === '') return {}
  const plain = decoded(text) ?? text
  return fromJson(plain) ?? fromPairs(plain)
}

function decoded(text: string): string | null {
  try {
    const plain = Buffer.from(decodeBase64(text)).toString('utf8')
    return plain === '' ? null : plain
  } catch (error) {
    if (error instanceof Base64Error) return null
    throw error
  }
}

function fromJson(text: string): Readonly<Record<string, string>> | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null
  const pairs = Object.entries(parsed)
  if (!pairs.every(([, value]) => typeof value === 'string' || value === null)) return null
  return own(pairs.map(([key, value]) => [key, value ?? '']))
}

function fromPairs(text: string): Readonly<Record<string, string>> {
  const pairs: [string, string][] = []
  for (const item of text.split(',').map(one => one.trim())) {
    if (item === '') continue
    const at = item.indexOf('=')
    const [key, value] = at < 0 ? [item, ''] : [item.slice(0, at).trim(), item.slice(at + 1).trim()]
    if (at < 0 || key === '' || value === '') {
      // Not a word of the item: it may be half of a secret.
      const what =
        at < 0 ? 'invalid <key,value> pair' : `invalid <key,value> pair: ${key === '' ? 'key' : 'value'} is empty`
      throw fault('request.invalid', `failed to parse metadata: failed to parse the input: ${what}`)
    }
    pairs.push([key, value])
  }
  return own(pairs)
}

// Names are the caller's own: `__proto__` is one like any other.
function own(pairs: readonly (readonly [string, string])[]): Readonly<Record<string, string>> {
  const out: Record<string, string> = Object.create(null)
  for (const [key, value] of pairs) out[key] = value
  return out
}
