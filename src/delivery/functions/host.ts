import { readFileSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import { FunctionError } from '#ground/template/errors.ts'
import { define, type FunctionTable, functionTable } from '#ground/template/function.ts'

export type HostOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `file` reads only below it; null = anywhere that the agent may read. */
  readonly sandboxPath: string | null
  /** A file was read: it is watched from now on. */
  readonly onFile: (path: string) => void
}

const fileBytesMax = 10 * 1024 * 1024

function inSandbox(path: string, sandbox: string): boolean {
  const inside = relative(sandbox, path)
  return inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)
}

// Links are followed before the check: a link inside must not lead out.
function readChecked(path: string, sandbox: string | null): string {
  try {
    const real = realpathSync(path)
    if (sandbox !== null && !inSandbox(real, realpathSync(sandbox)))
      throw new FunctionError(`'${path}' is outside of sandbox`)
    const { size } = statSync(real)
    if (size > fileBytesMax) throw new FunctionError(`file '${path}' is larger than ${fileBytesMax} bytes`)
    return readFileSync(real, 'utf8')
  } catch (error) {
    if (error instanceof FunctionError) throw error
    throw new FunctionError(`file '${path}' can't be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`)
  }
}

/** The functions that see the machine: its environment and files. */
export function hostFunctions({ env, sandboxPath, onFile }: HostOptions): FunctionTable {
  return functionTable([
    define(
      'env',
      ['string'],
      'string',
      'The value of an environment variable; empty when it is not set.',
      name => env[name] ?? '',
    ),
    define('file', ['string'], 'string', 'The content of a file.', path => {
      if (path === '') return ''
      const content = readChecked(path, sandboxPath)
      onFile(path)
      return content
    }),
  ])
}
