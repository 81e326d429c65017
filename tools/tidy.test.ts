import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cycles, deadFiles, layers, packages, workerNames } from './tidy/imports.ts'
import { excuse } from './tidy/judge.ts'
import { dependencies, ledger } from './tidy/ledger.ts'
import { fileSizes } from './tidy/sizes.ts'
import { readSource } from './tidy/source.ts'
import type { Finding, Tree } from './tidy/tree.ts'
import { words } from './tidy/words.ts'

function tree(files: Record<string, string>, more: Partial<Tree> = {}): Tree {
  const sources = new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]))
  return { sources, ledgers: new Map(), packageJson: {}, dependenciesPage: '', ...more }
}

const found = (findings: readonly Finding[]): string[] => findings.map(f => `${f.path}:${f.line} ${f.text}`)

const imports = (from: string, ...specifiers: string[]): Tree => {
  const text = specifiers.map(specifier => `import { x } from '${specifier}'`).join('\n')
  const targets = specifiers.filter(s => s.startsWith('#')).map(s => [`src/${s.slice(1)}`, ''] as const)
  return tree({ [from]: text, ...Object.fromEntries(targets) })
}

for (const [rule, from, to, fault] of [
  ['a lower floor may be imported', 'src/core/policy/a.ts', '#ground/base/b.ts', null],
  [
    'a higher floor may not',
    'src/ground/base/a.ts',
    '#protocol/b.ts',
    'protocol stands on a higher floor than ground/base',
  ],
  ['an earlier room of core may be imported', 'src/core/barrier/a.ts', '#core/seal/b.ts', null],
  [
    'a later room of core may not',
    'src/core/seal/a.ts',
    '#core/barrier/b.ts',
    'core/barrier stands after core/seal in the order of core',
  ],
  ['an earlier room of ground may be imported', 'src/ground/process/a.ts', '#ground/base/b.ts', null],
  [
    'rooms of one floor are strangers',
    'src/kube/a.ts',
    '#protocol/b.ts',
    'kube and protocol are strangers on one floor',
  ],
  [
    'engines are strangers to core',
    'src/engines/kv/a.ts',
    '#core/policy/b.ts',
    'engines/kv and core/policy are strangers on one floor',
  ],
  [
    'engines are strangers to each other',
    'src/engines/kv/a.ts',
    '#engines/pki/b.ts',
    'engines/kv and engines/pki are strangers on one floor',
  ],
  [
    'apps are strangers to each other',
    'src/apps/agent/a.ts',
    '#apps/server/b.ts',
    'apps/agent and apps/server are strangers on one floor',
  ],
  ['an app may import everything below', 'src/apps/agent/a.ts', '#delivery/recipe.ts', null],
  ['sinks see the recipe', 'src/delivery/sinks/a.ts', '#delivery/recipe.ts', null],
  [
    'the recipe does not see sinks',
    'src/delivery/recipe.ts',
    '#delivery/sinks/a.ts',
    'delivery/sinks stands after delivery in the order of delivery',
  ],
  ['main imports the table', 'src/main.ts', '#commands.ts', null],
  [
    'a pure test obeys the layers',
    'src/client/a.test.ts',
    '#core/policy/b.ts',
    'core/policy stands on a higher floor than client',
  ],
  ['an isolated test joins rooms', 'src/client/a.isolated.test.ts', '#core/policy/b.ts', null],
  ['the whole server is there for tests of engines', 'src/engines/kv/a.test.ts', '#core/testing/b.ts', null],
  [
    'the whole server for tests is for tests',
    'src/apps/server/a.ts',
    '#core/testing/b.ts',
    'product code imports src/core/testing/b.ts, which is for tests',
  ],
  ['product code imports no test', 'src/client/a.ts', '#client/b.test.ts', 'product code imports src/client/b.test.ts'],
] as const) {
  test(`layers: ${rule}`, () => {
    assert.deepEqual(found(layers(imports(from, to))), fault === null ? [] : [`${from}:1 ${fault}`])
  })
}

test('layers: a file outside the written rooms is found', () => {
  const findings = layers(tree({ 'src/core/x.ts': '', 'src/misc/y.ts': '', 'src/engines/z.ts': '' }))
  assert.deepEqual(found(findings).length, 3)
})

test('layers: an import of what is not there is found, also in a later line and by import()', () => {
  const text = "import type {\n  A,\n} from '#core/policy/gone.ts'\nconst b = await import('./gone.ts')\n"
  assert.deepEqual(found(layers(tree({ 'src/core/policy/a.ts': text }))), [
    'src/core/policy/a.ts:3 imports #core/policy/gone.ts, which is not there',
    'src/core/policy/a.ts:4 imports ./gone.ts, which is not there',
  ])
})

test('layers: another room is imported by its # name', () => {
  const findings = layers(
    tree({ 'src/core/policy/a.ts': "import { b } from '../seal/b.ts'", 'src/core/seal/b.ts': '' }),
  )
  assert.deepEqual(found(findings), ['src/core/policy/a.ts:1 another room is imported as #core/seal/b.ts'])
})

test('imports in strings, comments and templates are not imports', () => {
  const text = "// import a from './a.ts'\nconst s = `import b from './b.ts' ${c('x')}`\nconst r = /from '/\n"
  assert.deepEqual(readSource('src/x.ts', text).imports, [])
})

test('packages: a development dependency in product code is found, a wrapped one outside its room too', () => {
  const packageJson = { dependencies: { pkijs: '1' }, devDependencies: { 'fast-check': '1' } }
  const text = "import { a } from 'fast-check'\nimport { b } from 'pkijs'\nimport { c } from 'node:fs'\n"
  const findings = packages(
    tree({ 'src/core/seal/a.ts': text, 'src/ground/crypto/a.ts': "import 'pkijs'" }, { packageJson }),
  )
  assert.deepEqual(found(findings), [
    'src/core/seal/a.ts:1 fast-check is no dependency in package.json (built-ins need node:)',
    'src/core/seal/a.ts:2 pkijs is wrapped in ground/crypto; use that',
  ])
})

test('cycles: a circle of types is found once', () => {
  const files = {
    'src/core/seal/a.ts': "import type { B } from './b.ts'",
    'src/core/seal/b.ts': "import type { C } from './c.ts'",
    'src/core/seal/c.ts': "import type { A } from './a.ts'",
  }
  assert.deepEqual(found(cycles(tree(files))), [
    'src/core/seal/c.ts:1 src/core/seal/a.ts → src/core/seal/b.ts → src/core/seal/c.ts → src/core/seal/a.ts',
  ])
})

test('dead files: what nobody imports is found, entries, tests and workers are not', () => {
  const files = {
    'src/main.ts': "import { a } from '#core/seal/a.ts'",
    'src/core/seal/a.ts': '',
    'src/core/seal/dead.ts': '',
    'src/core/seal/a.test.ts': '',
    'src/core/seal/b.worker.ts': '',
    'src/core/seal/c.contract.ts': '',
  }
  assert.deepEqual(found(deadFiles(tree(files))), [
    'src/core/seal/dead.ts:1 nobody imports it',
    'src/core/seal/c.contract.ts:1 nobody imports it',
  ])
})

test('workers: two with one base name would overwrite each other in dist', () => {
  assert.equal(
    workerNames(tree({ 'src/a/x.worker.ts': '', 'src/b/x.worker.ts': '', 'src/b/y.worker.ts': '' })).length,
    1,
  )
})

for (const [rule, text, want] of [
  ['a clock', 'const t = Date.now()', 'Date.now: world.clock (ground/base/clock.ts)'],
  ['a timer', 'setTimeout(f, 1)', 'setTimeout: world.clock (ground/base/clock.ts)'],
  ['chance', 'Math.random()', 'Math.random: world.entropy (ground/base/entropy.ts)'],
  ['the environment', 'process.env.HOME', 'process.env: take settings from the app that read them'],
  ['the console', 'console.log(1)', 'console.: world.log (ground/base/log.ts), or the terminal of the app'],
  ['a cast to any', 'x as any', 'as any: parse into a type at the border'],
  ['a default export', 'export default 1', 'export default: a named export'],
  ['a barrel', "export * from './b.ts'", 'export *: import from the file that defines it'],
  ['an open note', '// TODO later', 'TODO: do it now or open an issue'],
  [
    'a child process',
    "import { spawn } from 'node:child_process'",
    'node:child_process: ground/process/child.ts (clean environment, bounded output, group kill)',
  ],
  ['nothing in a string or comment', "const s = 'Date.now()' // Math.random", null],
  [
    'nothing in a template, but its expressions',
    '`Date.now() ${Math.random()}`',
    'Math.random: world.entropy (ground/base/entropy.ts)',
  ],
  ['nothing in a regular expression', 'const r = /[/"]console.x/.test(a) / 2', null],
] as const) {
  test(`words: ${rule} is found in product code`, () => {
    const findings = words(tree({ 'src/core/seal/a.ts': `\n${text}\n` }))
    assert.deepEqual(found(findings), want === null ? [] : [`src/core/seal/a.ts:2 ${want}`])
  })
}

test('words: tests may use the clock and the console', () => {
  assert.deepEqual(words(tree({ 'src/core/seal/a.test.ts': 'Date.now(); console.log(process.env)' })), [])
})

test('sizes: a file over 500 lines is found', () => {
  assert.equal(fileSizes(tree({ 'src/a.ts': '\n'.repeat(500), 'src/b.ts': '\n'.repeat(501) })).length, 1)
})

const ledgerOf = (...rows: string[]): ReadonlyMap<string, string> =>
  new Map([['test/ledger/x.tsv', ['id\tstatus\ttest\tnote', ...rows, ''].join('\n')]])

for (const [rule, row, want] of [
  ['an exact title', 'a\tyes\tit opens\t', null],
  ['a row of a table test', 'a\tyes\tthe longest prefix wins\t', null],
  ['a generated title', 'a\tyes\tthe seal: shares must match\t', null],
  ['a test file', 'a\tyes\tsrc/a.test.ts\t', null],
  ['a test file and a title', 'a\tdiffers\tsrc/a.test.ts#anything\tbecause', null],
  ['no test for what is not there', 'a\tno\t-\tlater', null],
  ['a test that is not there', 'a\tyes\tit closes\t', 'there is no test named "it closes"'],
  ['a file that is not there', 'a\tyes\tsrc/b.test.ts\t', 'there is no test named "src/b.test.ts"'],
  ['a yes without a test', 'a\tyes\t-\t', 'there is no test named "-"'],
  ['a difference without a note', 'a\tdiffers\tit opens\t', 'a row with status differs says how and why in its note'],
  ['an unknown status', 'a\tmaybe\tit opens\tx', 'status maybe is none of yes, differs, no'],
] as const) {
  test(`ledger: ${rule}`, () => {
    const text =
      "test('it opens', f); for (const [n] of [['the longest prefix wins']]) test(n, f); test(`the seal: ${n}`, f)"
    const findings = ledger(tree({ 'src/a.test.ts': text }, { ledgers: ledgerOf(row) }))
    assert.deepEqual(found(findings), want === null ? [] : [`test/ledger/x.tsv:2 ${want}`])
  })
}

test('ledger: an id stands once', () => {
  const findings = ledger(tree({}, { ledgers: ledgerOf('a\tno\t-\tx', 'a\tno\t-\tx') }))
  assert.deepEqual(found(findings), ['test/ledger/x.tsv:3 id a stands in test/ledger/x.tsv too'])
})

test('dependencies: each has a line', () => {
  const packageJson = { dependencies: { yaml: '1', ws: '1' } }
  assert.deepEqual(found(dependencies(tree({}, { packageJson, dependenciesPage: '- `yaml`: …' }))), [
    'docs/dependencies.md:1 `ws` has no line: what for, why this one',
  ])
})

test('exceptions: they excuse a file or a folder, and one that excuses nothing is found', () => {
  const finding = (path: string): Finding => ({ rule: 'clock', path, line: 3, text: 'x' })
  const left = excuse(
    [finding('src/a.ts'), finding('src/b/c.ts'), finding('src/d.ts')],
    [
      { rule: 'clock', path: 'src/a.ts', reason: 'r' },
      { rule: 'clock', path: 'src/b/', reason: 'r' },
      { rule: 'clock', path: 'src/gone.ts', reason: 'r' },
    ],
  )
  assert.deepEqual(found(left), ['src/d.ts:3 x', 'tools/tidy.exceptions.ts:1 clock for src/gone.ts excuses nothing'])
})
