import { join } from 'node:path'
import { type Credentials, net } from './layout.ts'
import { tokenIssuer } from './token.ts'

/** What the command lines below depend on. */
export type Plan = {
  /** Folder of `kubernetes()`. */
  binaries: string
  /** The run's folder. */
  folder: string
  port: number
  credentials: Credentials
  /** Is there a kubelet? Then the API server listens on the node's address too. */
  withNode: boolean
}

/** etcd without fsync, its clients on a unix socket: no port, and nobody else on the machine can speak to it. */
export function etcd({ binaries, folder }: Plan): string[] {
  return [
    join(binaries, 'etcd'),
    `--data-dir=${folder}/etcd`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    `--listen-client-urls=unix://${etcdSocket(folder)}`,
    // Nobody follows these two; a socket isn't accepted here.
    '--advertise-client-urls=http://127.0.0.1:0',
    '--listen-peer-urls=http://127.0.0.1:0',
  ]
}

const etcdSocket = (folder: string): string => `${folder}/etcd.sock`

export function apiServer({ binaries, folder, port, credentials: { path }, withNode }: Plan): string[] {
  return [
    join(binaries, 'kube-apiserver'),
    `--etcd-servers=unix://${etcdSocket(folder)}`,
    `--secure-port=${port}`,
    ...(withNode
      ? [
          '--bind-address=0.0.0.0',
          `--advertise-address=${net.nodeIp}`,
          `--kubelet-client-certificate=${path('apiserver.crt')}`,
          `--kubelet-client-key=${path('apiserver.key')}`,
          `--kubelet-certificate-authority=${path('ca.crt')}`,
          '--kubelet-preferred-address-types=InternalIP',
        ]
      : // An Endpoints object may not hold a loopback address, so the Service `kubernetes` gets none.
        ['--bind-address=127.0.0.1', '--advertise-address=127.0.0.1', '--endpoint-reconciler-type=none']),
    `--tls-cert-file=${path('server.crt')}`,
    `--tls-private-key-file=${path('server.key')}`,
    `--client-ca-file=${path('ca.crt')}`,
    `--cert-dir=${folder}/apiserver`,
    `--service-account-issuer=${tokenIssuer}`,
    `--service-account-key-file=${path('sa.pub')}`,
    `--service-account-signing-key-file=${path('sa.key')}`,
    `--service-cluster-ip-range=${net.serviceCidr}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--profiling=false',
  ]
}

// With the usual 20 requests a second the first ServiceAccount comes five seconds later.
const unthrottled = ['--leader-elect=false', '--kube-api-qps=300', '--kube-api-burst=600']

const asClient = (kubeconfig: string): string[] => [
  `--kubeconfig=${kubeconfig}`,
  `--authentication-kubeconfig=${kubeconfig}`,
  `--authorization-kubeconfig=${kubeconfig}`,
]

export function controllerManager({ binaries, folder, credentials: { path, kubeconfig } }: Plan): string[] {
  return [
    join(binaries, 'kube-controller-manager'),
    ...asClient(kubeconfig('controllers')),
    ...unthrottled,
    // No port: nobody asks it for its health.
    '--secure-port=0',
    `--service-account-private-key-file=${path('sa.key')}`,
    `--root-ca-file=${path('ca.crt')}`,
    '--use-service-account-credentials=true',
    `--cluster-signing-cert-file=${path('ca.crt')}`,
    `--cluster-signing-key-file=${path('ca.key')}`,
    `--cert-dir=${folder}/controllers`,
    `--flex-volume-plugin-dir=${folder}/volumeplugins`,
  ]
}

export function scheduler({ binaries, folder, credentials: { kubeconfig } }: Plan): string[] {
  return [
    join(binaries, 'kube-scheduler'),
    ...asClient(kubeconfig('scheduler')),
    ...unthrottled,
    '--secure-port=0',
    `--cert-dir=${folder}/scheduler`,
  ]
}
