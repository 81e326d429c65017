import { delimiter, join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { CaSource, ClientCertificate, ExecPlugin, Impersonation, KubeAuth, KubeConfig } from './config.ts'
import { KubeConfigError } from './errors.ts'
import { inClusterConfig, isInCluster } from './in-cluster.ts'
import { type Entry, Fields, type MergedKubeconfig, pathOf, readKubeconfigs } from './kubeconfig-file.ts'

export type KubeconfigOptions = {
  /** For `KUBECONFIG`, `HOME`, `KUBERNETES_SERVICE_*`. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The one file to read (`-kubeconfig`); then `KUBECONFIG` and the home folder don't count. */
  readonly path?: string
  /** Instead of the file's current-context (`-context`). */
  readonly context?: string
}

/**
 * The configuration as kubectl would find it: `path`, else the files of `KUBECONFIG`, else `~/.kube/config`, else the
 * pod's own account.
 * @throws KubeConfigError that names file and field and says what to do
 * @source client-go tools/clientcmd/client_config.go
 */
export async function loadKubeConfig(options: KubeconfigOptions): Promise<KubeConfig> {
  const { env, path, context } = options
  const paths = pathsOf(options)
  const merged = await readKubeconfigs(paths, { isOptional: path === undefined })
  const isEmpty = merged.contexts.size === 0 && merged.clusters.size === 0
  if (isEmpty && path === undefined && context === undefined && isInCluster(env)) return inClusterConfig(env)
  return configOf(merged, context ?? null, paths)
}

/** The names of all contexts, for help and completion. */
export async function contextNames(options: KubeconfigOptions): Promise<readonly string[]> {
  const merged = await readKubeconfigs(pathsOf(options), { isOptional: true })
  return [...merged.contexts.keys()]
}

function pathsOf({ env, path }: KubeconfigOptions): readonly string[] {
  if (path !== undefined) return [path]
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter(part => part !== '')
  if (listed.length > 0) return listed
  const home = env['HOME'] || env['USERPROFILE']
  return home ? [join(home, '.kube', 'config')] : []
}

function configOf(merged: MergedKubeconfig, asked: string | null, paths: readonly string[]): KubeConfig {
  const files = merged.files.join(', ')
  if (files === '') {
    const looked = paths.length > 0 ? `there is no ${paths.join(', no ')}` : 'neither KUBECONFIG nor HOME is set'
    throw new KubeConfigError(`no kubeconfig: ${looked}; name a file in KUBECONFIG`)
  }
  const contextName = asked ?? merged.currentContext
  if (contextName === null) {
    throw new KubeConfigError(`${files}: current-context is not set; run "kubectl config use-context NAME"`)
  }
  const context = merged.contexts.get(contextName)
  if (!context) {
    const known = [...merged.contexts.keys()].slice(0, 20).join(', ') || 'none'
    throw new KubeConfigError(`${files}: there is no context ${JSON.stringify(contextName)} (there are: ${known})`)
  }
  const cluster = referred(merged.clusters, context, 'cluster', files)
  if (cluster === null) throw new KubeConfigError(`${context.label}: cluster is not set`)
  const user = referred(merged.users, context, 'user', files)
  refuseProxy(cluster)
  const isInsecure = cluster.fields.flag('insecure-skip-tls-verify')
  const ca = caOf(cluster)
  if (isInsecure && ca.kind !== 'system') {
    throw new KubeConfigError(
      `${cluster.label}: insecure-skip-tls-verify and a certificate authority exclude each other; remove one`,
    )
  }
  return {
    server: serverOf(cluster),
    ca,
    isInsecure,
    serverName: cluster.fields.text('tls-server-name'),
    namespace: context.fields.text('namespace') ?? 'default',
    auth: user ? authOf(user, cluster) : { kind: 'none' },
    clientCertificate: user ? certificateOf(user) : null,
    impersonate: user ? impersonationOf(user) : null,
    origin: `context ${JSON.stringify(contextName)} of ${files}`,
  }
}

function referred(map: ReadonlyMap<string, Entry>, context: Entry, field: string, files: string): Entry | null {
  const name = context.fields.text(field)
  if (name === null) return null
  const entry = map.get(name)
  if (entry) return entry
  throw new KubeConfigError(`${context.label}: ${field} ${JSON.stringify(name)} is not defined in ${files}`)
}

function serverOf(cluster: Entry): string {
  const server = cluster.fields.text('server')
  if (server === null) throw new KubeConfigError(`${cluster.label}: server is not set`)
  // kubectl takes a bare host and port for plain http.
  const url = URL.parse(server.includes('://') ? server : `http://${server}`)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new KubeConfigError(`${cluster.label}: server ${JSON.stringify(server)} is no http or https address`)
  }
  if (url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new KubeConfigError(`${cluster.label}: server must have no user, query or fragment`)
  }
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}

function refuseProxy(cluster: Entry): void {
  const proxy = cluster.fields.text('proxy-url')
  if (proxy === null) return
  throw new KubeConfigError(
    `${cluster.label}: proxy-url is not supported; reach the API server directly or through a local forward`,
  )
}

function caOf(cluster: Entry): CaSource {
  const data = decoded(cluster, 'certificate-authority-data')
  const path = cluster.fields.text('certificate-authority')
  if (data !== null) return { kind: 'pem', pem: data }
  return path === null ? { kind: 'system' } : { kind: 'file', path: pathOf(cluster, path) }
}

function certificateOf(user: Entry): ClientCertificate | null {
  const certificate = decoded(user, 'client-certificate-data')
  const key = decoded(user, 'client-key-data')
  const certificatePath = user.fields.text('client-certificate')
  const keyPath = user.fields.text('client-key')
  const hasCertificate = certificate !== null || certificatePath !== null
  const hasKey = key !== null || keyPath !== null
  if (!hasCertificate && !hasKey) return null
  if (!hasKey) throw new KubeConfigError(`${user.label}: client-key-data or client-key must go with the certificate`)
  if (!hasCertificate) {
    throw new KubeConfigError(`${user.label}: client-certificate-data or client-certificate must go with the key`)
  }
  if (certificate !== null && key !== null) return { kind: 'pem', certificate, key: new Secret(key) }
  if (certificate !== null || key !== null) {
    throw new KubeConfigError(`${user.label}: give certificate and key both as data or both as files`)
  }
  return {
    kind: 'file',
    certificatePath: pathOf(user, certificatePath ?? ''),
    keyPath: pathOf(user, keyPath ?? ''),
  }
}

function decoded(entry: Entry, field: string): string | null {
  const text = entry.fields.text(field)
  if (text === null) return null
  const compact = text.replace(/\s+/g, '')
  const pem = /^[A-Za-z0-9+/]*={0,2}$/.test(compact) ? Buffer.from(compact, 'base64').toString('latin1') : ''
  if (pem.includes('-----BEGIN ')) return pem
  throw new KubeConfigError(`${entry.label}: ${field} must be a PEM text in base64`)
}

function authOf(user: Entry, cluster: Entry): KubeAuth {
  const { fields, label } = user
  if (fields.has('username') || fields.has('password')) {
    throw new KubeConfigError(
      `${label}: username and password are not supported (no API server takes them since Kubernetes 1.19); ` +
        'use a token, a client certificate or an exec plugin',
    )
  }
  const provider = fields.fields('auth-provider')
  if (provider) {
    throw new KubeConfigError(
      `${label}: auth-provider ${JSON.stringify(provider.text('name') ?? '')} is not supported; ` +
        'use an exec plugin (kubelogin, gke-gcloud-auth-plugin, aws-iam-authenticator)',
    )
  }
  const token = fields.text('token')
  const tokenFile = fields.text('tokenFile')
  const fallback = token === null ? null : new Secret(token)
  if (tokenFile !== null) return { kind: 'token-file', path: pathOf(user, tokenFile), fallback }
  // A token that stands there wins over the plugin, as with kubectl.
  if (fallback) return { kind: 'token', token: fallback }
  const exec = fields.fields('exec')
  return exec ? { kind: 'exec', plugin: pluginOf(exec, user, cluster) } : { kind: 'none' }
}

function pluginOf(exec: Fields, user: Entry, cluster: Entry): ExecPlugin {
  const label = `${user.label}: exec`
  const apiVersion = exec.text('apiVersion')
  if (apiVersion !== 'client.authentication.k8s.io/v1' && apiVersion !== 'client.authentication.k8s.io/v1beta1') {
    throw new KubeConfigError(
      `${label}: apiVersion is ${JSON.stringify(apiVersion)}; ` +
        'use client.authentication.k8s.io/v1 or v1beta1 (an old file is renewed by the cloud vendor’s own command)',
    )
  }
  const command = exec.text('command')
  if (command === null) throw new KubeConfigError(`${label}: command is not set`)
  const mode = exec.text('interactiveMode') ?? (apiVersion.endsWith('/v1') ? null : 'IfAvailable')
  if (mode !== 'Never' && mode !== 'IfAvailable' && mode !== 'Always') {
    throw new KubeConfigError(`${label}: interactiveMode must be Never, IfAvailable or Always`)
  }
  return {
    apiVersion,
    command: /[/\\]/.test(command) ? pathOf(user, command) : command,
    args: exec.texts('args'),
    env: exec.list('env').map((item, index) => {
      const pair = new Fields(item, `${label}: env[${index}]`)
      return [pair.text('name') ?? '', pair.text('value') ?? ''] as const
    }),
    installHint: exec.text('installHint'),
    provideClusterInfo: exec.flag('provideClusterInfo'),
    interactiveMode: mode,
    clusterConfig: extensionOf(cluster, 'client.authentication.k8s.io/exec'),
  }
}

function extensionOf(cluster: Entry, name: string): unknown {
  for (const [index, item] of cluster.fields.list('extensions').entries()) {
    const fields = new Fields(item, `${cluster.label}: extensions[${index}]`)
    if (fields.text('name') === name) return fields.raw('extension') ?? null
  }
  return null
}

function impersonationOf(user: Entry): Impersonation | null {
  const { fields, label } = user
  const asUser = fields.text('as')
  const groups = fields.texts('as-groups')
  const extraFields = fields.fields('as-user-extra')
  const uid = fields.text('as-uid')
  if (asUser === null) {
    if (groups.length === 0 && !extraFields && uid === null) return null
    throw new KubeConfigError(`${label}: as must be set when as-groups, as-uid or as-user-extra is`)
  }
  const raw = (fields.raw('as-user-extra') ?? {}) as Record<string, unknown>
  const extra = Object.fromEntries(Object.keys(raw).map(key => [key, extraFields?.texts(key) ?? []]))
  return { user: asUser, uid, groups, extra }
}
