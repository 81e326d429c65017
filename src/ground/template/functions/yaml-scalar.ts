/** Where a scalar begins, and how its next lines are indented. Folding happens after column 80. */
export type Folding = { readonly column: number; readonly indent: number; readonly isAllowed: boolean }

const widthMax = 80

const isBreak = (char: string | undefined): boolean => char !== undefined && /[\n\r\u0085\u2028\u2029]/.test(char)
const isBlankOrEnd = (char: string | undefined): boolean =>
  char === undefined || char === ' ' || char === '\t' || isBreak(char)

/** What YAML 1.1 lets stand unescaped, as the emitter sees it: no tab, no character above U+FFFF. */
function isPrintable(char: string): boolean {
  const code = char.codePointAt(0)!
  if (code === 0x0a || (code >= 0x20 && code <= 0x7e)) return true
  return code >= 0xa0 && code < 0xfffe && code !== 0xfeff && !(code >= 0xd800 && code < 0xe000)
}

export type Analysis = {
  readonly isPlainAllowed: boolean
  readonly isSingleAllowed: boolean
  readonly isBlockAllowed: boolean
}

const startIndicators = new Set('#,[]{}&*!|>\'"%@`')

/** Which styles can hold the text in a block. @source gopkg.in/yaml.v2 emitterc.go analyze_scalar */
export function analyse(text: string): Analysis {
  if (text === '') return { isPlainAllowed: true, isSingleAllowed: true, isBlockAllowed: false }
  const chars = Array.from(text)
  let isIndicated = /^(?:---|\.\.\.)/.test(text)
  let isSpecial = false
  let isSpaceBroken = false
  let isBreakSpaced = false
  for (const [i, char] of chars.entries()) {
    const next = chars[i + 1]
    if (i === 0 && startIndicators.has(char)) isIndicated = true
    if (i === 0 && (char === '?' || char === '-') && isBlankOrEnd(next)) isIndicated = true
    if (char === ':' && isBlankOrEnd(next)) isIndicated = true
    if (char === '#' && isBlankOrEnd(chars[i - 1])) isIndicated = true
    if (!isPrintable(char)) isSpecial = true
    if (char === ' ' && isBreak(chars[i - 1])) isBreakSpaced = true
    if (isBreak(char) && chars[i - 1] === ' ') isSpaceBroken = true
  }
  const [first, last] = [chars[0]!, chars.at(-1)!]
  const isEdged = first === ' ' || last === ' ' || isBreak(first) || isBreak(last)
  const isRefused = isSpaceBroken || isSpecial
  return {
    isPlainAllowed: !isRefused && !isEdged && !isBreakSpaced && !isIndicated && !chars.some(isBreak),
    isSingleAllowed: !isRefused && !isBreakSpaced,
    isBlockAllowed: !isRefused && last !== ' ',
  }
}

/** Writes characters one by one and folds at spaces. */
function fold(
  text: string,
  lead: string,
  folding: Folding,
  escape: (char: string) => string,
  mayFold: (i: number, chars: readonly string[]) => boolean,
  continued: (next: string | undefined) => string,
): string {
  const chars = Array.from(text)
  let out = lead
  let column = folding.column + lead.length
  let isAfterSpace = false
  for (const [i, char] of chars.entries()) {
    if (char === ' ' && folding.isAllowed && !isAfterSpace && column > widthMax && mayFold(i, chars)) {
      const mark = continued(chars[i + 1])
      out += `\n${' '.repeat(folding.indent)}${mark}`
      column = folding.indent + mark.length
    } else {
      const written = escape(char)
      out += written
      column += Array.from(written).length
    }
    isAfterSpace = char === ' '
  }
  return out
}

export function plain(text: string, folding: Folding): string {
  const same = (char: string): string => char
  return fold(
    text,
    '',
    folding,
    same,
    (i, chars) => chars[i + 1] !== ' ',
    () => '',
  )
}

export function singleQuoted(text: string, folding: Folding): string {
  const isInside = (i: number, chars: readonly string[]): boolean =>
    i > 0 && i < chars.length - 1 && chars[i + 1] !== ' '
  return `${fold(
    text,
    "'",
    folding,
    char => (char === "'" ? "''" : char),
    isInside,
    () => '',
  )}'`
}

const escapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\u0007': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\u001b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\u0085': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
}

function escaped(char: string): string {
  const known = escapes[char]
  if (known !== undefined) return known
  if (isPrintable(char)) return char
  const code = char.codePointAt(0)!
  const hex = code.toString(16).toUpperCase()
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

export function doubleQuoted(text: string, folding: Folding): string {
  const isInside = (i: number, chars: readonly string[]): boolean => i > 0 && i < chars.length - 1
  return `${fold(text, '"', folding, escaped, isInside, next => (next === ' ' ? '\\' : ''))}"`
}

/** A literal block, with its chomping mark. */
export function literal(text: string, indent: number): string {
  const hint = text.startsWith(' ') || isBreak(text[0]) ? '2' : ''
  const chomp = !isBreak(text.at(-1)) ? '-' : text.length === 1 || isBreak(text.at(-2)) ? '+' : ''
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n')
  const prefix = ' '.repeat(indent)
  return `|${hint}${chomp}\n${lines.map(line => (line === '' ? '' : prefix + line)).join('\n')}`
}
