import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Secret } from '#ground/base/secret.ts'
import { isJsonObject } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { textOf } from '#protocol/members.ts'

/** What `npm start` leaves for the CLI in its checkout: address and token belong together and are taken as a pair. */
export type CheckoutClient = {
  readonly path: string
  readonly address: string
  readonly token: Secret
  readonly caCert?: string
}

/** The folder that holds the program; a file of another checkout is never read. */
export function programRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  return /[/\\]src[/\\]apps[/\\]cli$/.test(here) ? dirname(dirname(dirname(here))) : dirname(here)
}

/** @returns null outside the program's own checkout, or when no server was started from it. */
export async function readCheckoutClient(cwd: string, root = programRoot()): Promise<CheckoutClient | null> {
  const inside = relative(root, cwd)
  if (inside.startsWith('..') || /[/\\]node_modules$/.test(root)) return null
  const path = join(root, '.coffer', 'client.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return null
  }
  const value = parseJson(text)
  const address = isJsonObject(value) ? textOf(value, 'address') : ''
  const token = isJsonObject(value) ? textOf(value, 'token') : ''
  if (address === '' || token === '') return null
  const caCert = isJsonObject(value) ? textOf(value, 'caCert') : ''
  return { path, address, token: new Secret(token), ...(caCert !== '' && { caCert }) }
}
