import { quote } from './quote.ts'

/** The kinds of token; keywords are those of `keywords`. @source Go text/template/parse/lex.go */
export type TokenKind =
  | 'error'
  | 'bool'
  | 'char'
  | 'charConstant'
  | 'complex'
  | 'assign'
  | 'declare'
  | 'eof'
  | 'field'
  | 'identifier'
  | 'leftDelim'
  | 'leftParen'
  | 'number'
  | 'pipe'
  | 'rawString'
  | 'rightDelim'
  | 'rightParen'
  | 'space'
  | 'string'
  | 'text'
  | 'variable'
  | Keyword

const keywordList = [
  'block',
  'break',
  'continue',
  '.',
  'define',
  'else',
  'end',
  'if',
  'nil',
  'range',
  'template',
  'with',
] as const

export type Keyword = (typeof keywordList)[number]

export const keywords: ReadonlySet<string> = new Set(keywordList)

/** `at` is an index into the text (UTF-16 units), `line` counts from 1. */
export type Token = { readonly kind: TokenKind; readonly at: number; readonly text: string; readonly line: number }

/** A token as an error text shows it. */
export function describeToken(token: Token): string {
  if (token.kind === 'eof') return 'EOF'
  if (token.kind === 'error') return token.text
  if (keywords.has(token.kind)) return `<${token.text}>`
  if (Buffer.byteLength(token.text) > 10) return `${quote(Array.from(token.text).slice(0, 10).join(''))}...`
  return quote(token.text)
}
