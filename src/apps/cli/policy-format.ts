import { parseHcl } from '#ground/hcl/parse.ts'

/**
 * A policy in its usual form: two blanks a level, one blank around `=` and before `{`, no blanks at line ends, one line
 * feed at the end. Comments and the order of things stay. Texts over several lines are left alone.
 * @throws HclError when it isn't HCL
 */
export function formatPolicy(text: string): string {
  parseHcl(text)
  const out: string[] = []
  let depth = 0
  let heredoc: string | null = null
  for (const raw of text.replaceAll('\r\n', '\n').split('\n')) {
    if (heredoc !== null) {
      out.push(raw)
      if (raw.trim() === heredoc) heredoc = null
      continue
    }
    const line = raw.trim()
    const { bare, opened, closed, closesFirst } = scan(line)
    const level = Math.max(0, depth - closesFirst)
    out.push(line === '' ? '' : '  '.repeat(level) + spaced(line, bare))
    depth = Math.max(0, depth + opened - closed)
    heredoc = /<<-?([A-Za-z_]\w*)$/.exec(bare)?.[1] ?? null
  }
  return `${out
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`
}

type Scanned = { readonly bare: string; readonly opened: number; readonly closed: number; readonly closesFirst: number }

// The line with strings and comments blanked out, and how its brackets move the level.
function scan(line: string): Scanned {
  const bare = line
    .replace(/"(?:[^"\\]|\\.)*"/g, match => `"${'_'.repeat(match.length - 2)}"`)
    .replace(/(?:#|\/\/).*$/, match => ' '.repeat(match.length))
  const opened = (bare.match(/[[{]/g) ?? []).length
  const closed = (bare.match(/[\]}]/g) ?? []).length
  const closesFirst = /^[\]}\s,]+/.exec(bare)?.[0].replace(/[^\]}]/g, '').length ?? 0
  return { bare, opened, closed, closesFirst }
}

// Sets the blanks around the first `=` and before a `{` that ends the line.
function spaced(line: string, bare: string): string {
  const at = bare.indexOf('=')
  const key = at > 0 ? line.slice(0, at).trimEnd() : ''
  if (at > 0 && /^"?[\w-]+"?$/.test(key)) return `${key} = ${line.slice(at + 1).trimStart()}`
  if (!/\{\s*$/.test(bare) || bare.includes('=')) return line
  return line.replace(/^(\w+)\s+"/, '$1 "').replace(/\s*\{(\s*(?:#|\/\/).*)?$/, ' {$1')
}
