import type { Input } from '#ground/fields/field.ts'
import { anything, commaList, lowerText, object, optionalBool, text } from '#ground/fields/kit.ts'
import { splitPem } from '#ground/crypto/certificates.ts'
import { isJsonObject, type Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { put } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { configKey, type JwtConfig, type KeySetPlace } from './config-entry.ts'
import { isAddress, IssuerError } from './issuer.ts'
import type { Kit } from './kit.ts'
import { type JwtState, row } from './state.ts'

const fields = {
  oidc_discovery_url: text({ description: 'The issuer; its discovery document says where the keys are.' }),
  oidc_discovery_ca_pem: text({ description: 'PEM of the CA of the issuer; empty = those of the system.' }),
  oidc_client_id: text({ description: 'What the issuer knows this server by, for logins of people.' }),
  oidc_client_secret: text({ description: 'The secret that goes with it.', isSecret: true }),
  oidc_response_mode: text({ description: 'How the issuer answers: query.' }),
  oidc_response_types: commaList({ description: 'What the issuer answers: code.' }),
  jwks_url: text({ description: 'Where the keys are.' }),
  jwks_ca_pem: text({ description: 'PEM of the CA of jwks_url; empty = those of the system.' }),
  jwks_pairs: anything({ description: 'Several places of keys: a list of {jwks_url, jwks_ca_pem}.', type: 'array' }),
  jwt_validation_pubkeys: commaList({
    description: 'The keys themselves: public keys or certificates (PEM), or a key set (JSON).',
  }),
  bound_issuer: text({ description: 'The issuer (iss) that tokens must name.' }),
  jwt_supported_algs: commaList({ description: 'Algorithms of signatures; empty = all that are known.' }),
  default_role: lowerText({ description: 'The role of logins that name none.' }),
  provider_config: object({ description: 'What is particular to a provider; none is known.' }),
  namespace_in_state: optionalBool({ description: 'Name the namespace in the state of a login of people.' }),
} as const

type ConfigInput = Input<typeof fields>

const refuse = (message: string): never => {
  throw fault('request.invalid', message)
}

const pairsMax = 16

function pairsOf(value: Json | undefined): readonly KeySetPlace[] {
  if (value === undefined || value === null) return []
  const list = Array.isArray(value) ? (value as readonly Json[]) : refuse('jwks_pairs must be a list')
  if (list.length > pairsMax) refuse(`jwks_pairs may hold ${pairsMax} places at most`)
  return list.map(one => {
    const { jwks_url: url, jwks_ca_pem: ca = '' } = isJsonObject(one) ? one : {}
    if (typeof url !== 'string' || typeof ca !== 'string') return refuse('jwks_pairs: each must have a jwks_url')
    return { url, ca }
  })
}

/** All that can be said without asking anybody. @source hv vault-plugin-auth-jwt path_config.go */
function entryOf(input: ConfigInput, before: JwtConfig | null, { kit }: JwtState): JwtConfig {
  const pairs = pairsOf(input.jwks_pairs)
  const ways = [
    input.jwt_validation_pubkeys.length > 0,
    input.jwks_url !== '',
    pairs.length > 0,
    input.oidc_discovery_url !== '',
  ]
  if (ways.filter(Boolean).length !== 1) {
    refuse("exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set")
  }
  if (pairs.length > 0 && input.jwks_ca_pem !== '') {
    refuse("CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs")
  }
  if (pairs.length > 0 && input.bound_issuer !== '') refuse("Bound issuer is not supported for use with 'jwks_pairs'")
  checkOidc(input)
  const odd = input.jwt_supported_algs.find(name => !kit.signatureAlgorithms.includes(name))
  if (odd !== undefined) refuse(`invalid jwt_supported_algs: unsupported signing algorithm "${odd}"`)
  const publicKeys = publicKeysOf(input.jwt_validation_pubkeys, kit)
  checkCa('oidc_discovery_ca_pem', input.oidc_discovery_ca_pem)
  checkCa('jwks_ca_pem', input.jwks_ca_pem)
  for (const { ca } of pairs) checkCa('jwks_ca_pem', ca)
  return {
    publicKeys,
    keySets: input.jwks_url === '' ? pairs : [{ url: input.jwks_url, ca: input.jwks_ca_pem }],
    isPaired: pairs.length > 0,
    discovery:
      input.oidc_discovery_url === '' ? null : { url: input.oidc_discovery_url, ca: input.oidc_discovery_ca_pem },
    boundIssuer: input.bound_issuer,
    algorithms: input.jwt_supported_algs,
    defaultRole: input.default_role,
    clientId: input.oidc_client_id,
    clientSecret: input.oidc_client_secret,
    responseTypes: input.oidc_response_types,
    responseMode: input.oidc_response_mode,
    namesNamespace: input.namespace_in_state ?? before?.namesNamespace ?? true,
  }
}

function checkOidc(input: ConfigInput): void {
  if ((input.oidc_client_id === '') !== (input.oidc_client_secret === '')) {
    refuse("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
  }
  if (input.oidc_client_id !== '' && input.oidc_discovery_url === '') {
    refuse("'oidc_discovery_url' must be set for OIDC")
  }
  if (input.oidc_discovery_url.includes('.well-known')) {
    refuse("'oidc_discovery_url' contains '.well-known' component")
  }
  const provider = input.provider_config === undefined ? [] : Object.keys(input.provider_config)
  if (provider.length > 0) {
    refuse('invalid provider_config: this server knows no particular providers; leave it out, and use groups_claim')
  }
  if (!['', 'query'].includes(input.oidc_response_mode)) {
    refuse(`invalid response_mode: "${input.oidc_response_mode}"; this server takes query`)
  }
  const odd = input.oidc_response_types.find(type => type !== 'code')
  if (odd === 'id_token') refuse('query response_mode may not be used with an id_token response_type')
  if (odd !== undefined) refuse(`invalid response_types: "${odd}"; this server takes code`)
}

const pemBlock = /-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g

/**
 * A list by commas, or several blocks in one text. Ours: a key set as an issuer publishes it, kept as PEM.
 * @throws Fault 400
 */
function publicKeysOf(given: readonly string[], { readPublicKey, readKeySet, JwsError }: Kit): readonly string[] {
  const joined = given.join('\n').trim()
  if (joined === '') return []
  try {
    const blocks = joined.startsWith('{')
      ? readKeySet(given.join(',')).map(({ key }) => key.export({ type: 'spki', format: 'pem' }))
      : (joined.match(pemBlock) ?? [joined])
    for (const pem of blocks) readPublicKey(pem)
    return blocks.length > 0 ? blocks : refuse('error parsing public key: the key set has no key for signatures')
  } catch (error) {
    if (!(error instanceof JwsError)) throw error
    return refuse(`error parsing public key: ${error.message}`)
  }
}

function checkCa(name: string, pem: string): void {
  if (pem === '') return
  try {
    splitPem(pem)
  } catch {
    refuse(`error checking ${name}: could not parse CA PEM value successfully`)
  }
}

// Every write replaces all; nothing is merged. What can't be reached is refused: a mistyped address shows at once.
async function write(call: Call<ConfigInput>, state: JwtState): Promise<Reply> {
  const entry = entryOf(call.input, await state.parts.view.get(configKey), state)
  const [what, places] =
    entry.discovery === null
      ? (['error checking jwks URL', entry.keySets] as const)
      : (['error checking oidc discovery URL', [entry.discovery]] as const)
  const odd = places.find(({ url }) => !isAddress(url))
  if (odd !== undefined) refuse(`${what}: "${odd.url}" is no address with http:// or https://`)
  try {
    await state.issuer.check(entry)
  } catch (error) {
    if (!(error instanceof IssuerError)) throw error
    refuse(`${what}: ${error.message}`)
  }
  await state.parts.view.commit([put(configKey, entry)])
  state.issuer.reset()
  return empty
}

async function read(_call: unknown, state: JwtState): Promise<Reply> {
  const entry = await state.parts.view.get(configKey)
  if (entry === null) return missing
  const single = entry.isPaired ? undefined : entry.keySets[0]
  return {
    kind: 'data',
    data: {
      oidc_discovery_url: entry.discovery?.url ?? '',
      oidc_discovery_ca_pem: entry.discovery?.ca ?? '',
      oidc_client_id: entry.clientId,
      oidc_response_mode: entry.responseMode,
      oidc_response_types: entry.responseTypes,
      jwks_url: single?.url ?? '',
      jwks_ca_pem: single?.ca ?? '',
      jwks_pairs: entry.isPaired ? entry.keySets.map(({ url, ca }) => ({ jwks_url: url, jwks_ca_pem: ca })) : [],
      jwt_validation_pubkeys: entry.publicKeys,
      bound_issuer: entry.boundIssuer,
      jwt_supported_algs: entry.algorithms,
      default_role: entry.defaultRole,
      provider_config: {},
      namespace_in_state: entry.namesNamespace,
    },
  }
}

export const configRow = row({
  path: 'config',
  fields,
  operations: {
    read: { access: 'policy', summary: 'Who signs the tokens; the client secret is not shown.', handler: read },
    update: { access: 'policy', summary: 'Say who signs the tokens.', handler: write },
  },
  help: { synopsis: 'Who signs the tokens.', description: 'A write replaces the whole configuration.' },
})
