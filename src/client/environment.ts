import { Secret } from '#ground/base/secret.ts'
import { DurationError, parseDurationSeconds } from '#ground/text/duration.ts'
import { parseGoBool } from '#ground/text/flags.ts'

/** TLS as the user asked for it; files are read when a connection is made. */
export type TlsSettings = {
  readonly caCert?: string
  readonly caPath?: string
  /** PEM text, or base64 of it. */
  readonly caBytes?: string
  readonly clientCert?: string
  readonly clientKey?: string
  readonly serverName?: string
  readonly skipVerify?: boolean
}

/** What the environment says to a client; what isn't set is absent. */
export type ClientEnvironment = {
  readonly address?: string
  readonly agentAddress?: string
  readonly token?: Secret
  /** Which variable the token came from, for the warning at `login`. */
  readonly tokenVariable?: string
  readonly tokenPath?: string
  readonly namespace?: string
  readonly tls: TlsSettings
  readonly timeoutMs?: number
  readonly maxRetries?: number
  readonly wrapTtlSeconds?: number
  readonly mfa?: readonly string[]
  readonly disableRedirects?: boolean
  readonly proxy?: string
  readonly format?: string
  readonly detailed?: boolean
  readonly noColor?: boolean
  readonly logLevel?: string
  readonly logFormat?: string
  readonly login?: EnvironmentLogin
}

/** How a program that nobody watches logs in, for what it does and no longer. */
export type EnvironmentLogin = {
  /** `approle`, `jwt`, …: one of the CLI's. */
  readonly method: string
  /** Where it is mounted; default: its name. */
  readonly path?: string
  readonly role?: string
  readonly roleId?: string
  readonly secretId?: Secret
  readonly secretIdFile?: string
  /** The secret id is what this wrapping token unwraps to. */
  readonly wrappedSecretId?: Secret
  readonly idToken?: Secret
  readonly idTokenFile?: string
  /** For whom the runner is asked to make the token. */
  readonly idTokenAudience?: string
  readonly username?: string
  readonly password?: Secret
}

export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
}

/** In order of weight: the last one that is set wins, even when it is set to nothing. */
export const environmentPrefixes = ['VAULT_', 'BAO_', 'COFFER_'] as const

/** Whoever has one of these can log in: not for a program that is given secrets. */
const credentialNames = ['TOKEN', 'SECRET_ID', 'WRAPPED_SECRET_ID', 'ID_TOKEN', 'PASSWORD']
const credentialVariables: ReadonlySet<string> = new Set(
  environmentPrefixes.flatMap(prefix => credentialNames.map(name => prefix + name)),
)

type Environment = Readonly<Record<string, string | undefined>>

/** The environment without what logs in. */
export const withoutCredentials = (env: Environment): Environment =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !credentialVariables.has(name)))

type Found = { readonly variable: string; readonly value: string }

/**
 * The only reader of `VAULT_*`, `BAO_*` and `COFFER_*` for clients.
 * @throws EnvironmentError naming the variable that can't be read.
 * @source openbao api/client.go ReadEnvironment, api/env.go
 */
export function readEnvironment(env: Environment): ClientEnvironment {
  const find = (name: string): Found | null => {
    for (const prefix of environmentPrefixes.toReversed()) {
      const value = env[prefix + name]
      if (value !== undefined) return value === '' ? null : { variable: prefix + name, value }
    }
    return null
  }
  const text = (name: string): string | undefined => find(name)?.value
  const bool = (name: string): boolean | undefined => {
    const found = find(name)
    if (!found) return undefined
    try {
      return parseGoBool(found.value)
    } catch (cause) {
      throw new EnvironmentError(`could not parse ${found.variable}: write true or false`, { cause })
    }
  }
  const seconds = (name: string): number | undefined => {
    const found = find(name)
    if (!found) return undefined
    try {
      return parseDurationSeconds(found.value)
    } catch (error) {
      if (!(error instanceof DurationError)) throw error
      throw new EnvironmentError(`could not parse "${found.variable}": write seconds or a duration like 90s`)
    }
  }
  const count = (name: string): number | undefined => {
    const found = find(name)
    if (!found) return undefined
    if (!/^\d{1,4}$/.test(found.value)) {
      throw new EnvironmentError(`could not parse "${found.variable}": write a whole number from 0 to 9999`)
    }
    return Number(found.value)
  }
  const timeout = seconds('CLIENT_TIMEOUT')
  const token = find('TOKEN')
  const mfa = text('MFA')
  return defined({
    address: text('ADDR'),
    agentAddress: text('AGENT_ADDR'),
    token: token ? new Secret(token.value) : undefined,
    tokenVariable: token?.variable,
    tokenPath: text('TOKEN_PATH'),
    namespace: text('NAMESPACE'),
    tls: defined({
      caCert: text('CACERT'),
      caPath: text('CAPATH'),
      caBytes: text('CACERT_BYTES'),
      clientCert: text('CLIENT_CERT'),
      clientKey: text('CLIENT_KEY'),
      serverName: text('TLS_SERVER_NAME'),
      skipVerify: bool('SKIP_VERIFY'),
    }),
    timeoutMs: timeout ? timeout * 1000 : undefined,
    maxRetries: count('MAX_RETRIES'),
    wrapTtlSeconds: seconds('WRAP_TTL'),
    mfa: mfa === undefined ? undefined : mfa.split(','),
    disableRedirects: bool('DISABLE_REDIRECTS'),
    proxy: text('PROXY_ADDR') ?? text('HTTP_PROXY'),
    format: text('FORMAT'),
    detailed: bool('DETAILED'),
    noColor: text('CLI_NO_COLOR') === undefined ? undefined : true,
    logLevel: text('LOG_LEVEL'),
    logFormat: text('LOG_FORMAT'),
    login: loginOf(text),
  })
}

function loginOf(text: (name: string) => string | undefined): EnvironmentLogin | undefined {
  const method = text('AUTH_METHOD')
  if (method === undefined) return undefined
  const secret = (name: string): Secret | undefined => {
    const value = text(name)
    return value === undefined ? undefined : new Secret(value)
  }
  return defined({
    method,
    path: text('AUTH_PATH'),
    role: text('AUTH_ROLE'),
    roleId: text('ROLE_ID'),
    secretId: secret('SECRET_ID'),
    secretIdFile: text('SECRET_ID_FILE'),
    wrappedSecretId: secret('WRAPPED_SECRET_ID'),
    idToken: secret('ID_TOKEN'),
    idTokenFile: text('ID_TOKEN_FILE'),
    idTokenAudience: text('ID_TOKEN_AUDIENCE'),
    username: text('USERNAME'),
    password: secret('PASSWORD'),
  })
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The same without the members that are undefined. */
function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Defined<T>
}
