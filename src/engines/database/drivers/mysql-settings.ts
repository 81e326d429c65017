import { connect, isIP } from 'node:net'
import type { ConnectionOptions } from 'mysql2'
import { type ConnectionSettings, DatabaseFailure, detail, fillUrl, isOn } from '../driver.ts'

export type MySqlSettings = Pick<
  ConnectionOptions,
  'host' | 'port' | 'socketPath' | 'user' | 'password' | 'database' | 'ssl' | 'stream'
>

const problem = (text: string): DatabaseFailure => new DatabaseFailure('refused', text)

/**
 * From `connection_url` in the form of Go's driver: `{{username}}:{{password}}@tcp(db:3306)/app?tls=true`. Values are
 * filled in after the parse: they need no escapes, and what they hold can't be a host.
 * @throws DatabaseFailure
 * @source go-sql-driver/mysql dsn.go
 */
export function mysqlSettings({ details, password }: ConnectionSettings): MySqlSettings {
  const dsn = detail(details, 'connection_url')
  if (dsn === '') throw problem('connection_url cannot be empty')
  const slash = dsn.lastIndexOf('/')
  if (slash < 0) throw problem('connection_url has no "/": it is user:password@tcp(host:port)/database')
  const [database = '', query = ''] = dsn.slice(slash + 1).split('?')
  const before = dsn.slice(0, slash)
  const at = before.lastIndexOf('@')
  const login = at < 0 ? '' : before.slice(0, at)
  const colon = login.indexOf(':')
  const values = { username: detail(details, 'username'), password }
  const fill = (text: string): string => fillUrl(text, values)
  const place = address(before.slice(at + 1))
  return {
    ...place,
    user: fill(colon < 0 ? login : login.slice(0, colon)) || values.username,
    password: colon < 0 ? password : fill(login.slice(colon + 1)),
    ...(database !== '' && { database }),
    ...tlsOf(new URLSearchParams(query).get('tls') ?? '', details, place),
  }
}

function address(text: string): Pick<MySqlSettings, 'host' | 'port' | 'socketPath'> {
  const match = /^(\w*)(?:\((.*)\))?$/.exec(text)
  if (match === null) throw problem('connection_url has no address in parentheses: tcp(host:port)')
  const [, protocol = '', place = ''] = match
  if (protocol === 'unix') return { socketPath: place }
  if (protocol !== '' && !/^tcp[46]?$/.test(protocol))
    throw problem(`connection_url has the unknown protocol "${protocol}"`)
  const host = /^\[(.*)\](?::(\d+))?$/.exec(place) ?? /^([^:]*)(?::(\d+))?$/.exec(place)
  if (host === null) throw problem('connection_url has an address that is no host:port')
  return { host: host[1] || '127.0.0.1', port: Number(host[2] ?? 3306) }
}

function tlsOf(
  mode: string,
  details: ConnectionSettings['details'],
  { host = '', port = 0 }: Pick<MySqlSettings, 'host' | 'port'>,
): Pick<MySqlSettings, 'ssl' | 'host' | 'stream'> {
  const ca = detail(details, 'tls_ca')
  const pair = detail(details, 'tls_certificate_key')
  const servername = detail(details, 'tls_server_name')
  const isUnchecked = isOn(details, 'tls_skip_verify') || mode === 'skip-verify' || mode === 'preferred'
  const isAsked = ca !== '' || pair !== '' || servername !== '' || isOn(details, 'tls_skip_verify')
  if (!isAsked && ['', 'false', '0'].includes(mode)) return {}
  const own = { ...(ca && { ca }), ...(pair && { cert: pair, key: pair }) }
  const ssl = { ...own, verifyIdentity: !isUnchecked, rejectUnauthorized: !isUnchecked }
  if (isUnchecked || host === '' || (servername === '' && isIP(host) === 0)) return { ssl }
  // mysql2 looks for the name of its host, and for `localhost` where that is an address: it is given a host of the name to
  // look for, and a socket to the real one. Node looks for what the socket says that it was meant for.
  const stream = () => Object.assign(connect(port, host), isIP(host) === 0 ? {} : { _host: host })
  return servername === '' ? { ssl, stream } : { ssl, stream, host: servername }
}
