import { type Finding, isContract, isTest, type Tree } from './tree.ts'

const header = 'id\tstatus\ttest\tnote'

/**
 * A row's test is the exact title of a test, a row's name of a table test, `path/file.test.ts`, or
 * `path/file.test.ts#title` (the file must exist; the title may be generated).
 */
export function ledger(tree: Tree): Finding[] {
  const titles = testTitles(tree)
  const findings: Finding[] = []
  const ids = new Map<string, string>()
  for (const [path, text] of tree.ledgers) {
    const lines = text.replace(/\n$/, '').split('\n')
    if (lines[0] !== header)
      findings.push({ rule: 'ledger', path, line: 1, text: 'the first line is id, status, test, note' })
    for (const [index, row] of lines.entries()) {
      if (index === 0) continue
      const report = (text: string): number => findings.push({ rule: 'ledger', path, line: index + 1, text })
      const [id = '', status = '', test = '', note = '', ...more] = row.split('\t')
      if (id === '' || more.length > 0) report('a row is id, status, test, note, with tabs between')
      const other = ids.get(id)
      if (other) report(`id ${id} stands in ${other} too`)
      ids.set(id, path)
      if (!['yes', 'differs', 'no'].includes(status)) report(`status ${status} is none of yes, differs, no`)
      if (status !== 'yes' && note === '') report(`a row with status ${status} says how and why in its note`)
      if (status !== 'no' && !titles.has(test)) report(`there is no test named ${JSON.stringify(test)}`)
    }
  }
  return findings
}

type Titles = { has(test: string): boolean }

function testTitles(tree: Tree): Titles {
  const exact = new Set<string>()
  const patterns: RegExp[] = []
  for (const source of tree.sources.values()) {
    if (!isTest(source.path) && !isContract(source.path)) continue
    for (const literal of source.strings) {
      if (!literal.includes('\u0000')) exact.add(literal)
      // A generated title counts when enough of it is fixed.
      else if (literal.replaceAll('\u0000', '').length >= 8) {
        const fixed = literal.split('\u0000').map(part => RegExp.escape(part))
        patterns.push(new RegExp(`^${fixed.join('.+')}$`, 's'))
      }
    }
  }
  return {
    has(test) {
      const file = /^([\w./-]+\.ts)(#.+)?$/.exec(test)
      if (file) return tree.sources.has(file[1]!)
      return test !== '' && test !== '-' && (exact.has(test) || patterns.some(pattern => pattern.test(test)))
    },
  }
}

/** Each dependency has a line with its name in backquotes. */
export function dependencies(tree: Tree): Finding[] {
  const path = 'docs/dependencies.md'
  const page = tree.dependenciesPage
  if (page === null) return [{ rule: 'dependencies', path, line: 1, text: 'is missing' }]
  const { dependencies: runtime, devDependencies: development, optionalDependencies: optional } = tree.packageJson
  return Object.keys({ ...runtime, ...development, ...optional })
    .filter(name => !page.includes(`\`${name}\``))
    .map(name => ({ rule: 'dependencies', path, line: 1, text: `\`${name}\` has no line: what for, why this one` }))
}
