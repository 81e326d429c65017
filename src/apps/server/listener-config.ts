import { readFileSync } from 'node:fs'
import type { HclReader } from '#ground/hcl/decode.ts'
import type { ProxyProtocol } from '#ground/http/prelude.ts'
import { type Cidr, cidrContains, parseCidr } from '#ground/text/cidr.ts'
import { ConfigError } from './config-error.ts'

/** Whose word counts for where a client is. @source openbao http/forwarded_for_handler.go */
export type ForwardedFor = {
  readonly authorized: readonly Cidr[]
  /** Proxies behind the first one that are passed over, from the right. */
  readonly hopSkips: number
  readonly rejectsNotPresent: boolean
  readonly rejectsNotAuthorized: boolean
}

/** Who may ask this listener for metrics. @source openbao http/metrics.go */
export type MetricsAccess = {
  /** Nobody has to show a token. */
  readonly isOpen: boolean
  /** null: nobody gets them here. */
  readonly path: string | null
  /** Nothing else is answered here. */
  readonly isAll: boolean
}

/** A `listener` stanza. */
export type ListenerConfig = {
  readonly address:
    | { readonly host: string; readonly port: number }
    | { readonly path: string; readonly mode: number; readonly user?: number; readonly group?: number }
  readonly tls: null | {
    readonly certFile: string
    readonly keyFile: string
    readonly minVersion: TlsVersion
    readonly maxVersion: TlsVersion
    /** OpenSSL's names, joined by colons; null = the default list. */
    readonly ciphers: string | null
    readonly clientCaFile: string | null
    readonly requiresClientCert: boolean
    readonly asksClientCert: boolean
  }
  readonly proxy: ProxyProtocol | null
  readonly forwardedFor: ForwardedFor | null
  readonly metrics: MetricsAccess
  readonly requestBytesMax: number
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly idleTimeoutMs: number
}

type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** @throws ConfigError, HclError */
export function readListener(type: string, body: HclReader): ListenerConfig {
  if (type !== 'unix' && type !== 'tcp') throw new ConfigError(`listener type "${type}" is neither tcp nor unix`)
  const limits = {
    requestBytesMax: body.integer('max_request_size') ?? 33_554_432,
    headTimeoutMs: (body.duration('http_read_header_timeout') ?? 10) * 1000,
    bodyTimeoutMs: (body.duration('http_read_timeout') ?? 30) * 1000,
    idleTimeoutMs: (body.duration('http_idle_timeout') ?? 300) * 1000,
  }
  const isPlain = body.bool('tls_disable') ?? false
  const address = type === 'unix' ? readSocket(body) : parseHostPort(body.string('address') ?? '127.0.0.1:8200')
  const tls = type === 'unix' || isPlain ? null : readTls(body)
  const proxy = readProxy(body)
  const forwardedFor = readForwardedFor(body)
  const metrics = readMetricsAccess(body)
  body.ignore('cluster_address', 'purpose', 'profiling', 'http_write_timeout', 'max_request_duration')
  body.finish()
  return { address, tls, proxy, forwardedFor, metrics, ...limits }
}

export const metricsPath = '/v1/sys/metrics'

function readMetricsAccess(listener: HclReader): MetricsAccess {
  const body = listener.block('telemetry')?.body
  if (body === undefined) return { isOpen: false, path: metricsPath, isAll: false }
  const isOpen = body.bool('unauthenticated_metrics_access') ?? false
  const isAll = body.bool('metrics_only') ?? false
  const isNone = body.bool('disallow_metrics') ?? false
  const path = body.string('metrics_path') || metricsPath
  body.finish()
  if (isAll && isNone)
    throw new ConfigError('listener: telemetry: metrics_only and disallow_metrics exclude each other')
  if (path !== metricsPath && !isAll)
    throw new ConfigError('listener: telemetry: metrics_path needs metrics_only = true')
  if (!/^\/[\x21-\x7e]*$/.test(path) || /[?#%]/.test(path))
    throw new ConfigError(`listener: telemetry: metrics_path "${path}" must be a path that begins with /`)
  return { isOpen, path: isNone ? null : path, isAll }
}

function readSocket(body: HclReader): Extract<ListenerConfig['address'], { path: string }> {
  const path = body.string('address') ?? ''
  if (path === '') throw new ConfigError('listener "unix": address must be the path of the socket')
  const mode = body.string('socket_mode') ?? '0600'
  if (!/^0?[0-7]{3,4}$/.test(mode)) {
    throw new ConfigError(`listener "unix": socket_mode "${mode}" is no octal file mode, like 0660`)
  }
  const user = idOf(body.string('socket_user'), 'socket_user', '/etc/passwd')
  const group = idOf(body.string('socket_group'), 'socket_group', '/etc/group')
  return { path, mode: Number.parseInt(mode, 8), ...(user !== null && { user }), ...(group !== null && { group }) }
}

/** An id, or a name that the file of names knows. */
function idOf(name: string | null, key: string, file: string): number | null {
  if (name === null || name === '') return null
  if (/^\d{1,9}$/.test(name)) return Number(name)
  const line = textOf(file)
    .split('\n')
    .find(one => one.startsWith(`${name}:`))
  const id = Number(line?.split(':')[2] ?? Number.NaN)
  if (!Number.isInteger(id)) throw new ConfigError(`listener "unix": ${key} "${name}" is not in ${file}: name an id`)
  return id
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function readTls(body: HclReader): NonNullable<ListenerConfig['tls']> {
  const certFile = body.string('tls_cert_file')
  const keyFile = body.string('tls_key_file')
  if (certFile === null || keyFile === null) {
    throw new ConfigError('listener "tcp": set tls_cert_file and tls_key_file, or tls_disable = true on loopback')
  }
  const minVersion = readVersion(body, 'tls_min_version', 'TLSv1.2')
  const maxVersion = readVersion(body, 'tls_max_version', 'TLSv1.3')
  if (minVersion > maxVersion) throw new ConfigError('listener "tcp": tls_min_version is above tls_max_version')
  return {
    certFile,
    keyFile,
    minVersion,
    maxVersion,
    ciphers: readCiphers(body),
    clientCaFile: body.string('tls_client_ca_file'),
    requiresClientCert: body.bool('tls_require_and_verify_client_cert') ?? false,
    asksClientCert: !(body.bool('tls_disable_client_certs') ?? false),
  }
}

function readVersion(body: HclReader, key: string, fallback: TlsVersion): TlsVersion {
  const name = body.string(key)
  if (name === null || name === '') return fallback
  if (name === 'tls12') return 'TLSv1.2'
  if (name === 'tls13') return 'TLSv1.3'
  throw new ConfigError(`listener "tcp": ${key} "${name}" must be tls12 or tls13`)
}

/** Go's names of the suites of TLS 1.2 that have forward secrecy, and OpenSSL's; those of 1.3 can't be chosen. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
}

function readCiphers(body: HclReader): string | null {
  const text = body.string('tls_cipher_suites')
  if (text === null || text.trim() === '') return null
  const names = text.split(',').map(name => name.trim())
  const open = names.map(name => {
    const found = suites[name]
    if (found === undefined) {
      throw new ConfigError(
        `listener "tcp": tls_cipher_suites: "${name}" is none of ${Object.keys(suites).join(', ')}; the suites of TLS 1.3 are always there`,
      )
    }
    return found
  })
  return ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', ...open].join(':')
}

const behaviours = ['use_always', 'allow_authorized', 'deny_unauthorized'] as const

function readProxy(body: HclReader): ProxyProtocol | null {
  const behaviour = body.string('proxy_protocol_behavior')
  const addresses = readAddresses(body, 'proxy_protocol_authorized_addrs')
  if (behaviour === null || behaviour === '') return null
  const known = behaviours.find(one => one === behaviour)
  if (known === undefined) {
    throw new ConfigError(`listener: proxy_protocol_behavior "${behaviour}" is none of ${behaviours.join(', ')}`)
  }
  if (known === 'use_always') return { behaviour: known, authorized: () => true }
  if (addresses.length === 0) {
    throw new ConfigError(`listener: proxy_protocol_behavior "${known}" needs proxy_protocol_authorized_addrs`)
  }
  return { behaviour: known, authorized: address => addresses.some(cidr => cidrContains(cidr, address)) }
}

function readForwardedFor(body: HclReader): ForwardedFor | null {
  const authorized = readAddresses(body, 'x_forwarded_for_authorized_addrs')
  const hopSkips = body.integer('x_forwarded_for_hop_skips') ?? 0
  if (hopSkips < 0) throw new ConfigError('listener: x_forwarded_for_hop_skips can not be negative')
  const rejectsNotPresent = body.bool('x_forwarded_for_reject_not_present') ?? true
  const rejectsNotAuthorized = body.bool('x_forwarded_for_reject_not_authorized') ?? true
  return authorized.length === 0 ? null : { authorized, hopSkips, rejectsNotPresent, rejectsNotAuthorized }
}

/** Addresses and networks: a list, or a text with commas. */
function readAddresses(body: HclReader, key: string): readonly Cidr[] {
  const texts = (body.strings(key, true) ?? []).flatMap(one => one.split(',')).map(one => one.trim())
  return texts.filter(Boolean).map(text => {
    try {
      return parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
    } catch {
      throw new ConfigError(`listener: ${key}: "${text}" is no address or network, like 10.0.0.0/8`)
    }
  })
}

/** `host:port`, `:port` for all addresses, `[::1]:8200`. */
export function parseHostPort(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(address)
  const port = match?.[3] === undefined ? 8200 : Number(match[3])
  if (!match || port > 65_535) throw new ConfigError(`the address "${address}" is not host:port, like 127.0.0.1:8200`)
  return { host: match[1] ?? (match[2] === '' ? '0.0.0.0' : match[2]!), port }
}
