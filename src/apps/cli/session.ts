import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Secret } from '#ground/base/secret.ts'
import type { Flags } from '#ground/text/flags.ts'
import type { AuthBlock } from '#protocol/envelope.ts'
import type { ApiClient } from '#client/api.ts'
import { isTokenGone } from '#client/api-error.ts'
import { unwrap } from '#client/calls/wrapping.ts'
import { revokeSelf } from '#client/calls/token.ts'
import type { EnvironmentLogin } from '#client/environment.ts'
import { LoginError } from '#client/login/login.ts'
import { attempt, type Context } from './context.ts'
import { loginMethods } from './login-methods.ts'
import { sanitizePath } from './paths.ts'
import { runnerToken } from './runner-token.ts'
import { CliError } from './ui.ts'

/** A login made for one command; its end revokes the token, and with it what was leased by it. */
export type Session = AsyncDisposable & { readonly auth: AuthBlock; readonly client: ApiClient }

type Answers = { readonly [key: string]: string }

/**
 * Logs in as the environment says. @param c a context whose client has no token.
 * @throws CliError 1 for a method that isn't there, 2 when it refuses
 */
export async function openSession(c: Context<Flags>, login: EnvironmentLogin): Promise<Session> {
  const make = loginMethods[login.method]
  if (make === undefined || login.method === 'token') {
    const names = Object.keys(loginMethods).filter(name => name !== 'token')
    throw new CliError(1, `AUTH_METHOD names no auth method: ${login.method}. There are ${names.join(', ')}.`)
  }
  const mount = sanitizePath(login.path ?? login.method)
  const work = answersOf(login, c).then(answers => make(c, { ...answers, mount }))
  const { auth } = await attempt('Error authenticating', work)
  if (auth === null) throw new CliError(2, 'Error authenticating: the login gave no token')
  const client = c.client.with({ token: auth.clientToken })
  return { auth, client, [Symbol.asyncDispose]: () => farewell(c, auth) }
}

async function farewell(c: Context<Flags>, auth: AuthBlock): Promise<void> {
  // A batch token is known to nobody: it ends by itself.
  if (auth.tokenType === 'batch') return
  try {
    await revokeSelf(c.parting.with({ token: auth.clientToken }))
  } catch (error) {
    if (isTokenGone(error)) return
    c.ui.warn(
      `The token of this command could not be revoked, it ends in ${auth.leaseDuration}s: ${(error as Error).message}`,
    )
  }
}

/** What the method would be told on a command line. */
async function answersOf(login: EnvironmentLogin, c: Context<Flags>): Promise<Answers> {
  const role = login.role === undefined ? {} : { role: login.role }
  switch (login.method) {
    case 'approle': {
      if (login.roleId === undefined) throw new LoginError('ROLE_ID is not set')
      const secretId = await secretIdOf(login, c)
      return { role_id: login.roleId, ...(secretId !== null && { secret_id: secretId }) }
    }
    case 'jwt':
      return { ...role, jwt: await idTokenOf(login, c) }
    case 'userpass':
      return {
        username: login.username ?? '',
        password: login.password?.reveal('password to log in with') ?? '',
      }
    case 'cert':
      return login.role === undefined ? {} : { name: login.role }
    default:
      return role
  }
}

async function secretIdOf(login: EnvironmentLogin, c: Context<Flags>): Promise<string | null> {
  if (login.secretId !== undefined) return login.secretId.reveal('secret id to log in with')
  if (login.secretIdFile !== undefined) return textOf(c, login.secretIdFile)
  return login.wrappedSecretId === undefined ? null : unwrapped(c, login.wrappedSecretId)
}

// Works once: when somebody else was there before, the pipeline should stop and say so.
async function unwrapped(c: Context<Flags>, token: Secret): Promise<string> {
  const envelope = await unwrap(c.client.with({ token }), null)
  const secretId = envelope?.data?.['secret_id']
  if (typeof secretId !== 'string') throw new LoginError('WRAPPED_SECRET_ID wraps no secret id')
  return secretId
}

async function idTokenOf(login: EnvironmentLogin, c: Context<Flags>): Promise<string> {
  if (login.idToken !== undefined) return login.idToken.reveal('JWT to log in with')
  if (login.idTokenFile !== undefined) return textOf(c, login.idTokenFile)
  const token = await runnerToken(c.io, login.idTokenAudience)
  if (token === null) throw new LoginError('ID_TOKEN is not set, and the runner makes no tokens')
  return token.reveal('JWT to log in with')
}

async function textOf(c: Context<Flags>, path: string): Promise<string> {
  return (await readFile(resolve(c.io.cwd, path), 'utf8')).trim()
}
