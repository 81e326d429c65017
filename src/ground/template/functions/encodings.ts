import { createHash, createHmac } from 'node:crypto'
import { Base64Error, decodeBase64 } from '#ground/text/base64.ts'
import { fromBytes, toBytes } from '../bytes.ts'
import { FunctionError } from '../errors.ts'
import { define, type FunctionTable, functionTable } from '../function.ts'
import { parseJson, toJson } from './json.ts'
import { toYaml } from './yaml.ts'

function encode(text: string): string {
  return Buffer.from(toBytes(text)).toString('base64')
}

function decode(name: string, text: string, isUrl: boolean): string {
  try {
    return fromBytes(decodeBase64(isUrl ? text.replace(/[+/_-]/g, swapped) : text))
  } catch (error) {
    if (error instanceof Base64Error) throw new FunctionError(`${name}: ${error.message}`)
    throw error
  }
}

// The URL alphabet (RFC 4648 section 5) refuses the two characters of the standard one.
function swapped(char: string): string {
  return char === '-' ? '+' : char === '_' ? '/' : '!'
}

const hash = (algorithm: string, text: string): string => createHash(algorithm).update(toBytes(text)).digest('hex')
const compact = (isHtmlSafe: boolean) => ({ isHtmlSafe, isPretty: false })
const pretty = (isHtmlSafe: boolean) => ({ isHtmlSafe, isPretty: true })
const any = 'interface {}'

/** Encodings of texts and values, and digests. @source consul-template template/funcs.go */
export const encodingFunctions: FunctionTable = functionTable([
  define('base64Encode', ['string'], 'string', 'In base64.', encode),
  define('base64Decode', ['string'], 'string', 'From base64; the bytes needn’t be text.', text =>
    decode('base64Decode', text, false),
  ),
  define('base64URLEncode', ['string'], 'string', 'In base64 for URLs, with padding.', text =>
    encode(text).replaceAll('+', '-').replaceAll('/', '_'),
  ),
  define('base64URLDecode', ['string'], 'string', 'From base64 for URLs, with padding.', text =>
    decode('base64URLDecode', text, true),
  ),
  define('parseJSON', ['string'], any, 'The value of JSON text; numbers are float64.', parseJson),
  define('toJSON', [any], 'string', 'JSON on one line, `<>&` escaped.', value =>
    toJson('toJSON', value, compact(true)),
  ),
  define('toJSONPretty', [any], 'string', 'JSON indented by two spaces.', value =>
    toJson('toJSONPretty', value, pretty(true)),
  ),
  define('toUnescapedJSON', [any], 'string', 'JSON on one line.', value =>
    toJson('toUnescapedJSON', value, compact(false)),
  ),
  define('toUnescapedJSONPretty', [any], 'string', 'JSON indented, `<>&` as they are.', value =>
    toJson('toUnescapedJSONPretty', value, pretty(false)),
  ),
  define('toYAML', [any], 'string', 'YAML in blocks.', value => toYaml(value).trim()),
  define('sha256Hex', ['string'], 'string', 'SHA-256, in hexadecimal.', text => hash('sha256', text)),
  define('md5sum', ['string'], 'string', 'MD5, in hexadecimal; not for security.', text => hash('md5', text)),
  define('hmacSHA256Hex', ['string', 'string'], 'string', '`hmacSHA256Hex message key`', (message, key) =>
    createHmac('sha256', toBytes(key)).update(toBytes(message)).digest('hex'),
  ),
])
