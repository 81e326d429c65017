import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runSuite, type SuiteResult } from './run-suite.ts'
import { suites } from './suites.ts'

const head = "import { test, describe } from 'node:test'\nimport assert from 'node:assert/strict'\n"

async function run(
  body: string,
  options: { silenceMs?: number; suite?: 'unit' | 'isolated' } = {},
): Promise<SuiteResult & { printed: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-run-suite-'))
  try {
    writeFileSync(join(folder, 'a.test.ts'), head + body)
    let printed = ''
    const result = await runSuite({
      name: 'example',
      cwd: folder,
      flags: suites[options.suite ?? 'unit'].flags,
      files: ['a.test.ts'],
      silenceMs: options.silenceMs ?? 20_000,
      print: text => {
        printed += text
      },
    })
    return { ...result, printed }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const [rule, body, passed, failed, says] of [
  [
    'tests are counted, suites are not',
    "describe('s', () => { test('a', () => {}); test('b', () => {}) })",
    2,
    0,
    null,
  ],
  [
    'a failure is printed with its place and reason',
    "test('bad', () => assert.equal(1, 2))",
    0,
    1,
    /✖ bad\n.*a\.test\.ts:3/,
  ],
  [
    'a failure inside a suite is counted once',
    "describe('s', () => { test('bad', () => assert.fail('x')) })",
    0,
    1,
    /✖ bad/,
  ],
  ['a test that calls process.exit(0) fails the run', "test('a', () => process.exit(0))", 0, 1, /without a summary/],
  [
    'an error after the end of a test fails the run',
    "test('a', () => { setTimeout(() => { throw new Error('late') }, 10) }); test('b', () => new Promise(r => setTimeout(r, 100)))",
    2,
    1,
    /exit code|late/,
  ],
  ['an exit code set by a test fails the run', "test('a', () => { process.exitCode = 3 })", 1, 1, /exit code 3/],
  ['a file that throws is one failed test', "throw new Error('top')", 0, 1, /top/],
] as const) {
  test(`run: ${rule}`, async () => {
    const result = await run(body)
    assert.deepEqual({ passed: result.passed, failed: result.failed }, { passed, failed })
    if (says) assert.match(result.printed, says)
  })
}

for (const suite of ['unit', 'isolated'] as const) {
  test(`run: a test that spins is killed with its group (${suite})`, async () => {
    const result = await run("test('spins', () => { for (;;); })", { silenceMs: 3000, suite })
    assert.deepEqual({ passed: result.passed, failed: result.failed }, { passed: 0, failed: 1 })
    assert.match(result.printed, /after 3 s of silence/)
  })
}

test('run: a server left open does not hold an isolated run', async () => {
  const body = "import { createServer } from 'node:net'\ntest('a', () => new Promise(r => createServer().listen(0, r)))"
  const result = await run(body, { suite: 'isolated' })
  assert.deepEqual({ passed: result.passed, failed: result.failed }, { passed: 1, failed: 0 })
})

test('run: a skipped test is not counted as passed and keeps its reason', async () => {
  const result = await run("test('a', { skip: 'needs Go' }, () => {}); test('b', () => {})")
  assert.deepEqual([result.passed, result.failed, [...result.skipped]], [1, 0, [['needs Go', 1]]])
})

test('run: a file with a process of its own that ends in the middle fails the run', async () => {
  const body = "test('a', () => {}); test('b', () => process.exit(0)); test('c', () => {})"
  const result = await run(body, { suite: 'isolated' })
  assert.equal(result.failed, 1)
  assert.match(result.printed, /some tests of a\.test\.ts were not told of/)
})

test('run: a file whose end was lost once is run again, and counted once', async () => {
  const body = `import { existsSync, writeFileSync } from 'node:fs'
test('a', () => {})
test('b', () => {
  if (existsSync('marker')) return
  writeFileSync('marker', '')
  process.exit(0)
})`
  const result = await run(body, { suite: 'isolated' })
  assert.deepEqual([result.passed, result.failed], [2, 0])
  assert.match(result.printed, /not all of a\.test\.ts was told; run again/)
})
