import type { Secret } from '#ground/base/secret.ts'
import { authMount, type LoginMethod, postLogin } from './login.ts'

export type JwtLoginOptions = {
  /** Empty = the mount's default. */
  readonly role: string
  readonly jwt: Secret
  /** Default `auth/jwt`. */
  readonly mount?: string
}

/** Logs in with a signed token. */
export function jwtLogin({ role, jwt, mount = 'jwt' }: JwtLoginOptions): LoginMethod {
  const at = authMount(mount)
  return {
    describes: `jwt role "${role}" at ${at}`,
    login: (client, call = {}) =>
      postLogin(client, `${at}/login`, { ...(role !== '' && { role }), jwt: jwt.reveal('JWT to log in with') }, call),
  }
}
