import { isAscii, isEscapedByte, toBytes } from './bytes.ts'
import { isPrint } from './quote.ts'

const html: Readonly<Record<string, string>> = {
  '\0': '\ufffd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
}

/** Go's `template.HTMLEscapeString`. */
export function escapeHtml(text: string): string {
  return text.replace(/[\0"'&<>]/g, char => html[char]!)
}

const js: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
}

/** Go's `template.JSEscapeString`. */
export function escapeJs(text: string): string {
  return text.replace(/[\u0000-\u001f\\'"<>&=]|[^\u0000-\u007f]/gu, char => {
    const code = char.codePointAt(0)!
    if (isEscapedByte(code)) return '\\uFFFD'
    return js[char] ?? (code >= 0x80 && isPrint(code) ? char : `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`)
  })
}

/** Go's `url.QueryEscape`: a space becomes `+`. */
export function escapeQuery(text: string): string {
  if (isAscii(text) && /^[A-Za-z0-9_.~-]*$/.test(text)) return text
  let out = ''
  for (const byte of toBytes(text)) {
    const char = String.fromCharCode(byte)
    if (byte === 0x20) out += '+'
    else if (/[A-Za-z0-9_.~-]/.test(char)) out += char
    else out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}
