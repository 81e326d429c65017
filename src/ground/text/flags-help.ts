import type { Flag, Flags } from './flags.ts'

/** Columns of a help text. */
const lineWidth = 78

/**
 * Breaks text into lines of at most `width` so that they are evenly filled, not greedily: the sum of the squared
 * blanks at the ends of all lines but the last is smallest. A longer word has a line of its own.
 * @source kr/text wrap.go, which lays out Vault's help
 */
export function wrapText(text: string, width: number): string[] {
  const words = text.trim().split(/[ \n]/)
  const lengths = words.map(word => Array.from(word).length)
  const count = words.length
  const cost = Array<number>(count).fill(2 ** 31 - 1)
  const next = Array<number>(count).fill(count)
  let remainder = lengths[count - 1]!
  for (let i = count - 1; i >= 0; i--) {
    if (i < count - 1) remainder += 1 + lengths[i]!
    if (remainder <= width) {
      cost[i] = 0
      continue
    }
    let line = lengths[i]!
    for (let j = i + 1; j < count; j++) {
      if (j > i + 1) line += 1 + lengths[j - 1]!
      const blank = width - line
      const total = blank * blank + cost[j]! + (line > width ? 1e5 : 0)
      if (total < cost[i]!) {
        cost[i] = total
        next[i] = j
      }
      // Every longer line costs more than this one: a help text has hundreds of words, not hundreds squared.
      if (line > 4 * width) break
    }
  }
  const lines: string[] = []
  for (let i = 0; i < count; i = next[i]!) lines.push(words.slice(i, next[i]).join(' '))
  return lines
}

function usageOf(flag: Flag<unknown>): string {
  let usage = flag.usage
  const aliases = (flag.aliases ?? []).map(alias => `"-${alias}"`)
  if (aliases.length > 0) usage += ` This is aliased as ${joined(aliases)}.`
  if (flag.defaultText !== '') usage += ` The default is ${flag.defaultText}.`
  if (flag.env !== undefined) usage += ` This can also be specified via the ${flag.env} environment variable.`
  return usage.replace(/\s+/g, ' ')
}

function joined(words: readonly string[]): string {
  if (words.length < 3) return words.join(' and ')
  return `${words.slice(0, -1).join(', ')}, and ${words[words.length - 1]}`
}

/** One flag's lines: name and example at column 2, the wrapped text at column 6. */
export function flagHelp(name: string, flag: Flag<unknown>): string {
  const head = flag.example === '' ? `  -${name}` : `  -${name}=<${flag.example}>`
  const lines = wrapText(usageOf(flag), lineWidth - 6).map(line => `      ${line}`)
  return `${head}\n${lines.join('\n')}`
}

/**
 * The flags of a command under their titles (`HTTP Options:`), sorted by name, hidden ones left out; a set without a
 * visible flag has no title.
 */
export function flagsHelp(sets: readonly { readonly title: string; readonly flags: Flags }[]): string {
  const parts: string[] = []
  for (const { title, flags } of sets) {
    const shown = Object.keys(flags)
      .filter(name => flags[name]!.isHidden !== true)
      .sort()
    if (shown.length > 0) parts.push(`${title}:`)
    for (const name of shown) parts.push(flagHelp(name, flags[name]!))
  }
  return parts.join('\n\n')
}
