import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { PoolConfig } from 'pg'
import type { ConnectionSettings } from '../driver.ts'
import { DatabaseFailure, detail, fillUrl, isOn } from '../driver.ts'

/** `prefer`: encrypted when the server can, as libpq does when nobody says. */
export type PostgresTls = 'off' | 'prefer' | ConnectionOptions
export type PostgresSettings = {
  readonly login: Pick<PoolConfig, 'host' | 'port' | 'user' | 'password' | 'database' | 'application_name' | 'options'>
  readonly tls: PostgresTls
}

/** What says how to reach the server; everything else is a parameter of the session. */
const known = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']
/** What drivers in Go and C take and ours has no use for. */
const ignored =
  /^(?:connect_timeout|gssencmode|channel_binding|sslsni|sslnegotiation|target_session_attrs|fallback_application_name|keepalives.*|tcp_user_timeout|pool_.*|default_query_exec_mode|statement_cache_.*|description_cache_capacity|require_auth)$/
const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/**
 * From `connection_url`, a URL or libpq's `host=db user=x`, and the TLS fields beside it.
 * @throws DatabaseFailure naming what can't be
 * @source PostgreSQL libpq "Connection Strings"; openbao plugins/database/postgresql
 */
export function postgresSettings({ details, password }: ConnectionSettings): PostgresSettings {
  const url = detail(details, 'connection_url')
  if (url === '') throw new DatabaseFailure('refused', 'connection_url cannot be empty')
  const values = { username: detail(details, 'username'), password }
  const pairs = /^postgres(?:ql)?:\/\//.test(url)
    ? urlPairs(url, values, isOn(details, 'disable_escaping'))
    : keyValues(url, values)
  const mode = pairs.get('sslmode') ?? ''
  if (mode !== '' && !modes.includes(mode))
    throw new DatabaseFailure('refused', `sslmode is none of ${modes.join(', ')}`)
  const session = [...pairs].filter(([name]) => !known.includes(name) && !ignored.test(name))
  const options = session.filter(([name]) => name !== 'application_name' && name !== 'options')
  return {
    login: {
      host: pairs.get('host') ?? pairs.get('hostaddr') ?? 'localhost',
      port: Number(pairs.get('port') ?? 5432),
      user: pairs.get('user') ?? values.username,
      password: pairs.get('password') ?? password,
      database: pairs.get('dbname') ?? pairs.get('user') ?? values.username,
      application_name: pairs.get('application_name') ?? 'vault',
      options: [
        pairs.get('options') ?? '',
        // What our quoting and the times that we write go by.
        '-c standard_conforming_strings=on -c timezone=UTC',
        ...options.map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, match => `\\${match}`)}`),
      ]
        .join(' ')
        .trim(),
    },
    tls: tlsOf(mode, pairs, details),
  }
}

type Pairs = ReadonlyMap<string, string>
type Values = { readonly username: string; readonly password: string }

function urlPairs(template: string, values: Values, isRaw: boolean): Pairs {
  const escape = isRaw ? (value: string) => value : encodeURIComponent
  const filled = fillUrl(template, { username: escape(values.username), password: escape(values.password) })
  if (!URL.canParse(filled)) throw new DatabaseFailure('refused', 'connection_url is no URL of one host')
  const url = new URL(filled)
  const pairs = new Map<string, string>()
  const add = (name: string, value: string): void => {
    if (value !== '') pairs.set(name, decoded(value))
  }
  add('user', url.username)
  add('password', url.password)
  add('host', url.hostname.replace(/^\[(.*)\]$/, '$1'))
  add('port', url.port)
  add('dbname', url.pathname.slice(1))
  for (const [name, value] of url.searchParams) pairs.set(name, value)
  return pairs
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new DatabaseFailure('refused', 'connection_url holds a % that is no escape')
  }
}

// Values are filled in after the parse: what they hold can't be a key.
function keyValues(text: string, values: Values): Pairs {
  const pairs = new Map<string, string>()
  for (const [, name, quoted, plain] of text.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))/g)) {
    const value = quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1')
    pairs.set(name!, fillUrl(value, values))
  }
  if (pairs.size === 0) throw new DatabaseFailure('refused', 'connection_url is neither a URL nor key=value pairs')
  return pairs
}

function tlsOf(mode: string, pairs: Pairs, details: ConnectionSettings['details']): PostgresTls {
  const ca = detail(details, 'tls_ca') || file(pairs.get('sslrootcert'))
  const cert = detail(details, 'tls_certificate') || file(pairs.get('sslcert'))
  const key = detail(details, 'private_key') || file(pairs.get('sslkey'))
  if (mode === 'disable') return 'off'
  const own = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  const hasOwn = ca !== '' || cert !== ''
  if (!hasOwn && ['', 'allow', 'prefer'].includes(mode)) return 'prefer'
  const isAnyHost = mode === 'verify-ca' || (mode === 'require' && ca !== '')
  if (isAnyHost) return { ...own, rejectUnauthorized: true, checkServerIdentity: () => undefined }
  return { ...own, rejectUnauthorized: mode === 'verify-full' || ca !== '' }
}

function file(path: string | undefined): string {
  if (path === undefined || path === '' || path === 'system') return ''
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new DatabaseFailure('refused', `a file that connection_url names can't be read: ${path}`)
  }
}
