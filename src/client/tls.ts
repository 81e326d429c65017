import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { Secret } from '#ground/base/secret.ts'
import type { ClientTls } from '#ground/http/dial.ts'
import type { TlsSettings } from './environment.ts'

export class TlsSettingsError extends Error {
  override readonly name = 'TlsSettingsError'
}

/**
 * Reads the files that the settings name. Without any CA the system's certificates count, as for Go programs.
 * @throws TlsSettingsError naming the file or the setting that is missing.
 */
export function clientTls(settings: TlsSettings): ClientTls {
  const { clientCert, clientKey, serverName } = settings
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw new TlsSettingsError('both client cert and client key must be provided')
  }
  return {
    ca: authorities(settings).join('\n'),
    ...(clientCert !== undefined && { certificate: readPem('client certificate', clientCert) }),
    ...(clientKey !== undefined && { key: new Secret(readPem('client key', clientKey)) }),
    ...(serverName !== undefined && { serverName }),
    rejectUnauthorized: settings.skipVerify !== true,
  }
}

// The order of the Go client: one file, then PEM text, then a folder.
function authorities(settings: TlsSettings): string[] {
  if (settings.caCert) return [readPem('CA certificate', settings.caCert)]
  if (settings.caBytes) return [pem('CA certificate bytes', decoded(settings.caBytes))]
  if (settings.caPath) return readFolder(settings.caPath)
  const system = getCACertificates('system')
  return system.length > 0 ? system : getCACertificates('default')
}

function readFolder(folder: string): string[] {
  try {
    const names = readdirSync(folder, { withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => entry.name)
      .sort()
    const found = names.map(name => readFileSync(join(folder, name), 'utf8')).filter(isPem)
    if (found.length > 0) return found
  } catch (cause) {
    throw new TlsSettingsError(`error loading CA folder ${folder}: ${reasonOf(cause)}`, { cause })
  }
  throw new TlsSettingsError(`error loading CA folder ${folder}: no certificates in PEM form`)
}

function readPem(what: string, path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new TlsSettingsError(`error loading ${what} ${path}: ${reasonOf(cause)}`, { cause })
  }
  return pem(`${what} ${path}`, text)
}

function pem(what: string, text: string): string {
  if (isPem(text)) return text
  throw new TlsSettingsError(`error loading ${what}: no PEM block found`)
}

// An injector hands on what its own setting holds: PEM, or base64 of it.
function decoded(text: string): string {
  if (isPem(text)) return text
  const inner = Buffer.from(text, 'base64').toString('utf8')
  return isPem(inner) ? inner : text
}

const isPem = (text: string): boolean => text.includes('-----BEGIN ')
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
