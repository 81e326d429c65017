import type { ClientTls, Connect, DialTarget } from './dial.ts'

/** Where a request goes: what to connect to, the path with its query, and the Host header. */
export type Place = { readonly target: DialTarget; readonly path: string; readonly host: string }

/** @throws RangeError for an address that is neither `http://` nor `https://`, TypeError for one that is no URL */
export function placeOf(
  url: string | URL | { readonly socketPath: string; readonly path: string },
  options: { readonly tls?: ClientTls; readonly connect?: Connect },
): Place {
  if (typeof url === 'object' && 'socketPath' in url) {
    return { target: { socketPath: url.socketPath }, path: url.path, host: 'localhost' }
  }
  const parsed = typeof url === 'string' ? new URL(url) : url
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new RangeError(`an address begins with http:// or https://, not ${parsed.protocol}//`)
  }
  const isTls = parsed.protocol === 'https:'
  const target: DialTarget = {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port),
    tls: isTls ? (options.tls ?? {}) : null,
    ...(options.connect && { connect: options.connect }),
  }
  return { target, path: parsed.pathname + parsed.search, host: parsed.host }
}
