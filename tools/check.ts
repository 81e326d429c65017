import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

export type Check = { name: string; ok: boolean; output: string }

const folders = ['src', 'test', 'tools', 'bench']

/** Types, lint, format, the house rules and the page made from the ledger; each is one check. Two run at a time. */
export async function runChecks(root: string): Promise<Check[]> {
  const present = folders.filter(folder => hasCode(root, folder))
  const bin = (name: string): string => join(root, 'node_modules', '.bin', name)
  const wanted: [name: string, command: string, args: string[]][] = [
    ['types', bin('tsc'), ['-p', '.', '--pretty', 'false']],
    ['lint', bin('oxlint'), ['-c', '.oxlintrc.json', '--quiet', ...present]],
    ['format', bin('biome'), ['format', '--colors=off', '--reporter=summary', ...present]],
    ['tidy', process.execPath, ['--no-warnings', join(import.meta.dirname, 'tidy.ts')]],
    ['ledger', process.execPath, ['--no-warnings', join(import.meta.dirname, 'generate.ts'), '--check']],
  ]
  const done: Check[] = []
  for (let at = 0; at < wanted.length; at += 2) {
    done.push(
      ...(await Promise.all(wanted.slice(at, at + 2).map(([name, command, args]) => run(root, name, command, args)))),
    )
  }
  return done
}

function hasCode(root: string, folder: string): boolean {
  try {
    return readdirSync(join(root, folder), { recursive: true }).some(path => String(path).endsWith('.ts'))
  } catch {
    return false
  }
}

const outputMax = 64 * 1024
const timeoutMs = 300_000

function run(root: string, name: string, command: string, args: readonly string[]): Promise<Check> {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    let output = ''
    const take = (text: string): void => {
      if (output.length < outputMax) output += text
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.once('error', error => resolve({ name, ok: false, output: error.message }))
    child.once('close', code => {
      const ok = code === 0
      resolve({ name, ok, output: ok ? '' : output.trim() || `ended with exit code ${code}` })
    })
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const checks = await runChecks(dirname(import.meta.dirname))
  for (const check of checks)
    process.stdout.write(check.ok ? `${check.name}: fine\n` : `${check.name}:\n${check.output}\n`)
  process.exitCode = checks.every(check => check.ok) ? 0 : 1
}
