const simple: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

const byteEscapes = /(?:\\(?:x[0-9a-fA-F]{2}|[0-7]{3}))+/y
const pointEscape = /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y

/**
 * What stands between the quotes of a string, its escapes resolved; `${…}` is copied as it is.
 * @returns null when an escape is unknown
 * @source hashicorp/hcl hcl/strconv/quote.go
 */
export function unescapeString(body: string): string | null {
  if (!body.includes('\\')) return body
  let out = ''
  for (let i = 0; i < body.length; ) {
    if (body.startsWith('${', i)) {
      const end = endOfInterpolation(body, i + 2)
      out += body.slice(i, end)
      i = end
    } else if (body[i] !== '\\') {
      out += body[i++]
    } else {
      const [value, length] = readEscape(body, i)
      if (value === null) return null
      out += value
      i += length
    }
  }
  return out
}

function endOfInterpolation(body: string, from: number): number {
  let braces = 1
  let i = from
  for (; i < body.length && braces > 0; i++) {
    if (body[i] === '{') braces++
    else if (body[i] === '}') braces--
  }
  return i
}

function readEscape(body: string, at: number): [value: string | null, length: number] {
  const known = simple[body[at + 1] ?? '']
  if (known !== undefined) return [known, 2]
  // Bytes, not characters: several of them may make one character of UTF-8.
  byteEscapes.lastIndex = at
  const run = byteEscapes.exec(body)?.[0]
  if (run !== undefined) {
    const bytes = run
      .split('\\')
      .slice(1)
      .map(part => (part.startsWith('x') ? Number.parseInt(part.slice(1), 16) : Number.parseInt(part, 8)))
    if (bytes.some(byte => byte > 255)) return [null, 0]
    return [Buffer.from(bytes).toString('utf8'), run.length]
  }
  pointEscape.lastIndex = at
  const point = pointEscape.exec(body)
  if (!point) return [null, 0]
  const code = Number.parseInt((point[1] ?? point[2])!, 16)
  if (code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)) return [null, 0]
  return [String.fromCodePoint(code), point[0].length]
}

/**
 * The text of a `<<-` heredoc: the indent of the closing anchor is taken off every line, if every line has it.
 * @source hashicorp/hcl hcl/token/token.go unindentHeredoc
 */
export function unindentHeredoc(body: string, indent: string): string {
  if (indent === '') return body
  const lines = body.split('\n')
  lines.pop()
  if (!lines.every(line => line.startsWith(indent))) return body
  return lines.map(line => `${line.slice(indent.length)}\n`).join('')
}
