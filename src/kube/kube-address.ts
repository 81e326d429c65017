import { KubeConfigError } from './errors.ts'

/** Where `kube://namespace/service[:port]` points. */
export type KubeAddress = {
  readonly namespace: string
  readonly service: string
  /** The Service's port, by number or name; null: the one that fits best. */
  readonly port: string | null
  /** What the server's certificate must name: TLS goes through the forwarded connection from end to end. */
  readonly serverName: string
}

const shape =
  /^kube:\/\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)(?::([a-z0-9-]{1,15}))?\/?$/

export function isKubeAddress(address: string): boolean {
  return address.startsWith('kube://')
}

/** @throws KubeConfigError that shows the form */
export function parseKubeAddress(address: string): KubeAddress {
  const match = shape.exec(address)
  const [, namespace, service, port] = match ?? []
  if (namespace === undefined || service === undefined) {
    throw new KubeConfigError(`${JSON.stringify(address)} is no address: write kube://NAMESPACE/SERVICE or …:PORT`)
  }
  return { namespace, service, port: port ?? null, serverName: `${service}.${namespace}.svc` }
}
