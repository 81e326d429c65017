import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The text names the file or folder and the system's code. */
export class ConfigFilesError extends Error {
  override readonly name = 'ConfigFilesError'
}

/**
 * A file, or the `*.hcl` and `*.json` of a folder in the order of their names.
 * @throws ConfigFilesError
 */
export function readConfigFiles(path: string): { name: string; text: string }[] {
  try {
    const names = statSync(path).isDirectory()
      ? readdirSync(path)
          .filter(name => /\.(?:hcl|json)$/.test(name))
          .sort()
          .map(name => join(path, name))
      : [path]
    if (names.length === 0) throw new ConfigFilesError(`the folder ${path} has no .hcl or .json file`)
    return names.map(name => ({ name, text: readFileSync(name, 'utf8') }))
  } catch (error) {
    if (error instanceof ConfigFilesError) throw error
    throw new ConfigFilesError(`the configuration ${path} can not be read: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    })
  }
}
