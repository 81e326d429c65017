import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Flags } from '#ground/text/flags.ts'
import type { Context } from './context.ts'
import { CliError } from './ui.ts'

/**
 * PGP public keys as the server takes them: base64 of the binary key.
 * @param list paths of files, separated by commas; each armoured, in base64 or binary. Empty: null
 * @throws CliError 1
 */
export async function readPgpKeys(c: Context<Flags>, list: string): Promise<string[] | null> {
  if (list === '') return null
  return Promise.all(list.split(',').map(path => readPgpKey(c, path.trim())))
}

async function readPgpKey(c: Context<Flags>, path: string): Promise<string> {
  if (path.startsWith('keybase:')) {
    throw new CliError(1, `${path}: keys are not fetched from Keybase; name a file with the PGP public key`)
  }
  try {
    return pgpKeyBase64(await readFile(resolve(c.io.cwd, path)))
  } catch (error) {
    throw new CliError(1, `error reading PGP key: ${(error as Error).message}`, { cause: error })
  }
}

/** @source openbao helper/pgpkeys/flag.go ReadPGPFile; the armour is RFC 9580 section 6.2 */
export function pgpKeyBase64(key: Uint8Array): string {
  const text = Buffer.from(key).toString('latin1').trim()
  if (text.startsWith('-----BEGIN PGP')) {
    const lines = text.split(/\r?\n/)
    const blank = lines.findIndex(line => line.trim() === '')
    // The line that begins with `=` is the checksum.
    const body = lines.slice(blank + 1).filter(line => !line.startsWith('=') && !line.startsWith('-----'))
    return body.map(line => line.trim()).join('')
  }
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text)
  return isBase64 ? text : Buffer.from(key).toString('base64')
}
