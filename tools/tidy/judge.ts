import type { Exception } from '../tidy.exceptions.ts'
import { cycles, deadFiles, layers, packages, workerNames } from './imports.ts'
import { dependencies, ledger } from './ledger.ts'
import { fileSizes } from './sizes.ts'
import type { Finding, Tree } from './tree.ts'
import { words } from './words.ts'

/** All rules that need nothing but the tree. */
export const rules: readonly ((tree: Tree) => Finding[])[] = [
  layers,
  packages,
  cycles,
  deadFiles,
  workerNames,
  words,
  fileSizes,
  ledger,
  dependencies,
]

/** What remains after the exceptions, and a finding for each exception that excused nothing. */
export function excuse(findings: readonly Finding[], exceptions: readonly Exception[]): Finding[] {
  const used = new Set<Exception>()
  const left = findings.filter(finding => {
    const exception = exceptions.find(
      e =>
        e.rule === finding.rule && (e.path.endsWith('/') ? finding.path.startsWith(e.path) : finding.path === e.path),
    )
    if (exception) used.add(exception)
    return !exception
  })
  for (const exception of exceptions) {
    if (!used.has(exception)) {
      left.push({
        rule: 'exceptions',
        path: 'tools/tidy.exceptions.ts',
        line: 1,
        text: `${exception.rule} for ${exception.path} excuses nothing`,
      })
    }
  }
  return left
}
