const short: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

// What Go's strconv.IsPrint refuses: controls, format characters, separators but for the ASCII space, unassigned.
const unprintable = /["\\]|\p{C}|[\p{Z}--[ ]]/gv

/** Text in double quotes as Go's `%q` writes it: upstream's error texts quote the offending input this way. */
export function goQuote(text: string): string {
  return `"${text.toWellFormed().replace(unprintable, escaped)}"`
}

function escaped(char: string): string {
  const known = short[char]
  if (known !== undefined) return known
  const code = char.codePointAt(0)!
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x1_0000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}
