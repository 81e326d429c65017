import { lineOf, type Source } from './source.ts'
import { type Finding, isProduct, type Tree } from './tree.ts'

type Ban = {
  readonly rule: string
  readonly pattern: RegExp
  /** Where it is looked for: code without strings and comments, or comments alone. */
  readonly where: 'code' | 'comments'
  readonly scope: 'product' | 'all'
  readonly instead: string
}

// Patterns are cut in two so that this file doesn't find itself.
const bans: readonly Ban[] = [
  {
    rule: 'notes',
    pattern: /\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/g,
    where: 'comments',
    scope: 'all',
    instead: 'do it now or open an issue',
  },
  {
    rule: 'unchecked',
    pattern: /@ts-(?:ignore|nocheck|expect-error)\b/g,
    where: 'comments',
    scope: 'all',
    instead: 'make the types say it',
  },
  {
    rule: 'unexplained',
    pattern: /\b(?:oxlint|eslint)-disable(?!.* -- \S)[^\n]*/g,
    where: 'comments',
    scope: 'all',
    instead: 'give the reason after ` -- `',
  },
  {
    rule: 'any',
    pattern: /\bas any\b|<any>/g,
    where: 'code',
    scope: 'all',
    instead: 'parse into a type at the border',
  },
  {
    rule: 'default-export',
    pattern: /\bexport\s+default\b|\bas\s+default\b/g,
    where: 'code',
    scope: 'all',
    instead: 'a named export',
  },
  {
    rule: 'barrel',
    pattern: /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\}\s*from\b)/g,
    where: 'code',
    scope: 'all',
    instead: 'import from the file that defines it',
  },
  {
    rule: 'environment',
    pattern: /\bprocess\s*\.\s*env\b/g,
    where: 'code',
    scope: 'product',
    instead: 'take settings from the app that read them',
  },
  {
    rule: 'clock',
    pattern: /\bDate\s*\.\s*now\b|\bnew Date\(\)|\bset(?:Timeout|Interval)\b|\bperformance\s*\.\s*now\b/g,
    where: 'code',
    scope: 'product',
    instead: 'world.clock (ground/base/clock.ts)',
  },
  {
    rule: 'chance',
    pattern: /\bMath\s*\.\s*random\b|\brandom(?:Bytes|UUID|FillSync|Int)\b|\bgetRandomValues\b/g,
    where: 'code',
    scope: 'product',
    instead: 'world.entropy (ground/base/entropy.ts)',
  },
  {
    rule: 'console',
    pattern: /\bconsole\s*\./g,
    where: 'code',
    scope: 'product',
    instead: 'world.log (ground/base/log.ts), or the terminal of the app',
  },
  {
    rule: 'exit',
    pattern: /\bprocess\s*\.\s*exit\s*\(/g,
    where: 'code',
    scope: 'product',
    instead: 'return the exit code to main.ts',
  },
]

const bannedModules: readonly { module: RegExp; instead: string }[] = [
  {
    module: /^node:child_process$/,
    instead: 'ground/process/child.ts (clean environment, bounded output, group kill)',
  },
  { module: /^node:https?$/, instead: 'ground/http (one front, one client; node:http refuses the verb LIST)' },
  { module: /^node:cluster$/, instead: 'one process; ground/compute for work' },
]

export function words(tree: Tree): Finding[] {
  return [...tree.sources.values()].flatMap(source => [...bannedWords(source), ...modules(source)])
}

function bannedWords(source: Source): Finding[] {
  const findings: Finding[] = []
  for (const ban of bans) {
    if (ban.scope === 'product' && !isProduct(source.path)) continue
    for (const match of source[ban.where].matchAll(ban.pattern)) {
      const line = lineOf(source.text, match.index)
      findings.push({ rule: ban.rule, path: source.path, line, text: `${match[0].trim()}: ${ban.instead}` })
    }
  }
  return findings
}

function modules(source: Source): Finding[] {
  if (!isProduct(source.path)) return []
  return source.imports.flatMap(entry =>
    bannedModules
      .filter(ban => ban.module.test(entry.specifier))
      .map(ban => ({
        rule: 'modules',
        path: source.path,
        line: entry.line,
        text: `${entry.specifier}: ${ban.instead}`,
      })),
  )
}
