import { readFile } from 'node:fs/promises'
import type { Envelope } from '#protocol/envelope.ts'
import type { Secret } from '#ground/base/secret.ts'
import type { ApiClient } from '../api.ts'
import { authMount, LoginError, type LoginMethod, type LoginOptions, postLogin } from './login.ts'

/** Where the kubelet puts a pod's token. */
export const podTokenPath = '/var/run/secrets/kubernetes.io/serviceaccount/token'

export type KubernetesLoginOptions = {
  readonly role: string
  /** Default `auth/kubernetes`. */
  readonly mount?: string
  /** The token's file, read at each login: the kubelet replaces it every hour. Default `podTokenPath`. */
  readonly tokenPath?: string
  /** Where the token comes from instead of a file (a TokenRequest); called at each login. */
  readonly getToken?: (signal: AbortSignal | undefined) => Promise<Secret>
}

/** Logs in with a service account's token. */
export function kubernetesLogin(options: KubernetesLoginOptions): LoginMethod {
  const mount = authMount(options.mount ?? 'kubernetes')
  return {
    describes: `kubernetes role "${options.role}" at ${mount}`,
    async login(client: ApiClient, call: LoginOptions = {}): Promise<Envelope> {
      const jwt = options.getToken
        ? (await options.getToken(call.signal)).reveal('service account token to log in with')
        : await readToken(options.tokenPath ?? podTokenPath)
      return postLogin(client, `${mount}/login`, { role: options.role, jwt }, call)
    },
  }
}

async function readToken(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LoginError(`service account token ${path} can't be read: ${reason}`, { cause })
  }
  const token = text.trim()
  if (token === '') throw new LoginError(`service account token ${path} is empty`)
  return token
}
