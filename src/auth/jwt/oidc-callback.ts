import type { Input } from '#ground/fields/field.ts'
import { text } from '#ground/fields/kit.ts'
import { setKey, type Json, type JsonObject } from '#ground/text/json.ts'
import { equalTexts } from '#ground/crypto/constant-time.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { audiencesOf, checkBound, checkRegistered, claimOf, ClaimError, personOf } from './claims.ts'
import type { JwtConfig } from './config-entry.ts'
import { IssuerError, type Provider } from './issuer.ts'
import { configOf, granted, refusal } from './login.ts'
import type { OidcState } from './oidc-states.ts'
import { type JwtRole, roleEntries } from './role-entry.ts'
import { type JwtState, row } from './state.ts'

const fields = {
  state: text({ description: 'Of the address that the login began with.', from: 'query' }),
  code: text({ description: 'What the provider gave.', isSecret: true, from: 'query' }),
  id_token: text({ description: 'Not taken: tokens come from the provider.', isSecret: true, from: 'query' }),
  client_nonce: text({ description: 'That of the beginning.', isSecret: true, from: 'query' }),
  error: text({ description: 'Why the provider refuses.', from: 'query' }),
  error_description: text({ description: 'The same in its words.', from: 'query' }),
  error_uri: text({ description: 'The same as a page.', from: 'query' }),
} as const

const failed = 'Vault login failed.'
const refuse = (rest: string): never => {
  throw fault('request.invalid', `${failed} ${rest}`)
}

/** @source hv vault-plugin-auth-jwt path_oidc.go: the order of the steps, and each text */
async function callback(call: Call<Input<typeof fields>>, state: JwtState): Promise<Reply> {
  const { input } = call
  const config = await configOf(state)
  const begun = state.states.take(input.state.split(',ns=')[0]!)
  if (begun === null) return refuse('Expired or missing OAuth state.')
  const role = await state.parts.view.get(roleEntries.key(begun.role))
  if (role === null) return refuse('Role could not be found')
  requireBoundAddress(role.stored.parameters, call.remoteAddress)
  if (begun.clientNonce !== '' && !equalTexts(begun.clientNonce, input.client_nonce)) {
    throw fault('request.invalid', 'invalid client_nonce')
  }
  if (input.error !== '') return refuse(input.error)
  if (input.code === '') return refuse('No code or id_token received.')
  const claims = await claimsOf(input.code, begun, role, config, state, call)
  try {
    const person = personOf(claims, role)
    checkBoundClaims(claims, role)
    return granted(begun.role, role, person)
  } catch (error) {
    throw refusal(error, '')
  }
}

function checkBoundClaims(claims: JsonObject, role: JwtRole): void {
  if (role.subject !== '' && claimOf(claims, 'sub') !== role.subject) refuse('sub claim does not match bound subject')
  try {
    checkBound(claims, role)
  } catch (error) {
    throw refusal(error, `${failed} error validating claims: `)
  }
}

/** Those of the ID token, and of the user's page where the provider has one. */
async function claimsOf(
  code: string,
  begun: OidcState,
  role: JwtRole,
  config: JwtConfig,
  state: JwtState,
  call: Pick<Call, 'signal' | 'now'>,
): Promise<JsonObject> {
  let provider: Provider
  let tokens: JsonObject
  try {
    provider = await state.issuer.provider(config)
    tokens = await exchange(code, begun, provider, config, state, call.signal)
  } catch (error) {
    if (!(error instanceof IssuerError)) throw error
    return refuse(`Error exchanging oidc code: "${error.message}".`)
  }
  const { id_token: idToken, access_token: accessToken } = tokens
  if (typeof idToken !== 'string') return refuse('Token verification failed. No id_token found in response.')
  const claims = await verified(idToken, provider, config, role, state, call.now())
  const nonce = claimOf(claims, 'nonce')
  if (typeof nonce !== 'string' || !equalTexts(nonce, begun.nonce)) refuse('invalid ID token nonce.')
  if (typeof accessToken !== 'string' || provider.userinfoEndpoint === '') return claims
  return withUser(claims, accessToken, provider, config, state, call.signal)
}

function exchange(
  code: string,
  begun: OidcState,
  { tokenEndpoint, clientAuthentication }: Provider,
  config: JwtConfig,
  { issuer }: JwtState,
  signal: AbortSignal,
): Promise<JsonObject> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    redirect_uri: begun.redirectUri,
    code_verifier: begun.verifier,
  })
  const headers: [string, string][] = [['Content-Type', 'application/x-www-form-urlencoded']]
  if (clientAuthentication.includes('client_secret_basic') || !clientAuthentication.includes('client_secret_post')) {
    // RFC 6749 section 2.3.1: both parts are form-encoded first.
    const pair = [config.clientId, config.clientSecret].map(encodeURIComponent).join(':')
    headers.push(['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`])
  } else {
    form.set('client_id', config.clientId)
    form.set('client_secret', config.clientSecret)
  }
  return issuer.ask(config, { method: 'POST', url: tokenEndpoint, headers, body: form.toString() }, signal)
}

/** @source OpenID Connect Core 1.0 section 3.1.3.7 */
async function verified(
  idToken: string,
  provider: Provider,
  config: JwtConfig,
  role: JwtRole,
  { issuer, kit }: JwtState,
  now: number,
): Promise<JsonObject> {
  try {
    const algorithms = config.algorithms.length > 0 ? config.algorithms : ['RS256']
    const claims = await issuer.verify(config, idToken, algorithms)
    if (claimOf(claims, 'exp') === undefined) throw new ClaimError('no expiration time (exp) claim in token')
    const expected = { ...role, issuer: provider.issuer, audiences: [config.clientId], subject: '' }
    checkRegistered(claims, expected, now)
    const audiences = audiencesOf(claims)
    const party = claimOf(claims, 'azp')
    if ((audiences.length > 1 || party !== undefined) && party !== config.clientId) {
      throw new ClaimError('the token was made for another party (azp)')
    }
    if (role.audiences.length > 0 && !role.audiences.some(one => audiences.includes(one))) {
      throw new ClaimError('invalid audience (aud) claim: audience claim does not match any expected audience')
    }
    checkAge(claims, role, now)
    return claims
  } catch (error) {
    if (!(error instanceof kit.JwsError || error instanceof IssuerError || error instanceof ClaimError)) throw error
    return refuse(`Token verification failed. ${error.message}`)
  }
}

function checkAge(claims: JsonObject, { maxAge }: JwtRole, now: number): void {
  if (maxAge === 0) return
  const at = claimOf(claims, 'auth_time')
  if (typeof at !== 'number') throw new ClaimError('no auth_time claim in token, which max_age needs')
  if (now / 1000 > at + maxAge + 60) throw new ClaimError('the person proved too long ago who it is (max_age)')
}

// What the user's page says is of the same person, or it isn't taken. Where it can't be had, the token's claims do.
async function withUser(
  claims: JsonObject,
  accessToken: string,
  { userinfoEndpoint }: Provider,
  config: JwtConfig,
  { issuer, parts }: JwtState,
  signal: AbortSignal,
): Promise<JsonObject> {
  let user: JsonObject
  try {
    const headers = [['Authorization', `Bearer ${accessToken}`]] as const
    user = await issuer.ask(config, { method: 'GET', url: userinfoEndpoint, headers }, signal)
  } catch (error) {
    if (!(error instanceof IssuerError)) throw error
    parts.world.log.warn('the provider says nothing of the user', { mount: parts.mount.path, error: error.message })
    return claims
  }
  if (claimOf(user, 'sub') !== claimOf(claims, 'sub')) {
    return refuse('Token verification failed. The userinfo endpoint answers for another subject.')
  }
  const merged: { [key: string]: Json } = {}
  for (const [name, value] of [...Object.entries(user), ...Object.entries(claims)]) setKey(merged, name, value)
  return merged
}

export const callbackRow = row({
  path: 'oidc/callback',
  fields,
  operations: {
    read: { access: 'login', summary: "End the login of a person with the provider's code.", handler: callback },
  },
  help: { synopsis: 'End the login of a person.', description: 'What the provider gave the browser is brought here.' },
})
