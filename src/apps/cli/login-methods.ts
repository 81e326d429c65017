import { existsSync } from 'node:fs'
import { Secret } from '#ground/base/secret.ts'
import type { Flags } from '#ground/text/flags.ts'
import { parseGoBool } from '#ground/text/flags.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { certLogin } from '#client/login/cert.ts'
import { approleLogin } from '#client/login/approle.ts'
import { jwtLogin } from '#client/login/jwt.ts'
import { kubernetesLogin, podTokenPath } from '#client/login/kubernetes.ts'
import { LoginError, type LoginOptions } from '#client/login/login.ts'
import { tokenLogin, unverified } from '#client/login/token.ts'
import { userpassLogin } from '#client/login/userpass.ts'
import { askHidden } from './ask.ts'
import type { Context } from './context.ts'

/** Made by `setup kubernetes`, for the people who run the server. */
const defaultAccount = 'coffer-admin'

/** `k=v` of the command line, with `mount`. */
type Config = Readonly<Record<string, string>>

/** How `login -method=X` gets its token; the way itself is `client/login/`. Another method is another line here. */
export const loginMethods: Readonly<Record<string, (c: Context<Flags>, config: Config) => Promise<Envelope>>> = {
  token: byToken,
  kubernetes: byKubernetes,
  userpass: byUserpass,
  cert: byCert,
  approle: byApprole,
  jwt: byJwt,
  oidc: byOidc,
}

const call = (c: Context<Flags>): LoginOptions => ({ signal: c.io.world.signal })

async function byToken(c: Context<Flags>, config: Config): Promise<Envelope> {
  let text = config['token']
  if (text === undefined) {
    if (!c.isInteractive) throw new LoginError("'token' not supplied and refusing to pull from stdin")
    text = await askHidden(c, 'Token (will be hidden): ')
  }
  const token = new Secret(text.trim())
  if (text.trim() === '') {
    throw new LoginError('a token must be passed to auth, please view the help for more information')
  }
  if (config['lookup'] !== undefined && !parseGoBool(config['lookup'])) return unverified(token)
  return tokenLogin({ token }).login(c.client, call(c))
}

async function byKubernetes(c: Context<Flags>, config: Config): Promise<Envelope> {
  const { jwt, mount = 'kubernetes', token_path: tokenPath } = config
  const isFound = jwt !== undefined || tokenPath !== undefined || existsSync(podTokenPath)
  // Whoever asks the cluster for a token asks for an account's, whose role `setup` names alike.
  const role = config['role'] ?? (isFound ? undefined : (config['account'] ?? defaultAccount))
  if (role === undefined) throw new LoginError("'role' must be supplied")
  if (jwt !== undefined) {
    return kubernetesLogin({ role, mount, getToken: async () => new Secret(jwt.trim()) }).login(c.client, call(c))
  }
  if (isFound) {
    return kubernetesLogin({ role, mount, ...(tokenPath !== undefined && { tokenPath }) }).login(c.client, call(c))
  }
  // Loaded only here: no other command needs a cluster.
  const { requestAccountToken } = await import('./account-token.ts')
  const getToken = (): Promise<Secret> => requestAccountToken(c, { account: defaultAccount, ...config })
  return kubernetesLogin({ role, mount, getToken }).login(c.client, call(c))
}

async function byUserpass(c: Context<Flags>, config: Config): Promise<Envelope> {
  const { username = '', mount = 'userpass' } = config
  if (username === '') throw new LoginError("'username' must be specified")
  let password = config['password'] ?? ''
  if (password === '') {
    if (!c.isInteractive) throw new LoginError("'password' not supplied and refusing to pull from stdin")
    password = await askHidden(c, 'Password (will be hidden): ')
  }
  return userpassLogin({ username, password: new Secret(password), mount }).login(c.client, call(c))
}

// The certificate is that of the connection: -client-cert and -client-key, or their variables.
function byCert(c: Context<Flags>, { name, mount }: Config): Promise<Envelope> {
  return certLogin({ ...(name !== undefined && { name }), ...(mount !== undefined && { mount }) }).login(
    c.client,
    call(c),
  )
}

async function byApprole(c: Context<Flags>, config: Config): Promise<Envelope> {
  const { role_id: roleId = '', mount = 'approle' } = config
  if (roleId === '') throw new LoginError("'role_id' must be specified")
  let secretId = config['secret_id'] ?? ''
  // A role may ask for none: then the answer is empty.
  if (secretId === '' && c.isInteractive) secretId = await askHidden(c, 'Secret ID (will be hidden): ')
  const secret = secretId === '' ? null : new Secret(secretId.trim())
  return approleLogin({ roleId: roleId.trim(), secretId: secret, mount }).login(c.client, call(c))
}

async function byJwt(c: Context<Flags>, { role = '', jwt = '', mount = 'jwt' }: Config): Promise<Envelope> {
  if (jwt.trim() === '') throw new LoginError("'jwt' must be supplied: jwt=@FILE, or jwt=- for stdin")
  return jwtLogin({ role, mount, jwt: new Secret(jwt.trim()) }).login(c.client, call(c))
}

async function byOidc(c: Context<Flags>, config: Config): Promise<Envelope> {
  // Loaded only here: no other login listens.
  const { browserLogin } = await import('./browser-login.ts')
  return browserLogin(c, config)
}
