import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { Entropy } from '#ground/base/entropy.ts'

/** The file that `login` writes and every other command reads; the same that Vault's CLI uses. */
export function tokenFilePath(
  env: Readonly<Record<string, string | undefined>>,
  configured: string | undefined,
): string {
  return configured ?? join(env['HOME'] ?? homedir(), '.vault-token')
}

/** @returns null when there is none. */
export async function readTokenFile(path: string): Promise<Secret | null> {
  try {
    const token = (await readFile(path, 'utf8')).trim()
    return token === '' ? null : new Secret(token)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Writes a private file whole: mode 0600 from its first byte, replaced by renaming. */
export async function writePrivately(entropy: Entropy, path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${entropy.base62(8)}.tmp`
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
