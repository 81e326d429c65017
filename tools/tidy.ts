import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exceptions } from './tidy.exceptions.ts'
import { excuse, rules } from './tidy/judge.ts'
import { functionSizes } from './tidy/sizes.ts'
import { readTree } from './tidy/tree.ts'

// The house rules (docs/architecture.md) as a program. Names the file, the rule and what to use instead.

const root = dirname(import.meta.dirname)
const tree = readTree(root)
const folders = ['src', 'test', 'tools', 'bench'].filter(
  folder => existsSync(join(root, folder)) && [...tree.sources.keys()].some(path => path.startsWith(`${folder}/`)),
)
const findings = excuse([...rules.flatMap(rule => rule(tree)), ...functionSizes(root, folders)], exceptions)
for (const { path, line, rule, text } of findings) process.stdout.write(`${path}:${line} [${rule}] ${text}\n`)
process.stdout.write(
  findings.length === 0 ? `tidy: ${tree.sources.size} files\n` : `tidy: ${findings.length} findings\n`,
)
process.exitCode = findings.length === 0 ? 0 : 1
