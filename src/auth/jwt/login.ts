import type { Input } from '#ground/fields/field.ts'
import { lowerText, text } from '#ground/fields/kit.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, HeldLogin } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { audiencesOf, checkBound, checkRegistered, ClaimError, type Person, personOf } from './claims.ts'
import { configKey, type JwtConfig } from './config-entry.ts'
import { IssuerError } from './issuer.ts'
import { type JwtRole, roleEntries } from './role-entry.ts'
import { type JwtState, row } from './state.ts'

const fields = {
  role: lowerText({ description: 'The role to log in under; default: default_role of the configuration.' }),
  jwt: text({ description: 'The token.', isSecret: true }),
} as const

/** @source hv vault-plugin-auth-jwt path_login.go: the order of the steps, and each text */
async function login(call: Call<Input<typeof fields>>, state: JwtState): Promise<Reply> {
  const config = await configOf(state)
  const { name, role } = await roleOf(call.input.role, config, state)
  requireBoundAddress(role.stored.parameters, call.remoteAddress)
  if (role.type === 'oidc') throw fault('request.invalid', 'role with oidc role_type is not allowed')
  if (call.input.jwt === '') throw fault('request.invalid', 'missing token')
  const claims = await verified(call.input.jwt.trim(), config, state)
  try {
    checkRegistered(claims, { ...role, issuer: config.boundIssuer }, call.now())
  } catch (error) {
    throw refusal(error, 'error validating token: ')
  }
  if (audiencesOf(claims).length > 0 && role.audiences.length === 0) {
    throw fault('request.invalid', 'audience claim found in JWT but no audiences bound to the role')
  }
  try {
    const person = personOf(claims, role)
    checkBoundClaims(claims, role)
    return granted(name, role, person)
  } catch (error) {
    throw refusal(error, '')
  }
}

function checkBoundClaims(claims: JsonObject, role: JwtRole): void {
  try {
    checkBound(claims, role)
  } catch (error) {
    throw refusal(error, 'error validating claims: ')
  }
}

/** What the client is told of claims that don't do; other errors stay what they are. */
export const refusal = (error: unknown, prefix: string): unknown =>
  error instanceof ClaimError ? fault('request.invalid', `${prefix}${error.message}`) : error

async function verified(jwt: string, config: JwtConfig, { issuer, kit }: JwtState): Promise<JsonObject> {
  const algorithms = config.algorithms.length > 0 ? config.algorithms : kit.signatureAlgorithms
  try {
    return await issuer.verify(config, jwt, algorithms)
  } catch (error) {
    if (!(error instanceof kit.JwsError || error instanceof IssuerError)) throw error
    throw fault('request.invalid', `error validating token: error verifying token signature: ${error.message}`)
  }
}

/** @throws Fault 400 before anything was written to `config` */
export async function configOf({ parts }: JwtState): Promise<JwtConfig> {
  const config = await parts.view.get(configKey)
  if (config === null) throw fault('request.invalid', 'could not load configuration')
  return config
}

/** @param asked in lower case; empty = the default. @throws Fault 400 */
export async function roleOf(
  asked: string,
  config: JwtConfig,
  { parts }: JwtState,
): Promise<{ readonly name: string; readonly role: JwtRole }> {
  const name = asked === '' ? config.defaultRole : asked
  if (name === '') throw fault('request.invalid', 'missing role')
  const role = /^\w[\w.-]*$/.test(name) ? await parts.view.get(roleEntries.key(name)) : null
  if (role === null) throw fault('request.invalid', `role "${name}" could not be found`)
  return { name, role }
}

export const granted = (name: string, role: JwtRole, person: Person): Reply => ({
  kind: 'login',
  login: {
    alias: { name: person.name, metadata: { ...person.metadata } },
    groupAliases: person.groups.map(group => ({ name: group, metadata: {} })),
    displayName: person.name,
    metadata: { ...person.metadata, role: name },
    parameters: role.stored.parameters,
    renewable: true,
    internal: { role: name },
  },
})

/** TTLs as the role says now; whoever signed the token isn't asked again, and groups stay as they were. */
export async function renewLogin(held: HeldLogin, { parts }: JwtState): Promise<Granted> {
  const name = (held.login.internal as { role?: string }).role ?? ''
  const role = name === '' ? null : await parts.view.get(roleEntries.key(name))
  if (role === null) throw fault('request.invalid', `role ${name} does not exist during renewal`)
  const { ttl, maxTtl, period } = role.stored.parameters
  return { ttl, maxTtl, period }
}

export const loginRow = row({
  path: 'login',
  fields,
  role: async ({ input }, { parts }) => {
    const name = input.role === '' ? ((await parts.view.get(configKey))?.defaultRole ?? '') : input.role
    return name === '' ? null : name
  },
  operations: { update: { access: 'login', summary: 'Log in with a token of the issuer.', handler: login } },
  help: { synopsis: 'Log in with a signed token.', description: 'Its claims must be those that the role binds.' },
})
