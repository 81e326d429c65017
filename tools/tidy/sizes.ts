import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type Finding, type Tree } from './tree.ts'

export const fileLinesMax = 500

export function fileSizes(tree: Tree): Finding[] {
  const findings: Finding[] = []
  for (const { path, text } of tree.sources.values()) {
    const lines = text.split('\n').length - 1
    if (lines > fileLinesMax) {
      findings.push({
        rule: 'file-size',
        path,
        line: 1,
        text: `${lines} lines; at most ${fileLinesMax}: cut it by job`,
      })
    }
  }
  return findings
}

type Diagnostic = { message: string; filename: string; labels: { span: { line: number } }[] }

/**
 * Functions over 70 lines, counted by oxlint (tidy.oxlintrc.json): measuring them needs a parser. A contract suite is one
 * function that holds tests, and free.
 */
export function functionSizes(root: string, folders: readonly string[]): Finding[] {
  const run = spawnSync(
    join(root, 'node_modules/.bin/oxlint'),
    ['-c', join(import.meta.dirname, 'tidy.oxlintrc.json'), '--format', 'json', ...folders],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  )
  let diagnostics: Diagnostic[]
  try {
    diagnostics = (JSON.parse(run.stdout) as { diagnostics: Diagnostic[] }).diagnostics
  } catch {
    return [{ rule: 'function-size', path: 'tools/tidy', line: 1, text: `oxlint failed: ${run.stderr || run.stdout}` }]
  }
  return diagnostics.map(found => ({
    rule: 'function-size',
    path: found.filename,
    line: found.labels[0]?.span.line ?? 1,
    text: found.message,
  }))
}
