import type { AuthBlock, Envelope } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import type { Lifetime } from '../lifetime.ts'

export type LoginOptions = {
  readonly signal?: AbortSignal
  /** Ask for a wrapped login; then the envelope has `wrapInfo` and no `auth`. */
  readonly wrapTtlSeconds?: number
}

/** One way to get a token. There is one implementation for each auth method; the agent, the CLI and the operators share it. */
export interface LoginMethod {
  /** For logs, without secrets: `kubernetes role "app" at auth/kubernetes`. */
  readonly describes: string
  /**
   * Logs in anew: whatever may have changed (a projected token) is read again.
   * @param client any client of the server; its own token is not sent.
   * @throws ApiError when the server refuses, LoginError when there is nothing to log in with
   */
  login(client: ApiClient, options?: LoginOptions): Promise<Envelope>
}

/** Nothing to log in with: the text names the file or field. */
export class LoginError extends Error {
  override readonly name = 'LoginError'
}

/** @throws LoginError when the answer has no token (a wrapped or half-finished login). */
export function authOf(envelope: Envelope): AuthBlock {
  if (!envelope.auth) throw new LoginError('the login gave no token: no auth information in the response')
  return envelope.auth
}

/** What `keepAlive` needs to know of a fresh token. */
export function lifetimeOf(auth: AuthBlock): Lifetime {
  return { ttlSeconds: auth.leaseDuration, isRenewable: auth.renewable }
}

/** `auth/kubernetes` from `kubernetes`, `auth/kubernetes/` or itself. */
export function authMount(mount: string): string {
  const bare = mount.replace(/^\/+|\/+$/g, '')
  return bare.startsWith('auth/') ? bare : `auth/${bare}`
}

/** Sends a login without any token and returns what it gave. */
export async function postLogin(
  client: ApiClient,
  path: string,
  body: { readonly [key: string]: string },
  options: LoginOptions = {},
): Promise<Envelope> {
  const answer = await client.with({ token: null }).request({ method: 'PUT', path, body, ...options })
  if (!answer.envelope) throw new LoginError(`empty response from ${path}`)
  return answer.envelope
}
