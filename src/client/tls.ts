import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import type { TlsSettings } from './environment.ts'

/** What node:tls takes of a client's settings. */
export type TlsClientOptions = {
  readonly ca?: string[]
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly rejectUnauthorized: boolean
  readonly minVersion: 'TLSv1.2'
}

export class TlsSettingsError extends Error {
  override readonly name = 'TlsSettingsError'
}

/**
 * Reads the files that the settings name. Without any CA the system's certificates count, as for Go programs.
 * @throws TlsSettingsError naming the file or the setting that is missing.
 */
export function tlsClientOptions(settings: TlsSettings): TlsClientOptions {
  if ((settings.clientCert === undefined) !== (settings.clientKey === undefined)) {
    throw new TlsSettingsError('both client cert and client key must be provided')
  }
  return {
    ca: authorities(settings),
    ...(settings.clientCert && { cert: readPem('client certificate', settings.clientCert) }),
    ...(settings.clientKey && { key: readPem('client key', settings.clientKey) }),
    ...(settings.serverName && { servername: settings.serverName }),
    rejectUnauthorized: settings.skipVerify !== true,
    minVersion: 'TLSv1.2',
  }
}

// The order of the Go client: one file, then PEM text, then a folder.
function authorities(settings: TlsSettings): string[] {
  if (settings.caCert) return [readPem('CA certificate', settings.caCert)]
  if (settings.caBytes) return [pem('CA certificate bytes', settings.caBytes)]
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

const isPem = (text: string): boolean => text.includes('-----BEGIN ')
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
