/**
 * Where a server is. `kube` names a service in a cluster: the client goes through the API server's port-forward, so that
 * a person with a kubeconfig needs no ingress, no node port and no second terminal.
 */
export type ServerAddress =
  | {
      readonly kind: 'tcp'
      readonly isTls: boolean
      readonly host: string
      readonly port: number
      readonly basePath: string
      readonly text: string
    }
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | {
      readonly kind: 'kube'
      readonly namespace: string
      readonly service: string
      readonly port: string | null
      readonly text: string
    }

/** What the Go client and CLI use when nothing is set. */
export const defaultAddress = 'https://127.0.0.1:8200'

export class AddressError extends Error {
  override readonly name = 'AddressError'
}

const label = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/**
 * Reads `http(s)://host[:port][/prefix]`, `unix:///path/to.sock` or `kube://namespace/service[:port]`; a kube port is a
 * number or the port's name in the service.
 * @throws AddressError that names what is wrong and the forms that are taken.
 */
export function parseAddress(text: string): ServerAddress {
  if (text.startsWith('unix://')) {
    const path = text.slice('unix://'.length)
    if (!path.startsWith('/')) throw new AddressError(`address "${text}": write unix:///absolute/path.sock`)
    return { kind: 'unix', path, text }
  }
  if (text.startsWith('kube://')) return parseKube(text)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new AddressError(`address "${text}" is not a URL: write https://host:8200, unix:///path or kube://ns/service`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new AddressError(`address "${text}": unsupported protocol scheme "${url.protocol.slice(0, -1)}"`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new AddressError('an address with a user name or password is refused: it would end up in logs and errors')
  }
  const isTls = url.protocol === 'https:'
  return {
    kind: 'tcp',
    isTls,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    basePath: url.pathname.replace(/\/+$/, ''),
    text: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
  }
}

function parseKube(text: string): ServerAddress {
  const match = /^kube:\/\/([^/]*)\/([^/:]*)(?::([a-z0-9-]{1,15}))?\/?$/.exec(text)
  const namespace = match?.[1] ?? ''
  const service = match?.[2] ?? ''
  if (!label.test(namespace) || !label.test(service)) {
    throw new AddressError(`address "${text}": write kube://namespace/service or kube://namespace/service:port`)
  }
  return { kind: 'kube', namespace, service, port: match?.[3] ?? null, text }
}

/** How requests to this server read in messages: `https://127.0.0.1:8200/v1/…`; unix and kube as the Go client has it. */
export function displayBase(address: ServerAddress): string {
  return address.kind === 'unix' ? 'http://localhost' : address.text
}
