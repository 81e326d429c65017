/** The longest line of prose and help. */
export const lineWidth = 78

// A line that holds one word longer than the width costs this much more: it can't be helped, but isn't chosen.
const overlongPenalty = 100_000

/**
 * Breaks a paragraph so that the lines are as even as can be: the sum of the squares of what is missing at each line's
 * end is smallest, the last line not counted. Line feeds count as blanks, double blanks stay.
 * @source kr/text wrap.go; scripts compare these texts, so the same lines must come out
 */
export function wrap(text: string, width: number = lineWidth): string {
  const words = text.trim().replaceAll('\n', ' ').split(' ')
  const n = words.length
  const lengths = words.map(word => Buffer.byteLength(word))
  const before = [0]
  for (const length of lengths) before.push((before.at(-1) ?? 0) + length)
  const lineLength = (from: number, to: number): number => (before[to] ?? 0) - (before[from] ?? 0) + (to - from - 1)
  const cost = new Array<number>(n).fill(Number.POSITIVE_INFINITY)
  const next = new Array<number>(n).fill(n)
  for (let i = n - 1; i >= 0; i--) {
    if (lineLength(i, n) <= width || i === n - 1) {
      cost[i] = 0
      continue
    }
    for (let j = i + 1; j < n; j++) {
      const missing = width - lineLength(i, j)
      const total = missing * missing + (cost[j] ?? 0) + (missing < 0 ? overlongPenalty : 0)
      if (total >= (cost[i] ?? 0)) continue
      cost[i] = total
      next[i] = j
    }
  }
  const lines: string[] = []
  for (let i = 0; i < n; i = next[i] ?? n) lines.push(words.slice(i, next[i]).join(' '))
  return lines.join('\n')
}

/** The same, each line moved in by `indent` blanks; the width is that of the whole line. */
export function wrapIndented(text: string, indent: number): string {
  const space = ' '.repeat(indent)
  return wrap(text, lineWidth - indent)
    .split('\n')
    .map(line => space + line)
    .join('\n')
}
