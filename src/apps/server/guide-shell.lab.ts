import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const root = join(import.meta.dirname, '../../..')

export const guideText = (page: string): string => readFileSync(join(root, 'docs/guides', page), 'utf8')

/** What a page types, as one script: its console blocks, without the prompts. */
export function scriptOf(page: string): string {
  const guide = guideText(page)
  const blocks = [...guide.matchAll(/^```\n(\$ [^]*?)^```$/gm)].map(match => match[1]!)
  return blocks.join('').replaceAll(/^\$ /gm, '')
}

export type ShellEnd = { readonly code: number | null; readonly out: string; readonly err: string }

/** A folder, and a shell in it that finds the `coffer` of this checkout; gone at the end. */
export class Shell implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-guides-'))

  /** @param env all that it has beside PATH and HOME. */
  async run(script: string, env: Readonly<Record<string, string>>): Promise<ShellEnd> {
    const path = `${join(root, 'bin')}:${process.env['PATH'] ?? ''}`
    const child = spawn('sh', ['-eux', '-c', script], {
      cwd: this.folder,
      env: { PATH: path, HOME: this.folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [out, err, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>(resolve => child.once('exit', resolve)),
    ])
    return { code, out, err }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Runs a script in a folder of its own, as the root token. @returns what it said */
export async function runAsRoot(script: string, address: string): Promise<string> {
  using shell = new Shell()
  const { code, out, err } = await shell.run(script, { COFFER_ADDR: address, COFFER_TOKEN: 'root' })
  assert.equal(code, 0, err)
  return out
}
