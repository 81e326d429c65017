import { createHash } from 'node:crypto'
import type { World } from '#ground/base/world.ts'
import { fromBytes, toBytes } from '#ground/template/bytes.ts'
import { FunctionError } from '#ground/template/errors.ts'
import { define, type FunctionTable, functionTable } from '#ground/template/function.ts'
import { formatGoTime } from '#ground/template/functions/layout.ts'
import { parseTemplate } from '#ground/template/template.ts'
import { Struct } from '#ground/template/value.ts'
import { Base64Error, decodeBase64 } from '#ground/text/base64.ts'
import { matchGlob } from '#ground/text/glob.ts'

/** Letters that one call of `random` gives at most, and bytes that a name or one replacement has at most. */
const randomMax = 1_024
const nameBytesMax = 64 * 1_024
const limits = { outputBytesMax: nameBytesMax, stepsMax: 10_000, rangeMax: 1_000, depthMax: 50 }

type Chance = Pick<World, 'clock' | 'entropy'>

/** How the names of what an engine makes are built: `name_template`, `username_template`. */
export type NameTemplate = {
  /**
   * @param typeName the Go type that error texts name: `kubesecrets.nameMetadata`.
   * @param fields what the template sees as `.Name`; another name in it fails here, not at the parse.
   * @throws TemplateExecError with Go's text
   */
  generate(typeName: string, fields: Readonly<Record<string, string>>): string
}

/**
 * A template for generated names, with Vault's functions.
 * @throws TemplateParseError with Go's text
 * @source openbao sdk/helper/template
 */
export function parseNameTemplate(world: Chance, text: string): NameTemplate {
  const template = parseTemplate('template', text, { functions: functionsOf(world) })
  return {
    generate(typeName, fields) {
      const data = new Struct(typeName, Object.entries(fields), { isPointer: false })
      // What isn't UTF-8 (half a character) becomes the replacement character, as in Go's JSON.
      return template.execute(data, { limits }).toWellFormed()
    },
  }
}

const sha256 = (text: string): string => createHash('sha256').update(toBytes(text)).digest('hex')

function cut(text: string, bytesMax: number): string {
  const bytes = toBytes(text)
  return bytes.length <= bytesMax ? text : fromBytes(bytes.subarray(0, bytesMax))
}

function truncate(max: bigint, text: string): string {
  if (max <= 0n) throw new FunctionError(`max length must be > 0 but was ${max}`)
  return cut(text, Number(max))
}

function truncateSha256(max: bigint, text: string): string {
  if (max <= 8n) throw new FunctionError(`max length must be > 8 but was ${max}`)
  const bytes = toBytes(text)
  if (bytes.length <= Number(max)) return text
  const at = Number(max) - 8
  return fromBytes(bytes.subarray(0, at)) + sha256(fromBytes(bytes.subarray(at))).slice(0, 8)
}

function replace(find: string, by: string, text: string): string {
  const parts = text.split(find)
  if (text.length + (parts.length + 1) * by.length > nameBytesMax) throw new FunctionError('replace: it grows too long')
  // Go puts the replacement also at both ends when it looks for nothing.
  return find === '' ? by + Array.from(text, char => char + by).join('') : parts.join(by)
}

function fromBase64(text: string): string {
  try {
    return fromBytes(decodeBase64(text))
  } catch (error) {
    if (error instanceof Base64Error) throw new FunctionError(error.message)
    throw error
  }
}

function fromHex(text: string): string {
  const bad = /[^0-9a-fA-F]/u.exec(text)?.[0]
  if (bad !== undefined) throw new FunctionError(`encoding/hex: invalid byte: ${JSON.stringify(bad)}`)
  if (text.length % 2 === 1) throw new FunctionError('encoding/hex: odd length hex string')
  return fromBytes(Buffer.from(text, 'hex'))
}

const plain = [
  define('truncate', ['int', 'string'], 'string', 'The first bytes.', truncate),
  define('truncate_sha256', ['int', 'string'], 'string', 'The first bytes, and 8 of the rest’s hash.', truncateSha256),
  define('uppercase', ['string'], 'string', 'In upper case.', text => text.toUpperCase()),
  define('lowercase', ['string'], 'string', 'In lower case.', text => text.toLowerCase()),
  define('replace', ['string', 'string', 'string'], 'string', 'Each `find` by `replace`.', replace),
  define('sha256', ['string'], 'string', 'SHA-256 in hex.', sha256),
  define('base64', ['string'], 'string', 'In base64.', text => Buffer.from(toBytes(text)).toString('base64')),
  define('decode_base64', ['string'], 'string', 'From base64.', fromBase64),
  define('hex', ['string'], 'string', 'In hex.', text => Buffer.from(toBytes(text)).toString('hex')),
  define('decode_hex', ['string'], 'string', 'From hex.', fromHex),
  define('glob', ['string', 'string'], 'bool', 'Does the pattern match?', matchGlob),
]

function functionsOf({ clock, entropy }: Chance): FunctionTable {
  return functionTable([
    ...plain,
    define('random', ['int'], 'string', 'Letters and digits by chance.', length => {
      if (length < 0n || length > BigInt(randomMax)) throw new FunctionError(`random: length must be 0 to ${randomMax}`)
      return entropy.base62(Number(length))
    }),
    define('unix_time', [], 'string', 'Seconds since 1970.', () => String(Math.floor(clock.now() / 1000))),
    define('unix_time_millis', [], 'string', 'Milliseconds since 1970.', () => String(clock.now())),
    define('timestamp', ['string'], 'string', 'The time in a Go layout.', layout => formatGoTime(clock.now(), layout)),
    define('uuid', [], 'string', 'A UUID by chance.', () => entropy.uuid()),
  ])
}
