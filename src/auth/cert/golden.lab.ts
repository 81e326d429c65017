import { readFileSync } from 'node:fs'
import { join } from 'node:path'

// What OpenSSL made: tools/golden/x509/make.sh.

const folder = join(import.meta.dirname, 'golden')

export const pem = (name: string): string => readFileSync(join(folder, `${name}.pem`), 'utf8')

export const der = (name: string): Uint8Array =>
  new Uint8Array(Buffer.from(pem(name).replace(/-----[^-]+-----|\s/g, ''), 'base64'))

export const bytes = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)))
