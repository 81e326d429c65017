import { dirname } from 'node:path'
import { runChecks } from './check.ts'
import { runSuite } from './run-suite.ts'
import { filesOf, isSuiteName, type SuiteName, suites } from './suites.ts'

// `tools/test.ts`                     the checks, then unit and isolated: what `npm test` runs
// `tools/test.ts unit src/core …`     one suite, only below the named folders

const root = dirname(import.meta.dirname)
const [suiteArgument, ...under] = process.argv.slice(2)
if (suiteArgument !== undefined && !isSuiteName(suiteArgument)) {
  process.stderr.write(`no suite ${suiteArgument}: ${Object.keys(suites).join(', ')}, each with folders after it\n`)
  process.exit(2)
}

const print = (text: string): void => {
  process.stdout.write(text)
}
// So that the exit handlers kill what was started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
const isStrict = process.env['CI'] === 'true'
const chosen: readonly SuiteName[] = suiteArgument === undefined ? ['unit', 'isolated'] : [suiteArgument]
const total = { passed: 0, failed: 0 }
const notRun: string[] = []

if (suiteArgument === undefined) {
  for (const check of await runChecks(root)) {
    print(check.output === '' ? `check ${check.name}: fine\n` : `check ${check.name}:\n${check.output}\n`)
    if (!check.ok) total.failed++
  }
}
for (const name of chosen) {
  const suite = suites[name]
  const files = filesOf(name, root, under)
  const unable = suite.unable()
  if (files.length === 0) {
    notRun.push(`${name}: there are no such tests${under.length > 0 ? ` below ${under.join(', ')}` : ''}`)
    continue
  }
  if (unable !== null) {
    notRun.push(`${name} (${files.length} files): ${unable}`)
    if (isStrict) total.failed++
    continue
  }
  // A file may be named that needs none of it; that costs a look into the cache.
  await suite.prepare(line => print(`${name}: ${line}\n`))
  const result = await runSuite({ name, cwd: root, flags: suite.flags, files, silenceMs: suite.silenceMs, print })
  print(`${name}: ${result.passed} passed, ${result.failed} failed, ${files.length} files\n`)
  total.passed += result.passed
  total.failed += result.failed
  for (const [reason, tests] of result.skipped) {
    notRun.push(`${name}, ${tests} test${tests === 1 ? '' : 's'}: ${reason}`)
    if (isStrict) total.failed += tests
  }
}
for (const line of notRun) print(`not run: ${line}${isStrict ? ' (CI=true)' : ''}\n`)
print(`${total.passed} passed, ${total.failed} failed\n`)
// Nothing passed is no success. Not process.exit(): what is still in the pipe would be lost.
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
