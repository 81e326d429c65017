import { readFile, rm } from 'node:fs/promises'
import { Secret } from '#ground/base/secret.ts'
import { textOf } from '#protocol/members.ts'
import type { ApiClient } from '../api.ts'
import { read } from '../calls/logical.ts'
import { unwrap } from '../calls/wrapping.ts'
import { authMount, LoginError, type LoginMethod, type LoginOptions, postLogin } from './login.ts'

export type ApproleLoginOptions = {
  readonly roleId: string
  /** null: the role asks for none. */
  readonly secretId: Secret | null
  /** Default `auth/approle`. */
  readonly mount?: string
}

/** Logs in with a role id and a secret id. */
export function approleLogin({ roleId, secretId, mount = 'approle' }: ApproleLoginOptions): LoginMethod {
  const at = authMount(mount)
  return {
    describes: `approle at ${at}`,
    login: (client, call = {}) => postLogin(client, `${at}/login`, bodyOf(roleId, secretId), call),
  }
}

const bodyOf = (roleId: string, secretId: Secret | null): { readonly [key: string]: string } => ({
  role_id: roleId,
  ...(secretId !== null && { secret_id: secretId.reveal('secret id to log in with') }),
})

export type ApproleFilesOptions = {
  readonly roleIdPath: string
  /** null: the role asks for none. */
  readonly secretIdPath: string | null
  /** Remove the file of the secret id once it was read; further logins use what was read. */
  readonly isSecretIdFileRemoved: boolean
  /** The file has a wrapping token instead: the path that made it, `auth/approle/role/app/secret-id`. */
  readonly wrappingPath: string | null
  /** Default `auth/approle`. */
  readonly mount?: string
  readonly onWarning?: (text: string) => void
}

/**
 * Logs in with what two files say, read anew at each login; what was read before counts where a file is gone.
 * @source openbao command/agentproxyshared/auth/approle
 */
export function approleFilesLogin(options: ApproleFilesOptions): LoginMethod {
  const at = authMount(options.mount ?? 'approle')
  let roleId: string | null = null
  let secretId: Secret | null = null
  /** The wrapping token that gave it: a file that stays is not unwrapped twice. */
  let wrapping: string | null = null
  return {
    describes: `approle of ${options.roleIdPath} at ${at}`,
    async login(client, call = {}) {
      roleId = (await readNonEmpty(options.roleIdPath)) ?? roleId
      if (roleId === null) throw new LoginError(`role id file ${options.roleIdPath} is missing or empty`)
      if (options.secretIdPath !== null) {
        const text = await readNonEmpty(options.secretIdPath)
        if (text !== null && text !== wrapping) {
          secretId = await secretIdOf(text, options, client, call)
          if (options.wrappingPath !== null) wrapping = text
        }
        if (text !== null && options.isSecretIdFileRemoved) await remove(options.secretIdPath, options)
        if (secretId === null) throw new LoginError(`secret id file ${options.secretIdPath} is missing or empty`)
      }
      return postLogin(client, `${at}/login`, bodyOf(roleId, secretId), call)
    },
  }
}

async function secretIdOf(
  text: string,
  { wrappingPath }: ApproleFilesOptions,
  client: ApiClient,
  call: LoginOptions,
): Promise<Secret> {
  const found = new Secret(text)
  return wrappingPath === null ? found : unwrapped(client.with({ token: found }), wrappingPath, call)
}

async function remove(path: string, { onWarning }: ApproleFilesOptions): Promise<void> {
  try {
    await rm(path)
  } catch (cause) {
    onWarning?.(`secret id file ${path} can't be removed: ${reasonOf(cause)}`)
  }
}

// Where it was made comes first: who could put a token of another path there would choose who this is.
async function unwrapped(client: ApiClient, wrappingPath: string, call: LoginOptions): Promise<Secret> {
  const options = { ...(call.signal && { signal: call.signal }), wrapTtlSeconds: 0 }
  const info = await read(client, 'sys/wrapping/lookup', {}, options)
  const made = info?.data ? textOf(info.data, 'creation_path') : ''
  if (made !== wrappingPath) {
    const what = made === '' ? 'does not say where it was made' : `was made at ${made}, not at ${wrappingPath}`
    throw new LoginError(`SECURITY: the wrapping token of the secret id ${what}`)
  }
  const answer = await unwrap(client, null, options)
  const secretId = answer?.data ? textOf(answer.data, 'secret_id') : ''
  if (secretId === '') throw new LoginError('the unwrapped answer holds no secret id')
  return new Secret(secretId)
}

/** null: no file, or nothing in it. */
async function readNonEmpty(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim() || null
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new LoginError(`${path} can't be read: ${reasonOf(cause)}`, { cause })
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
