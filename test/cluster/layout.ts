import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority, type Identity, type Leaf, newServiceAccountKey } from './certificates.ts'
import { kubeconfig } from './kubeconfig.ts'

/** Addresses of every cluster; they lie in its own network namespace where there is a node, so they can't collide. */
export const net = {
  serviceCidr: '10.96.0.0/16',
  /** The Service `kubernetes`. */
  serviceIp: '10.96.0.1',
  podCidr: '10.244.0.0/24',
  /** The bridge: the node's address, the pods' gateway and name server. */
  nodeIp: '10.244.0.1',
  nodeName: 'node1',
} as const

/** The users of the components, besides the administrator. */
const clients = {
  admin: { commonName: 'admin', organization: 'system:masters' },
  apiserver: { commonName: 'apiserver-kubelet', organization: 'system:masters' },
  controllers: { commonName: 'system:kube-controller-manager' },
  scheduler: { commonName: 'system:kube-scheduler' },
  proxy: { commonName: 'system:kube-proxy' },
  kubelet: { commonName: `system:node:${net.nodeName}`, organization: 'system:nodes' },
  dns: { commonName: 'dns', organization: 'system:masters' },
} as const satisfies Record<string, Leaf>

export type Client = keyof typeof clients

const serverNames = [
  '127.0.0.1',
  net.serviceIp,
  net.nodeIp,
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
]

/** What `writeCredentials` put below `FOLDER/pki`. */
export type Credentials = {
  caPem: string
  /** Private key for service account tokens, PEM. */
  saKey: string
  admin: Identity
  /** Path of a file below `pki`, such as `ca.crt`, `sa.pub`, `server.key`. */
  path: (name: string) => string
  /** Path of a component's kubeconfig. */
  kubeconfig: (client: Client) => string
}

/**
 * Makes a run's certificates, keys and kubeconfigs. About 60 ms.
 * @param folder the run's folder.
 * @param url of the API server as the components see it.
 */
export async function writeCredentials(folder: string, url: string): Promise<Credentials> {
  const path = (name: string): string => join(folder, 'pki', name)
  const write = (name: string, text: string): Promise<void> => writeFile(path(name), text, { mode: 0o600 })
  await mkdir(path(''), { mode: 0o700 })
  const [authority, serviceAccount] = await Promise.all([createAuthority(), newServiceAccountKey()])
  const identities = {} as Record<Client, Identity>
  await Promise.all([
    write('ca.crt', authority.pem),
    write('ca.key', authority.keyPem),
    write('sa.key', serviceAccount.privatePem),
    write('sa.pub', serviceAccount.publicPem),
    ...(
      [
        ['server', { commonName: 'kube-apiserver', names: serverNames }],
        ['kubelet-server', { commonName: net.nodeName, names: ['127.0.0.1', net.nodeIp, net.nodeName] }],
      ] as const
    ).map(async ([name, leaf]) => {
      const identity = await authority.issue(leaf)
      await Promise.all([write(`${name}.crt`, identity.cert), write(`${name}.key`, identity.key)])
    }),
    ...Object.entries(clients).map(async ([name, leaf]) => {
      const identity = await authority.issue(leaf)
      identities[name as Client] = identity
      await Promise.all([
        write(`${name}.crt`, identity.cert),
        write(`${name}.key`, identity.key),
        write(`${name}.kubeconfig`, kubeconfig(url, authority.pem, identity)),
      ])
    }),
  ])
  return {
    caPem: authority.pem,
    saKey: serviceAccount.privatePem,
    admin: identities.admin,
    path,
    kubeconfig: client => path(`${client}.kubeconfig`),
  }
}
