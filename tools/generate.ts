import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { secretAnnotations } from '#delivery/annotations/secrets.ts'
import { annotations, prefix } from '#delivery/annotations/table.ts'

/**
 * Writes what is generated in the tree, `docs/reference/`: compatibility.md from the ledger, annotations.md from the
 * injector's tables. `--check` only compares.
 */
const root = join(import.meta.dirname, '..')

type Row = { id: string; status: string; test: string; note: string }

function readRows(file: string): Row[] {
  return readFileSync(join(root, 'test/ledger', file), 'utf8')
    .split('\n')
    .slice(1)
    .filter(line => line.trim() !== '')
    .map(line => {
      const [id = '', status = '', test = '', note = ''] = line.split('\t')
      return { id, status, test, note }
    })
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

function compatibilityPage(): string {
  const files = readdirSync(join(root, 'test/ledger'))
    .filter(name => name.endsWith('.tsv'))
    .sort()
  const all = files.map(file => ({ file, rows: readRows(file) }))
  const count = (status: string): number =>
    all.reduce((sum, { rows }) => sum + rows.filter(row => row.status === status).length, 0)
  const lines = [
    '# Compatibility',
    '',
    'Made by `tools/generate.ts` from `test/ledger/`: one row for each fact of the systems that coffer replaces, and the',
    'test that shows it. `yes`: as there. `differs`: otherwise, on purpose; the note says how. `no`: not there, and said so',
    'when asked for.',
    '',
    `${count('yes')} yes, ${count('differs')} differs, ${count('no')} no.`,
  ]
  for (const { file, rows } of all) {
    lines.push('', `## ${file.replace(/\.tsv$/, '')}`, '', '| fact | status | note |', '| --- | --- | --- |')
    for (const row of rows) lines.push(`| ${cell(row.id)} | ${row.status} | ${cell(row.note)} |`)
  }
  return `${lines.join('\n')}\n`
}

function annotationsPage(): string {
  const once = Object.values(annotations).map(({ name, summary }) => [name, summary] as const)
  const named = Object.entries(secretAnnotations).map(([name, summary]) => [`${name}NAME`, summary] as const)
  const control = [
    ['agent-inject', 'Inject the agent into this pod; nothing else is looked at without it.'],
    ['agent-inject-status', 'Written by the injector; `injected` keeps it from doing it again.'],
  ] as const
  const table = (rows: readonly (readonly [string, string])[]): string[] => [
    '| annotation | meaning |',
    '| --- | --- |',
    ...rows.map(([name, summary]) => `| \`${prefix}${name}\` | ${cell(summary)} |`),
  ]
  return `${[
    '# Annotations',
    '',
    'What a pod may say to the injector, made by `tools/generate.ts` from `src/delivery/annotations/`. Values are texts;',
    'booleans are what Go takes for one. How the original differs is in [compatibility.md](compatibility.md).',
    '',
    '## Of the pod',
    '',
    ...table([...control, ...once]),
    '',
    '## Of one file',
    '',
    'NAME is the name of the file, and joins the annotations that belong together.',
    '',
    ...table(named),
  ].join('\n')}\n`
}

function write(name: string, text: string): void {
  const target = join(root, 'docs/reference', name)
  if (!process.argv.includes('--check')) return writeFileSync(target, text)
  if (existsSync(target) && readFileSync(target, 'utf8') === text) return
  process.stderr.write(`docs/reference/${name} is not what its source says: run sh bin/pinned tools/generate.ts\n`)
  process.exitCode = 1
}

write('compatibility.md', compatibilityPage())
write('annotations.md', annotationsPage())
