import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes what is generated in the tree: `docs/reference/compatibility.md` from the ledger. `--check` only compares. */
const root = join(import.meta.dirname, '..')
const target = join(root, 'docs/reference/compatibility.md')

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

function render(): string {
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

const text = render()
if (process.argv.includes('--check')) {
  let now = ''
  try {
    now = readFileSync(target, 'utf8')
  } catch {
    // Not there yet: it differs.
  }
  if (now !== text) {
    process.stderr.write(
      'docs/reference/compatibility.md is not what the ledger says: run sh bin/pinned tools/generate.ts\n',
    )
    process.exitCode = 1
  }
} else writeFileSync(target, text)
