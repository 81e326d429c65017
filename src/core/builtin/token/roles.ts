import type { Input } from '#ground/fields/field.ts'
import { bool, captured, commaList, durationSeconds, text } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Row } from '#backend/engine.ts'
import { pagingFields } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import {
  applyTokenInput,
  noParameters,
  noTokenInput,
  type StoredParameters,
  tokenFields,
} from '#backend/token-parameters.ts'
import { normalPolicyName } from '#core/policy/names.ts'
import type { TokenRole } from '#core/tokens/roles.ts'
import { fault } from '#protocol/fault.ts'
import { pagesOf } from './pages.ts'
import { row, type TokenState } from './state.ts'

const oldExplicitMax = 'explicit_max_ttl'

const roleFields = {
  role_name: captured('Name of the role.'),
  allowed_policies: commaList({ description: 'Policies that its tokens may have, whatever those of the caller.' }),
  allowed_policies_glob: commaList({ description: 'The same as globs.' }),
  disallowed_policies: commaList({ description: 'Policies that its tokens may not have.' }),
  disallowed_policies_glob: commaList({ description: 'The same as globs.' }),
  orphan: bool({ description: 'Its tokens have no parent, and outlive who makes them.' }),
  renewable: bool({ description: 'May its tokens be renewed?', fallback: true }),
  path_suffix: text({ description: 'Ends the path of its tokens: leases below it can be revoked together.' }),
  allowed_entity_aliases: commaList({ description: 'Aliases that a call may name; globs.' }),
  token_bound_cidrs: tokenFields.token_bound_cidrs,
  token_explicit_max_ttl: tokenFields.token_explicit_max_ttl,
  token_no_default_policy: tokenFields.token_no_default_policy,
  token_num_uses: tokenFields.token_num_uses,
  token_period: tokenFields.token_period,
  token_type: text({ description: 'service, batch, default-service or default-batch; a default lets the call say.' }),
  bound_cidrs: tokenFields.bound_cidrs,
  period: tokenFields.period,
  explicit_max_ttl: durationSeconds({ description: 'Old name of token_explicit_max_ttl.', isDeprecated: true }),
} as const

type RoleCall = Call<Input<typeof roleFields>>

const newRole = (name: string): TokenRole => ({
  name,
  allowedPolicies: [],
  allowedPoliciesGlob: [],
  disallowedPolicies: [],
  disallowedPoliciesGlob: [],
  orphan: false,
  renewable: true,
  pathSuffix: '',
  allowedEntityAliases: [],
  token: { ...noParameters, parameters: { ...noParameters.parameters, type: 'default-service' } },
})

const policyNames = (names: readonly string[]): readonly string[] =>
  [...new Set(names.map(normalPolicyName).filter(name => name !== ''))].sort()

/** @source openbao vault/token_store.go tokenStoreRoleCreateUpdate */
function changed(now: TokenRole, { input, sent }: RoleCall): TokenRole {
  const pick = <T>(name: keyof typeof input, kept: T, taken: (given: never) => T): T =>
    sent.has(name) ? taken(input[name] as never) : kept
  const same = <T>(value: T): T => value
  const role: TokenRole = {
    name: now.name,
    allowedPolicies: pick('allowed_policies', now.allowedPolicies, policyNames),
    allowedPoliciesGlob: pick('allowed_policies_glob', now.allowedPoliciesGlob, policyNames),
    disallowedPolicies: pick('disallowed_policies', now.disallowedPolicies, policyNames),
    disallowedPoliciesGlob: pick('disallowed_policies_glob', now.disallowedPoliciesGlob, policyNames),
    orphan: pick('orphan', now.orphan, same<boolean>),
    renewable: pick('renewable', now.renewable, same<boolean>),
    pathSuffix: pick('path_suffix', now.pathSuffix, suffix),
    allowedEntityAliases: pick('allowed_entity_aliases', now.allowedEntityAliases, policyNames),
    token: parametersOf(now.token, { input, sent }),
  }
  checkBatch(role)
  return role
}

function suffix(value: string): string {
  if (value === '' || /^\w[\w.-]+\w$/.test(value)) return value
  throw fault('request.invalid', 'given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w')
}

function parametersOf(now: StoredParameters, { input, sent }: Pick<RoleCall, 'input' | 'sent'>): StoredParameters {
  const isOld = sent.has(oldExplicitMax)
  const isNew = sent.has('token_explicit_max_ttl')
  const given = {
    ...noTokenInput,
    token_bound_cidrs: input.token_bound_cidrs,
    token_explicit_max_ttl: isOld && !isNew ? input.explicit_max_ttl : input.token_explicit_max_ttl,
    token_no_default_policy: input.token_no_default_policy,
    token_num_uses: input.token_num_uses,
    token_period: input.token_period,
    // No method stands behind it that could say more: a default is that of service tokens.
    token_type: ['', 'default'].includes(input.token_type) ? 'default-service' : input.token_type,
    bound_cidrs: input.bound_cidrs,
    period: input.period,
  }
  const names = new Set([...sent].filter(name => Object.hasOwn(tokenFields, name)))
  if (isOld) names.add('token_explicit_max_ttl')
  const { parameters, oldNames } = applyTokenInput(now, given, names)
  const others = oldNames.filter(name => name !== oldExplicitMax)
  const isShownOld = isOld || (!isNew && oldNames.includes(oldExplicitMax))
  return { parameters, oldNames: isShownOld ? [...others, oldExplicitMax] : others }
}

function checkBatch({ orphan, renewable, token: { parameters } }: TokenRole): void {
  if (parameters.type !== 'batch') return
  const refuse = (what: string): never => {
    throw fault('request.invalid', `'token_type' cannot be 'batch' when role is set to generate ${what}`)
  }
  if (!orphan) refuse('non-orphan tokens')
  if (renewable) refuse('renewable tokens')
  if (parameters.explicitMaxTtl > 0) refuse('tokens with an explicit max TTL')
}

async function write(call: RoleCall, state: TokenState): Promise<Reply> {
  const name = call.input.role_name
  await state.roles.update(name, now => changed(now ?? newRole(name), call))
  return empty
}

async function read(call: RoleCall, state: TokenState): Promise<Reply> {
  const role = await state.roles.get(call.input.role_name)
  return role === null ? missing : { kind: 'data', data: shown(role) }
}

function shown(role: TokenRole): Json {
  const { parameters, oldNames } = role.token
  return {
    name: role.name,
    allowed_entity_aliases: role.allowedEntityAliases,
    allowed_policies: role.allowedPolicies,
    allowed_policies_glob: role.allowedPoliciesGlob,
    disallowed_policies: role.disallowedPolicies,
    disallowed_policies_glob: role.disallowedPoliciesGlob,
    explicit_max_ttl: oldNames.includes(oldExplicitMax) ? parameters.explicitMaxTtl : 0,
    orphan: role.orphan,
    path_suffix: role.pathSuffix,
    period: oldNames.includes('period') ? parameters.period : 0,
    renewable: role.renewable,
    token_explicit_max_ttl: parameters.explicitMaxTtl,
    token_no_default_policy: parameters.noDefaultPolicy,
    token_period: parameters.period,
    token_type: parameters.type,
    ...(parameters.boundCidrs.length > 0 && { token_bound_cidrs: parameters.boundCidrs }),
    ...(parameters.boundCidrs.length > 0 && oldNames.includes('bound_cidrs') && { bound_cidrs: parameters.boundCidrs }),
    ...(parameters.numUses > 0 && { token_num_uses: parameters.numUses }),
  }
}

export const roleRows: readonly Row<TokenState>[] = [
  row({
    path: 'roles',
    fields: pagingFields,
    operations: {
      list: {
        access: 'policy',
        summary: 'List the token roles.',
        handler: async (call, state) => ({
          kind: 'list',
          keys: await pagesOf(paging => state.roles.list(paging), call.input),
        }),
      },
    },
    help: { synopsis: 'List the token roles.', description: '' },
  }),
  row({
    path: 'roles/:role_name',
    fields: roleFields,
    exists: async (call, state) => (await state.roles.get(call.input.role_name)) !== null,
    operations: {
      read: { access: 'policy', summary: 'Read a token role.', handler: read },
      update: { access: 'policy', summary: 'Write a token role; only what is sent changes.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a token role.',
        async handler(call, state) {
          await state.roles.remove(call.input.role_name)
          return empty
        },
      },
    },
    help: {
      synopsis: 'What tokens made under a name may be.',
      description:
        'Who may use create/:role_name gets the tokens that the role allows, whatever the policies of their own token.',
    },
  }),
]
