import type { Secret } from '#ground/base/secret.ts'

/** A file that is read again when it may have changed (a rotated CA, a projected token), or a text that stays. */
export type CaSource =
  | { readonly kind: 'system' }
  | { readonly kind: 'pem'; readonly pem: string }
  | { readonly kind: 'file'; readonly path: string }

/** An exec credential plugin, as a kubeconfig's `users[].user.exec` names it; the command is resolved already. */
export type ExecPlugin = {
  readonly apiVersion: 'client.authentication.k8s.io/v1' | 'client.authentication.k8s.io/v1beta1'
  /** A name looked up in PATH, or an absolute path. */
  readonly command: string
  readonly args: readonly string[]
  readonly env: readonly (readonly [name: string, value: string])[]
  readonly installHint: string | null
  readonly provideClusterInfo: boolean
  readonly interactiveMode: 'Never' | 'IfAvailable' | 'Always'
  /** `cluster.extensions` entry named `client.authentication.k8s.io/exec`, handed on as `cluster.config`. */
  readonly clusterConfig: unknown
}

export type KubeAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: Secret }
  /** The file's last readable content counts; `fallback` until there is one. */
  | { readonly kind: 'token-file'; readonly path: string; readonly fallback: Secret | null }
  | { readonly kind: 'exec'; readonly plugin: ExecPlugin }

/** Both PEM. A file is read again when it may have changed. */
export type ClientCertificate =
  | { readonly kind: 'pem'; readonly certificate: string; readonly key: Secret }
  | { readonly kind: 'file'; readonly certificatePath: string; readonly keyPath: string }

/** Headers `Impersonate-*`. */
export type Impersonation = {
  readonly user: string
  readonly uid: string | null
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** Everything that says where an API server is and who we are to it. */
export type KubeConfig = {
  /** Scheme, host, port and perhaps a path; no slash at the end: `https://10.96.0.1:443`. */
  readonly server: string
  readonly ca: CaSource
  /** No check of the server's certificate at all. */
  readonly isInsecure: boolean
  /** The name in the server's certificate and SNI, when it isn't the host of `server`. */
  readonly serverName: string | null
  /** Where unqualified names live; `default` when nothing says otherwise. */
  readonly namespace: string
  readonly auth: KubeAuth
  readonly clientCertificate: ClientCertificate | null
  readonly impersonate: Impersonation | null
  /** For messages: `context "prod" of /home/a/.kube/config`, `in-cluster`. */
  readonly origin: string
}
