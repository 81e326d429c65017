import { assert } from '#ground/base/assert.ts'

const reasons: Readonly<Record<number, string>> = {
  101: 'Switching Protocols',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

// The front's own: a handler that set them could break the framing.
const ownHeaders: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection', 'date'])

/**
 * Status line and headers, up to the empty line, which the caller adds after its own headers.
 * @throws AssertionError when a header could split the answer in two (CR, LF, NUL) or is the front's own
 */
export function renderHead(status: number, headers: readonly (readonly [string, string])[], date: string): string {
  assert(status >= 100 && status <= 999, 'a status has three digits')
  let text = `HTTP/1.1 ${status} ${reasons[status] ?? ''}\r\n`
  for (const [name, value] of headers) {
    assert(isSafeName(name) && isSafeValue(value), `header ${JSON.stringify(name)} can't be sent`)
    text += `${name}: ${value}\r\n`
  }
  return `${text}Date: ${date}\r\n`
}

function isSafeValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 32 && code !== 9) || code > 255 || code === 127) return false
  }
  return true
}

const nameForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// Names are constants of the program, so that few are judged and then remembered; the bound is against one that isn't.
const judgedMax = 1_000
const judged = new Map<string, boolean>()

function isSafeName(name: string): boolean {
  const known = judged.get(name)
  if (known !== undefined) return known
  const verdict = nameForm.test(name) && !ownHeaders.has(name.toLowerCase())
  if (judged.size < judgedMax) judged.set(name, verdict)
  return verdict
}

/** Must an answer with this status have no body (RFC 9110 section 6.4.1)? */
export function isBodyless(status: number): boolean {
  return status === 204 || status === 304 || status < 200
}

const days = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (value: number): string => String(value).padStart(2, '0')

/** `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7). @param ms since 1970, not negative */
export function httpDate(ms: number): string {
  const second = Math.floor(ms / 1000)
  const day = Math.floor(second / 86_400)
  // Days → civil date, with years that begin in March, so that the leap day is the last.
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const date = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = (monthFromMarch + 2) % 12
  const year = yearOfEra + era * 400 + (month <= 1 ? 1 : 0)
  const clock = `${two(Math.floor(second / 3600) % 24)}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
  return `${days[day % 7]}, ${two(date)} ${months[month]} ${year} ${clock} GMT`
}
