import type { Input } from '#ground/fields/field.ts'
import { lowerText, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { data, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { configKey, type JwtConfig } from './config-entry.ts'
import { isAddress, IssuerError } from './issuer.ts'
import { configOf, roleOf } from './login.ts'
import { challengeOf, type OidcState } from './oidc-states.ts'
import type { JwtRole } from './role-entry.ts'
import { type JwtState, row } from './state.ts'

const fields = {
  role: lowerText({ description: 'The role to log in under; default: default_role of the configuration.' }),
  redirect_uri: text({ description: 'Where the browser comes back to; one of allowed_redirect_uris.' }),
  client_nonce: text({ description: 'Any text; the callback must bring the same.', isSecret: true }),
} as const

const loopback = ['localhost', '127.0.0.1', '[::1]']

/** Of an address of this machine the port doesn't count: a program listens where there is room (RFC 8252 section 7.3). */
export function isAllowedRedirect(uri: string, allowed: readonly string[]): boolean {
  if (allowed.includes(uri)) return true
  const asked = withoutPort(uri)
  return asked !== null && allowed.some(one => withoutPort(one) === asked)
}

function withoutPort(uri: string): string | null {
  if (!URL.canParse(uri)) return null
  const url = new URL(uri)
  if (!loopback.includes(url.hostname) || url.username !== '' || url.password !== '') return null
  url.port = ''
  return url.href
}

// All that goes wrong from here on is an empty address: clients print their own hint.
async function begin(call: Call<Input<typeof fields>>, state: JwtState): Promise<Reply> {
  const { input, namespace } = call
  const config = await configOf(state)
  if (config.clientId === '') throw fault('request.invalid', 'OIDC login is not configured for this mount')
  const { name, role } = await roleOf(input.role, config, state)
  if (input.redirect_uri === '') throw fault('request.invalid', 'missing redirect_uri')
  const none = (why: string): Reply => {
    state.parts.world.log.warn('no OIDC login can begin', { mount: state.parts.mount.path, role: name, why })
    return data({ auth_url: '' })
  }
  if (role.type !== 'oidc') return none('the role is not of type oidc')
  if (!isAllowedRedirect(input.redirect_uri, role.redirectUris)) {
    return none('redirect_uri is none of allowed_redirect_uris')
  }
  let endpoint: string
  try {
    endpoint = (await state.issuer.provider(config)).authorizationEndpoint
  } catch (error) {
    if (!(error instanceof IssuerError)) throw error
    return none(error.message)
  }
  if (!isAddress(endpoint)) return none('the discovery document has no authorization_endpoint')
  const begun = state.states.begin({ role: name, redirectUri: input.redirect_uri, clientNonce: input.client_nonce })
  if (begun === null) return none('too many logins are under way')
  const id = config.namesNamespace && namespace.path !== '' ? `${begun.id},ns=${namespace.path}` : begun.id
  return data({ auth_url: addressOf(endpoint, id, begun.state, config, role) })
}

function addressOf(endpoint: string, id: string, state: OidcState, config: JwtConfig, role: JwtRole): string {
  const url = new URL(endpoint)
  const scopes = ['openid', ...role.scopes.filter(scope => scope !== 'openid')]
  for (const [name, value] of [
    ['client_id', config.clientId],
    ['code_challenge', challengeOf(state.verifier)],
    ['code_challenge_method', 'S256'],
    ['nonce', state.nonce],
    ['redirect_uri', state.redirectUri],
    ['response_type', 'code'],
    ['scope', scopes.join(' ')],
    ['state', id],
    ...(role.maxAge > 0 ? ([['max_age', String(role.maxAge)]] as const) : []),
  ] as const) {
    url.searchParams.set(name, value)
  }
  return url.href
}

export const beginRow = row({
  path: 'oidc/auth_url',
  fields,
  role: async ({ input }, { parts }) => {
    const name = input.role === '' ? ((await parts.view.get(configKey))?.defaultRole ?? '') : input.role
    return name === '' ? null : name
  },
  operations: {
    update: {
      access: 'unauthenticated',
      summary: 'Begin the login of a person: where its browser goes.',
      handler: begin,
    },
  },
  help: {
    synopsis: 'Begin the login of a person.',
    description: 'The answer is the address at the provider; it is empty when none can be given.',
  },
})
