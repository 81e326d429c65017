import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Api } from './api.ts'
import type { Identity } from './certificates.ts'
import { capture, must, type Output } from './process.ts'
import { signToken, type TokenClaims } from './token.ts'

/** What a test can do with any cluster, by whatever way it was started. */
export type Handle = Omit<Api, typeof Symbol.dispose> & {
  /** The run's folder: logs are in `log/`, keys and certificates in `pki/`. It goes with the cluster. */
  folder: string
  /** `https://127.0.0.1:PORT`, reachable from this machine. */
  url: string
  /** The cluster's certificate authority, PEM. */
  caPem: string
  /** Path of the administrator's kubeconfig, which works from this machine's network. */
  kubeconfig: string
  /** The same as text. */
  adminKubeconfig: string
  /** Client certificate of the administrator (system:masters). */
  admin: Identity
  /** Private key that signs service account tokens (RSA, PEM). */
  saKey: string
  /** Folder of the programs: kubectl, kube-apiserver … */
  binaries: string
  /** Runs kubectl as the administrator. @throws Error with its stderr when it fails, unless `mayFail`. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<Output>
  /** Makes a namespace of a fresh name that begins with `prefix`, with its default ServiceAccount. */
  newNamespace(prefix?: string): Promise<string>
  /** Makes a ServiceAccount. @returns its uid. */
  newServiceAccount(namespace: string, name: string): Promise<string>
  /** A token from the cluster (TokenRequest). */
  requestToken(ask: TokenAsk): Promise<string>
  /** A token signed by the cluster's key here: short-lived, expired, or bound to something that isn't there. */
  signToken(claims: TokenClaims): string
}

export type KubectlOptions = { input?: string; mayFail?: true; timeoutMs?: number; namespace?: string }

export type TokenAsk = {
  namespace: string
  serviceAccount: string
  /** Default: the API server's own audience. */
  audiences?: readonly string[]
  /** At least 600, the default 3600. */
  expirationSeconds?: number
  /** Binds the token to a pod; it may be pending for ever. */
  pod?: { name: string; uid: string }
}

export type HandleParts = Pick<
  Handle,
  'folder' | 'url' | 'caPem' | 'kubeconfig' | 'adminKubeconfig' | 'admin' | 'saKey' | 'binaries'
>

export function makeHandle(parts: HandleParts, api: Api): Handle {
  const { request, call, until, untilGone } = api
  const kubectl = async (args: readonly string[], options: KubectlOptions = {}): Promise<Output> => {
    const run = options.mayFail ? capture : must
    const namespace = options.namespace === undefined ? [] : ['--namespace', options.namespace]
    return run([join(parts.binaries, 'kubectl'), ...namespace, ...args], {
      // kubectl keeps what it learnt of the API below HOME.
      env: { KUBECONFIG: parts.kubeconfig, HOME: parts.folder },
      ...(options.input !== undefined && { input: options.input }),
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    })
  }
  return {
    ...parts,
    request,
    call,
    until,
    untilGone,
    kubectl,
    async newNamespace(prefix = 'test') {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`
      await call('POST', '/api/v1/namespaces', { metadata: { name } })
      // Without it no pod is admitted.
      await until(`/api/v1/namespaces/${name}/serviceaccounts/default`, () => true)
      return name
    },
    async newServiceAccount(namespace, name) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts`
      const made = await call<{ metadata: { uid: string } }>('POST', path, { metadata: { name } })
      return made.metadata.uid
    },
    async requestToken({ namespace, serviceAccount, audiences, expirationSeconds, pod }) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`
      const answer = await call<{ status: { token: string } }>('POST', path, {
        spec: {
          ...(audiences && { audiences }),
          ...(expirationSeconds !== undefined && { expirationSeconds }),
          ...(pod && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
        },
      })
      return answer.status.token
    },
    signToken: claims => signToken(parts.saKey, claims),
  }
}
