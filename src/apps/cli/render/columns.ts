/** One line of a table; an empty cell prints as `n/a`. */
export type Row = readonly string[]

const glue = '    '
const emptyCell = 'n/a'

/**
 * Columns without headers: every cell trimmed and padded to its column, the last one of a row unpadded.
 * Widths count code points, as the original's do.
 * @source ryanuber/columnize columnize.go
 */
export function columns(rows: readonly Row[]): string {
  const cells = rows.map(row => row.map(cell => cell.trim() || emptyCell))
  const widths: number[] = []
  for (const row of cells) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell))
  }
  return cells
    .map(row => row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0))).join(glue))
    .join('\n')
}

/** The same under a first row of headers, each underlined by as many dashes as its UTF-8 bytes. */
export function table(headers: Row, rows: readonly Row[]): string {
  return columns([headers, headers.map(h => '-'.repeat(Buffer.byteLength(h.trim()))), ...rows])
}

function width(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

function pad(text: string, to: number): string {
  return text + ' '.repeat(Math.max(0, to - width(text)))
}
