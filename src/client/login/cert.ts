import type { Envelope } from '#protocol/envelope.ts'
import type { ApiClient } from '../api.ts'
import { authMount, type LoginMethod, type LoginOptions, postLogin } from './login.ts'

export type CertLoginOptions = {
  /** The one role to try; empty = all. */
  readonly name?: string
  /** Default `auth/cert`. */
  readonly mount?: string
}

/** Logs in with the certificate that the client's connection shows. */
export function certLogin({ name = '', mount: asked = 'cert' }: CertLoginOptions): LoginMethod {
  const mount = authMount(asked)
  return {
    describes: name === '' ? `client certificate at ${mount}` : `client certificate, role "${name}" at ${mount}`,
    login: (client: ApiClient, call: LoginOptions = {}): Promise<Envelope> =>
      postLogin(client, `${mount}/login`, name === '' ? {} : { name }, call),
  }
}
