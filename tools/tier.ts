import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * What a test needs beyond Node. Use as `test('…', { skip: missing('go') }, …)`: `tools/test.ts` names the reason above
 * its last line, and counts the test as failed when `CI=true`.
 * @returns false when it is there, else the reason.
 */
export function missing(need: 'go' | 'root' | 'docker' | 'python3' | 'curl' | 'setpriv'): string | false {
  if (need === 'root') return process.getuid?.() === 0 ? false : 'needs root'
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  if (need === 'go') folders.push('/usr/local/go/bin')
  const found = folders.some(folder => isExecutable(join(folder, need)))
  return found ? false : `needs ${need === 'go' ? 'Go' : need} (no \`${need}\` on the PATH)`
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
