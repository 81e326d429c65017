import type { Secret } from '#ground/base/secret.ts'
import { authMount, type LoginMethod, postLogin } from './login.ts'

export type UserpassLoginOptions = {
  readonly username: string
  readonly password: Secret
  /** Default `auth/userpass`. */
  readonly mount?: string
}

/** Logs in with a name and a password. */
export function userpassLogin({ username, password, mount = 'userpass' }: UserpassLoginOptions): LoginMethod {
  const at = authMount(mount)
  return {
    describes: `user "${username}" at ${at}`,
    login: (client, call = {}) =>
      postLogin(client, `${at}/login/${username}`, { password: password.reveal('password to log in with') }, call),
  }
}
