import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodeBase64 } from './base64.ts'
import { cidrContains, formatCidr, parseCidr } from './cidr.ts'
import { formatGoDurationNs, parseDurationSeconds, parseGoDuration } from './duration.ts'
import { boolFlag, parseFlags, parseGoBool, parseGoInt, stringFlag } from './flags.ts'
import { wrapText } from './flags-help.ts'
import { matchEndStars, matchGlob } from './glob.ts'
import { canonicalJson } from './json.ts'
import { parseJson } from './json-parse.ts'
import { goQuote } from './quote.ts'
import { formatRfc3339Nano, parseRfc3339 } from './time.ts'

type Row = { in: string; with?: string; out: string; err?: string }

// Recorded from Go and the libraries that Vault uses by tools/golden/text.
const golden = JSON.parse(readFileSync(new URL('./golden/text.json', import.meta.url), 'utf8')) as Record<string, Row[]>

const flags = { force: boolFlag({ usage: '' }), field: stringFlag({ usage: '' }) }

function readFlags(line: string): string {
  const { values, rest } = parseFlags(flags, line === '' ? [] : line.split(' '))
  return `${values.force}|${values.field}|${rest.join(',')}`
}

function contains(cidr: string, address: string): string {
  const block = parseCidr(cidr)
  return `${formatCidr(block)} ${cidrContains(block, address)}`
}

function readTime(text: string): string {
  const ms = parseRfc3339(text)
  if (ms === null) throw new Error('no time')
  return String(ms)
}

const readers: Readonly<Record<string, (text: string, other: string) => string>> = {
  duration: text => String(parseDurationSeconds(text)),
  goDuration: text => String(parseGoDuration(text)),
  durationString: text => formatGoDurationNs(Number(text)),
  base64: text => Buffer.from(decodeBase64(text)).toString('hex'),
  time: readTime,
  timeString: text => formatRfc3339Nano(Number(text)),
  quote: goQuote,
  int: text => String(parseGoInt(text)),
  bool: text => String(parseGoBool(text)),
  flags: readFlags,
  glob: (pattern, text) => String(matchGlob(pattern, text)),
  endStars: (pattern, text) => String(matchEndStars(pattern, text)),
  cidr: contains,
  canonical: text => canonicalJson(parseJson(text, { isTrailingIgnored: true })),
  wrap: text => wrapText(text, 30).join('\n'),
}

// Where the answer here is another one, and why.
const decidedHere: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Go's own flag type says "parse error"; Vault's says what ParseBool says.
  flags: {
    '-force=maybe':
      '^error: invalid boolean value "maybe" for -force: strconv.ParseBool: parsing "maybe": invalid syntax$',
  },
}

for (const [area, rows] of Object.entries(golden)) {
  for (const row of rows) {
    const name =
      row.with === undefined ? JSON.stringify(row.in) : `${JSON.stringify(row.in)}, ${JSON.stringify(row.with)}`
    const here = decidedHere[area]?.[row.in]
    test(`as Go does: ${area} of ${name}`, () => {
      const read = (): string => readers[area]!(row.in, row.with ?? '')
      if (here !== undefined) assert.match(outcome(read), new RegExp(here))
      else assert.equal(outcome(read), row.err === undefined ? wanted(area, row.out) : `error: ${row.err}`)
    })
  }
}

// Go writes 1e-09 where JavaScript writes 1e-9.
const wanted = (area: string, out: string): string => (area === 'duration' ? String(Number(out)) : out)

function outcome(read: () => string): string {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof Error)
    return `error: ${error.message}`
  }
}
