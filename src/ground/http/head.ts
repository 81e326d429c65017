import { HeaderList } from './headers.ts'

/** The verbs of the Vault API; LIST, SCAN and HELP are its own. Any other is answered 405. */
export const verbs = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'LIST', 'SCAN', 'HEAD', 'OPTIONS', 'HELP'] as const

const verbSet: ReadonlySet<string> = new Set(verbs)

/** A request that the front answers itself, before any handler sees it. The connection is closed after it. */
export class Refusal {
  readonly status: 400 | 405 | 408 | 413 | 417 | 431 | 501 | 505
  /** For the client; null gives an empty list of errors. */
  readonly message: string | null

  constructor(status: Refusal['status'], message: string | null) {
    this.status = status
    this.message = message
  }
}

/** A request line and header block that obey RFC 9112, read strictly: what two parsers could read differently is refused. */
export type Head = {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: HeaderList
  /** HTTP/1.`minor`. */
  readonly minor: 0 | 1
  /** Bytes of body; null for chunked. */
  readonly length: number | null
  /** May the connection serve another request after this one? */
  readonly isKept: boolean
  readonly expectsContinue: boolean
}

const tokenBytes = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  tokenBytes[char.charCodeAt(0)] = 1
}
// field-content of RFC 9110 section 5.5: blanks, visible ASCII, and the bytes above it.
const valueBytes = new Uint8Array(256).fill(1, 0x20)
valueBytes[0x09] = 1
valueBytes[0x7f] = 0

const cr = 13
const lf = 10
const space = 32
const tab = 9

/**
 * Reads a whole head.
 * @param text latin1; `start` is the first byte of the request line, `end` stands behind the line feed of the last line
 *   before the empty one.
 */
export function parseHead(text: string, start: number, end: number, headerCountMax: number): Head | Refusal {
  const lineEnd = text.indexOf('\r', start)
  const line = parseRequestLine(text, start, lineEnd)
  if (line instanceof Refusal) return line
  const headers = parseFields(text, lineEnd + 2, end, headerCountMax)
  if (headers instanceof Refusal) return headers
  return frame(line, headers)
}

type RequestLine = { method: string; target: string; minor: 0 | 1 }

function parseRequestLine(text: string, start: number, lineEnd: number): RequestLine | Refusal {
  if (text.charCodeAt(lineEnd + 1) !== lf) return new Refusal(400, 'malformed request line: bare CR')
  const methodEnd = text.indexOf(' ', start)
  if (methodEnd <= start || methodEnd > lineEnd) return new Refusal(400, 'malformed request line')
  for (let i = start; i < methodEnd; i++) {
    if (tokenBytes[text.charCodeAt(i)] !== 1) return new Refusal(400, 'malformed request method')
  }
  const targetEnd = lineEnd - 9
  let minor: 0 | 1 = 1
  if (targetEnd <= methodEnd || !text.startsWith(' HTTP/1.1', targetEnd)) {
    if (targetEnd > methodEnd && text.startsWith(' HTTP/1.0', targetEnd)) minor = 0
    else return versionRefusal(text.slice(methodEnd + 1, lineEnd))
  }
  for (let i = methodEnd + 1; i < targetEnd; i++) {
    const code = text.charCodeAt(i)
    // '#' never goes over the wire (RFC 9112 section 3.2); readers differ on what it would mean.
    if (code <= space || code === 0x7f || code === 0x23) return new Refusal(400, 'malformed request target')
  }
  const method = text.slice(start, methodEnd)
  if (!verbSet.has(method)) return new Refusal(405, null)
  return { method, target: text.slice(methodEnd + 1, targetEnd), minor }
}

function versionRefusal(rest: string): Refusal {
  return / HTTP\/[0-9]\.[0-9]$/.test(rest)
    ? new Refusal(505, 'only HTTP/1.1 and HTTP/1.0 are served')
    : new Refusal(400, 'malformed request line')
}

/**
 * Header or trailer fields, each ended by CR LF.
 * @param end behind the last field's line feed
 */
export function parseFields(text: string, start: number, end: number, countMax: number): HeaderList | Refusal {
  const fields = new HeaderList()
  let at = start
  while (at < end) {
    if (fields.names.length >= countMax) return new Refusal(431, `more than ${countMax} header fields`)
    const nameStart = at
    while (tokenBytes[text.charCodeAt(at)] === 1) at++
    if (at === nameStart || text.charCodeAt(at) !== 58)
      return new Refusal(400, fieldFault(text.charCodeAt(at), at === nameStart))
    const name = text.slice(nameStart, at++).toLowerCase()
    let code = text.charCodeAt(at)
    while (code === space || code === tab) code = text.charCodeAt(++at)
    const valueStart = at
    while (valueBytes[code] === 1) code = text.charCodeAt(++at)
    if (code !== cr || text.charCodeAt(at + 1) !== lf) {
      return new Refusal(400, `malformed value of header ${name}: bare CR, bare LF or a control character`)
    }
    let valueEnd = at
    while (valueEnd > valueStart && (text.charCodeAt(valueEnd - 1) === space || text.charCodeAt(valueEnd - 1) === tab))
      valueEnd--
    fields.add(name, text.slice(valueStart, valueEnd))
    at += 2
  }
  return fields
}

function fieldFault(code: number, isFirst: boolean): string {
  if (code === space || code === tab)
    return isFirst ? 'folded header lines are refused' : 'blank before the colon of a header'
  return 'malformed header name'
}

/** What the fields say about the message as a whole (RFC 9112 sections 3.2, 6 and 9.3). */
function frame(line: RequestLine, headers: HeaderList): Head | Refusal {
  let host: string | null = null
  let length: number | null = -1
  let connection = ''
  let expectsContinue = false
  const { names, values } = headers
  for (let i = 0; i < names.length; i++) {
    const value = values[i]!
    const name: string = names[i]!
    switch (name) {
      case 'host':
        if (host !== null) return new Refusal(400, 'more than one Host header')
        host = value
        break
      case 'content-length':
        if (length !== -1) return new Refusal(400, 'more than one Content-Length, or one beside Transfer-Encoding')
        if (!/^[0-9]{1,15}$/.test(value)) return new Refusal(400, 'malformed Content-Length')
        length = Number(value)
        break
      case 'transfer-encoding':
        if (length !== -1) return new Refusal(400, 'more than one Transfer-Encoding, or one beside Content-Length')
        if (line.minor === 0) return new Refusal(400, 'Transfer-Encoding in an HTTP/1.0 request')
        if (value.toLowerCase() !== 'chunked') return new Refusal(501, 'the only Transfer-Encoding served is chunked')
        length = null
        break
      case 'connection':
        connection += `,${value.toLowerCase()}`
        break
      case 'expect':
        if (value.toLowerCase() !== '100-continue') return new Refusal(417, 'the only Expect served is 100-continue')
        expectsContinue = line.minor === 1
        break
      default:
    }
  }
  const target = parseTarget(line, host)
  if (target instanceof Refusal) return target
  return {
    method: line.method,
    path: target.path,
    query: target.query,
    headers,
    minor: line.minor,
    length: length === -1 ? 0 : length,
    isKept: line.minor === 1 && !(connection !== '' && hasToken(connection, 'close')),
    expectsContinue: expectsContinue && length !== -1 && length !== 0,
  }
}

/** Is `token` one of a comma-separated list? Both lower case. */
export function hasToken(list: string, token: string): boolean {
  return list.split(',').some(part => part.trim() === token)
}

const hostForm = /^(?:\[[0-9A-Za-z:.%]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]{0,5})?$/

function parseTarget(line: RequestLine, host: string | null): { path: string; query: string } | Refusal {
  if (host === null && line.minor === 1) return new Refusal(400, 'missing required Host header')
  if (host !== null && !hostForm.test(host)) return new Refusal(400, 'malformed Host header')
  let target = line.target
  if (target.charCodeAt(0) !== 47) {
    if (target === '*' && line.method === 'OPTIONS') return { path: '*', query: '' }
    const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(target)
    if (absolute === null) return new Refusal(400, 'malformed request target')
    if (absolute[1]!.toLowerCase() !== host?.toLowerCase()) {
      return new Refusal(400, 'the authority of the request target differs from the Host header')
    }
    target = absolute[2]!.startsWith('/') ? absolute[2]! : `/${absolute[2]!}`
  }
  const mark = target.indexOf('?')
  if (mark < 0) return { path: encodeHigh(target), query: '' }
  return { path: encodeHigh(target.slice(0, mark)), query: encodeHigh(target.slice(mark + 1)) }
}

// Raw bytes above ASCII come from careless clients (curl sends what it is given). Encoded, there is one form to decode.
function encodeHigh(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text
  return text.replace(/[\x80-\xff]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/**
 * Whether a head whose end hasn't come yet can still become a good one: a line broken by a bare CR or LF, or bytes of
 * another protocol, would otherwise be held until the timeout.
 */
export function earlyRefusal(text: string, start: number): Refusal | null {
  if (start < text.length && tokenBytes[text.charCodeAt(start)] !== 1 && text.charCodeAt(start) !== cr) {
    return new Refusal(400, 'malformed request line')
  }
  for (let at = text.indexOf('\n', start); at >= 0; at = text.indexOf('\n', at + 1)) {
    if (at === start || text.charCodeAt(at - 1) !== cr) return new Refusal(400, 'bare LF in the head of a request')
  }
  for (let at = text.indexOf('\r', start); at >= 0 && at + 1 < text.length; at = text.indexOf('\r', at + 1)) {
    if (text.charCodeAt(at + 1) !== lf) return new Refusal(400, 'bare CR in the head of a request')
  }
  return null
}
