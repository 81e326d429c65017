import { join } from 'node:path'
import { Secret } from '#ground/base/secret.ts'
import type { Input } from '#ground/fields/field.ts'
import { bool, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, jsonEntries } from '#backend/storage.ts'
import type { KubeClient } from '#kube/client.ts'
import type { CaSource, KubeAuth } from '#kube/config.ts'
import { hasCertificate } from '#kube/one-server.ts'
import { fault } from '#protocol/fault.ts'
import { type KubernetesState, type Pod, row } from './state.ts'

/** Where the API server is, and who asks it; what is empty comes from the pod. */
export type KubernetesConfig = {
  readonly host: string
  /** PEM. */
  readonly caCert: string
  /** Never shown. */
  readonly jwt: string
  readonly disablesLocal: boolean
}

export const configEntries = jsonEntries<KubernetesConfig>('config/')
const configKey = configEntries.key('config')

const none: KubernetesConfig = { host: '', caCert: '', jwt: '', disablesLocal: false }

const fields = {
  kubernetes_host: text({
    description:
      'The API server with its scheme; empty = https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT_HTTPS.',
  }),
  kubernetes_ca_cert: text({ description: 'PEM of the CA of the API server; empty = that of the pod.' }),
  service_account_jwt: text({
    description: 'Token of the service account that makes the credentials; empty = that of the pod.',
    isSecret: true,
  }),
  disable_local_ca_jwt: bool({ description: 'Do not read token and CA of the pod that this server runs in.' }),
} as const

type ConfigInput = Input<typeof fields>

/** What a pod's environment must have. @source openbao builtin/logical/kubernetes/path_check.go */
const hostName = 'KUBERNETES_SERVICE_HOST'
const portName = 'KUBERNETES_SERVICE_PORT_HTTPS'

function hostOf({ env }: Pod): string | null {
  const host = env[hostName]
  const port = env[portName]
  if (!host || !port) return null
  // An IPv6 service address comes without brackets.
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function checked(config: KubernetesConfig, pod: Pod): KubernetesConfig {
  if (config.host === '' && hostOf(pod) === null) {
    throw fault('backend.failed', 'kubernetes_host was unset and could not be determined from environment variables')
  }
  if (config.host !== '' && !/^https?:\/\/[^/\s]+/.test(config.host)) {
    throw fault('request.invalid', 'kubernetes_host must be a URL with its scheme, like https://10.96.0.1:443')
  }
  if (config.caCert !== '' && !hasCertificate(config.caCert)) {
    throw fault('request.invalid', 'The provided CA PEM data contains no valid certificates')
  }
  return config
}

/** @source openbao builtin/logical/kubernetes/path_config.go: what isn't sent stays */
async function write(call: Call<ConfigInput>, { parts, pod }: KubernetesState): Promise<Reply> {
  const { input, sent, nulls } = call
  const has = (name: keyof ConfigInput): boolean => sent.has(name) || nulls.includes(name)
  await parts.view.update<KubernetesConfig, void>(configKey, now => {
    const before = now ?? none
    const entry: KubernetesConfig = {
      host: has('kubernetes_host') ? input.kubernetes_host : before.host,
      caCert: has('kubernetes_ca_cert') ? input.kubernetes_ca_cert : before.caCert,
      jwt: has('service_account_jwt') ? input.service_account_jwt : before.jwt,
      disablesLocal: has('disable_local_ca_jwt') ? input.disable_local_ca_jwt : before.disablesLocal,
    }
    return { entry: checked(entry, pod), result: undefined }
  })
  return empty
}

async function read(_call: unknown, { parts }: KubernetesState): Promise<Reply> {
  const entry = await parts.view.get(configKey)
  if (entry === null) return missing
  return {
    kind: 'data',
    data: {
      kubernetes_host: entry.host,
      kubernetes_ca_cert: entry.caCert,
      disable_local_ca_jwt: entry.disablesLocal,
    },
  }
}

/** @throws Error saying why nobody can be asked; its text is for the client. */
export async function clientOf({ parts, server, pod }: KubernetesState): Promise<KubeClient> {
  const config = await parts.view.get(configKey)
  if (config === null) throw new Error('could not load backend configuration')
  const host = config.host || hostOf(pod)
  if (host === null) {
    throw new Error('kubernetes_host was unset and could not determine it from environment variables')
  }
  return server.client({ host, ca: caOf(config, host, pod), auth: authOf(config, pod), origin: 'kubernetes/config' })
}

function caOf({ caCert, disablesLocal }: KubernetesConfig, host: string, { folder }: Pod): CaSource {
  if (caCert !== '') return { kind: 'pem', pem: caCert }
  if (disablesLocal || host.startsWith('http://')) return { kind: 'system' }
  return { kind: 'file', path: join(folder, 'ca.crt') }
}

// The kubelet replaces the pod's token: it stays a path.
function authOf({ jwt, disablesLocal }: KubernetesConfig, { folder }: Pod): KubeAuth {
  if (jwt !== '') return { kind: 'token', token: new Secret(jwt) }
  if (disablesLocal) return { kind: 'none' }
  return { kind: 'token-file', path: join(folder, 'token'), fallback: null }
}

export const configRows = [
  row({
    path: 'config',
    fields,
    operations: {
      read: { access: 'policy', summary: 'Where the API server is; the token is not shown.', handler: read },
      update: { access: 'policy', summary: 'Say where the API server is and who asks it.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Forget the API server; leases that still hold objects can not be revoked then.',
        async handler(_call, { parts }) {
          await parts.view.commit([drop(configKey)])
          return empty
        },
      },
    },
    help: { synopsis: 'The API server and who asks it.', description: 'What a write does not name stays.' },
  }),
  row({
    path: 'check',
    fields: {},
    operations: {
      read: {
        access: 'policy',
        summary: 'Does the environment tell where the API server is?',
        handler(_call, { pod }) {
          const absent = [hostName, portName].filter(name => !pod.env[name])
          if (absent.length > 0) throw fault('request.invalid', `Missing environment variables: ${absent.join(', ')}`)
          // 204, which a read without any warnings is not.
          return { kind: 'empty', warnings: [] }
        },
      },
    },
    help: {
      synopsis: 'Does the environment tell where the API server is?',
      description: 'It does in a pod; kubernetes_host is then not needed.',
    },
  }),
]
