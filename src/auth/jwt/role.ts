import type { Input } from '#ground/fields/field.ts'
import { seconds } from '#ground/base/clock.ts'
import {
  bool,
  captured,
  commaList,
  durationSeconds,
  object,
  signedDuration,
  stringMap,
  text,
} from '#ground/fields/kit.ts'
import { isJsonObject, type Json, type JsonObject } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { applyTokenInput, noParameters, showTokenParameters, tokenFields } from '#backend/token-parameters.ts'
import { fault } from '#protocol/fault.ts'
import { type JwtRole, roleEntries } from './role-entry.ts'
import { type JwtState, row } from './state.ts'

const fields = {
  name: captured('Name of the role; case does not count.'),
  role_type: text({ description: 'jwt: programs with a token; oidc: people with a browser. Default: oidc.' }),
  bound_audiences: commaList({ description: 'Audiences (aud); one of them must be that of the token.' }),
  bound_subject: text({ description: 'Subject (sub) of the token.' }),
  bound_claims: object({ description: 'Claims and what they must be; a list means one of.' }),
  bound_claims_type: text({ description: 'string: exactly; glob: a star stands for anything.' }),
  claim_mappings: stringMap({ description: 'Claims and the names of the metadata they become.' }),
  user_claim: text({ description: 'The claim that names who it is.' }),
  user_claim_json_pointer: bool({ description: 'user_claim is a JSON pointer.' }),
  groups_claim: text({ description: 'The claim that lists the groups.' }),
  oidc_scopes: commaList({ description: 'Scopes to ask for beside openid.' }),
  allowed_redirect_uris: commaList({ description: 'Where a login of people may come back to.' }),
  expiration_leeway: signedDuration({ description: 'Life of a token that names no end; 0 = 150 s, -1 = none.' }),
  not_before_leeway: signedDuration({ description: 'The same for its beginning; 0 = 150 s, -1 = none.' }),
  clock_skew_leeway: signedDuration({ description: 'How far clocks may differ; 0 = 60 s, -1 = none.' }),
  max_age: durationSeconds({ description: 'How long ago the person may have proven who it is.' }),
  verbose_oidc_logging: bool({ description: 'Log what the provider says (debug).' }),
  ...tokenFields,
} as const

type RoleInput = Input<typeof fields>

const emptyRole: JwtRole = {
  type: 'oidc',
  audiences: [],
  subject: '',
  claims: null,
  claimsType: 'string',
  mappings: null,
  userClaim: '',
  isUserClaimPointer: false,
  groupsClaim: '',
  scopes: [],
  redirectUris: [],
  expirationLeeway: 0,
  notBeforeLeeway: 0,
  clockSkewLeeway: 0,
  maxAge: 0,
  isVerbose: false,
  stored: noParameters,
}

const refuse = (message: string): never => {
  throw fault('request.invalid', message)
}

function typeOf(value: string): JwtRole['type'] {
  if (value === '') return 'oidc'
  return value === 'jwt' || value === 'oidc' ? value : refuse(`invalid 'role_type': ${value}`)
}

function claimsTypeOf(value: string): JwtRole['claimsType'] {
  if (value === '') return 'string'
  return value === 'string' || value === 'glob' ? value : refuse(`invalid 'bound_claims_type': ${value}`)
}

/** @source hv vault-plugin-auth-jwt path_role.go: what isn't sent stays */
function merged(now: JwtRole, input: RoleInput, sent: ReadonlySet<string>): JwtRole {
  const pick = <T>(name: keyof typeof fields, value: () => T, kept: T): T => (sent.has(name) ? value() : kept)
  return checked({
    type: pick('role_type', () => typeOf(input.role_type), now.type),
    audiences: pick('bound_audiences', () => input.bound_audiences, now.audiences),
    subject: pick('bound_subject', () => input.bound_subject, now.subject),
    claims: pick('bound_claims', () => input.bound_claims ?? null, now.claims),
    claimsType: pick('bound_claims_type', () => claimsTypeOf(input.bound_claims_type), now.claimsType),
    mappings: pick('claim_mappings', () => input.claim_mappings, now.mappings),
    userClaim: pick('user_claim', () => input.user_claim, now.userClaim),
    isUserClaimPointer: pick('user_claim_json_pointer', () => input.user_claim_json_pointer, now.isUserClaimPointer),
    groupsClaim: pick('groups_claim', () => input.groups_claim, now.groupsClaim),
    scopes: pick('oidc_scopes', () => input.oidc_scopes, now.scopes),
    redirectUris: pick('allowed_redirect_uris', () => input.allowed_redirect_uris, now.redirectUris),
    expirationLeeway: pick('expiration_leeway', () => input.expiration_leeway, seconds(now.expirationLeeway)),
    notBeforeLeeway: pick('not_before_leeway', () => input.not_before_leeway, seconds(now.notBeforeLeeway)),
    clockSkewLeeway: pick('clock_skew_leeway', () => input.clock_skew_leeway, seconds(now.clockSkewLeeway)),
    maxAge: pick('max_age', () => input.max_age, seconds(now.maxAge)),
    isVerbose: pick('verbose_oidc_logging', () => input.verbose_oidc_logging, now.isVerbose),
    stored: applyTokenInput(now.stored, input, sent),
  })
}

function checked(role: JwtRole): JwtRole {
  if (role.claims !== null) checkClaims(role.claims, role.claimsType)
  if (role.mappings !== null) checkMappings(role.mappings)
  if (role.userClaim === '') refuse('a user claim must be defined on the role')
  if (role.type === 'oidc' && role.redirectUris.length === 0) {
    refuse("'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.")
  }
  const isBound =
    role.audiences.length > 0 ||
    role.subject !== '' ||
    Object.keys(role.claims ?? {}).length > 0 ||
    role.stored.parameters.boundCidrs.length > 0
  if (role.type === 'jwt' && !isBound) {
    refuse('must have at least one bound constraint when creating/updating a role')
  }
  return role
}

function checkClaims(claims: JsonObject, type: JwtRole['claimsType']): void {
  for (const value of Object.values(claims)) {
    const isList = Array.isArray(value)
    if (value === null || isJsonObject(value)) refuse(`claim is not a string or list: ${JSON.stringify(value)}`)
    const items = isList ? (value as readonly Json[]) : [value]
    const odd = items.find(one =>
      type === 'glob'
        ? typeof one !== 'string'
        : one === null || (typeof one === 'object' && (Array.isArray(one) || isJsonObject(one))),
    )
    if (odd !== undefined)
      refuse(
        isList
          ? `claim is not a string: ${JSON.stringify(odd)}`
          : `claim is not a string or list: ${JSON.stringify(odd)}`,
      )
  }
}

function checkMappings(mappings: Readonly<Record<string, string>>): void {
  const targets = new Set<string>()
  for (const target of Object.values(mappings)) {
    if (target === 'role') refuse('metadata key "role" is reserved and may not be a mapping destination')
    if (targets.has(target)) refuse(`multiple keys are mapped to metadata key "${target}"`)
    targets.add(target)
  }
}

async function write(call: Call<RoleInput>, state: JwtState): Promise<Reply> {
  const { input, sent } = call
  const role = await state.parts.view.update<JwtRole, JwtRole>(roleEntries.key(input.name), now => {
    const entry = merged(now ?? emptyRole, input, sent)
    return { entry, result: entry }
  })
  const warnings =
    role.stored.parameters.maxTtl > state.parts.mount.maxTtl()
      ? [
          "token max ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
        ]
      : []
  return warnings.length === 0 ? empty : { kind: 'empty', warnings }
}

function show(role: JwtRole): Json {
  return {
    role_type: role.type,
    bound_audiences: role.audiences,
    bound_subject: role.subject,
    bound_claims: role.claims,
    bound_claims_type: role.claimsType,
    claim_mappings: role.mappings,
    user_claim: role.userClaim,
    user_claim_json_pointer: role.isUserClaimPointer,
    groups_claim: role.groupsClaim,
    oidc_scopes: role.scopes,
    allowed_redirect_uris: role.redirectUris,
    expiration_leeway: role.expirationLeeway,
    not_before_leeway: role.notBeforeLeeway,
    clock_skew_leeway: role.clockSkewLeeway,
    max_age: role.maxAge,
    verbose_oidc_logging: role.isVerbose,
    ...showTokenParameters(role.stored),
  }
}

export const roleRows = [
  namesRow<JwtState>('role', roleEntries, 'Names of all roles.'),
  row({
    path: 'role/:name',
    fields,
    foldCase: true,
    exists: async (call, { parts }) => (await parts.view.get(roleEntries.key(call.input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a role.',
        async handler(call, { parts }) {
          const role = await parts.view.get(roleEntries.key(call.input.name))
          return role === null ? missing : { kind: 'data', data: show(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a role: whose tokens, which policies.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role; its tokens can not be renewed any more.',
        async handler(call, { parts }) {
          await parts.view.commit([drop(roleEntries.key(call.input.name))])
          return empty
        },
      },
    },
    help: { synopsis: 'Whose tokens are taken, and what they give.', description: 'All that is bound must fit.' },
  }),
]
