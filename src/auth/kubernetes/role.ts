import { captured, commaList, text } from '#ground/fields/kit.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { Json } from '#ground/text/json.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, jsonEntries } from '#backend/storage.ts'
import {
  applyTokenInput,
  noParameters,
  showTokenParameters,
  type StoredParameters,
  tokenFields,
} from '#backend/token-parameters.ts'
import { parseLabelSelector, SelectorProblem } from '#kube/label-selector.ts'
import { fault } from '#protocol/fault.ts'
import { type KubernetesState, row } from './state.ts'

/** Which accounts may log in under this name, and what they get. */
export type Role = {
  /** Exact names and globs; `*` alone = any. */
  readonly names: readonly string[]
  readonly namespaces: readonly string[]
  /** A label selector in JSON or YAML; empty = none. Either it or the list lets in. */
  readonly namespaceSelector: string
  /** Ours: account UIDs; empty = any. An account made anew has another. */
  readonly uids: readonly string[]
  /** Empty = whatever the token was made for. */
  readonly audience: string
  readonly aliasNameSource: 'serviceaccount_uid' | 'serviceaccount_name'
  readonly stored: StoredParameters
}

export const roleEntries = jsonEntries<Role>('role/')

const fields = {
  name: captured('Name of the role; case does not count.'),
  bound_service_account_names: commaList({ description: 'Accounts that may log in; globs, or * alone.' }),
  bound_service_account_namespaces: commaList({ description: 'Namespaces they are in; globs, or * alone.' }),
  bound_service_account_namespace_selector: text({
    description: 'Or a label selector for the namespace, in JSON or YAML.',
  }),
  bound_service_account_uids: commaList({
    description: 'UIDs of the accounts, in addition to their names (an extension).',
  }),
  audience: text({ description: 'Audience that the token must be made for.' }),
  alias_name_source: text({ description: 'What names the alias: serviceaccount_uid or serviceaccount_name.' }),
  ...tokenFields,
} as const

type RoleInput = Input<typeof fields>

const emptyRole: Role = {
  names: [],
  namespaces: [],
  namespaceSelector: '',
  uids: [],
  audience: '',
  aliasNameSource: 'serviceaccount_uid',
  stored: noParameters,
}

/** Labels that a namespace must have; null when the text is no selector of labels. Expressions aren't taken, as there. */
export function matchLabels(selector: string): Readonly<Record<string, string>> | null {
  try {
    const { matchLabels: labels, matchExpressions } = parseLabelSelector(selector)
    return matchExpressions === undefined ? (labels ?? null) : null
  } catch (error) {
    if (error instanceof SelectorProblem) return null
    throw error
  }
}

function checkMix(values: readonly string[]): void {
  if (values.length > 1 && values.includes('*')) throw fault('request.invalid', 'can not mix "*" with values')
}

function checked(role: Role): Role {
  if (role.names.length === 0) throw fault('request.invalid', '"bound_service_account_names" can not be empty')
  checkMix(role.names)
  if (role.namespaces.length === 0 && role.namespaceSelector === '') {
    throw fault(
      'request.invalid',
      '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set',
    )
  }
  if (role.namespaceSelector !== '' && matchLabels(role.namespaceSelector) === null) {
    throw fault('request.invalid', 'invalid "bound_service_account_namespace_selector" configured')
  }
  checkMix(role.namespaces)
  return role
}

function aliasSource(value: string): Role['aliasNameSource'] {
  if (value === '' || value === 'serviceaccount_uid') return 'serviceaccount_uid'
  if (value === 'serviceaccount_name') return value
  throw fault('request.invalid', 'invalid alias_name_source, must be one of: serviceaccount_uid, serviceaccount_name')
}

/** @source openbao builtin/credential/kubernetes/path_role.go: what isn't sent stays, but for the selector, which goes */
function merged(now: Role, input: RoleInput, sent: ReadonlySet<string>): Role {
  return checked({
    names: sent.has('bound_service_account_names') ? input.bound_service_account_names : now.names,
    namespaces: sent.has('bound_service_account_namespaces') ? input.bound_service_account_namespaces : now.namespaces,
    namespaceSelector: input.bound_service_account_namespace_selector,
    uids: sent.has('bound_service_account_uids') ? input.bound_service_account_uids : now.uids,
    audience: sent.has('audience') ? input.audience : now.audience,
    aliasNameSource: sent.has('alias_name_source') ? aliasSource(input.alias_name_source) : now.aliasNameSource,
    stored: applyTokenInput(now.stored, input, sent),
  })
}

async function write(call: Call<RoleInput>, state: KubernetesState): Promise<Reply> {
  const { input, sent } = call
  const role = await state.parts.view.update<Role, Role>(roleEntries.key(input.name), now => {
    const entry = merged(now ?? emptyRole, input, sent)
    checkAgainstMount(entry, state)
    return { entry, result: entry }
  })
  const warnings = warningsOf(role, state)
  return warnings.length === 0 ? empty : { kind: 'empty', warnings }
}

function checkAgainstMount({ stored }: Role, { parts }: KubernetesState): void {
  const max = parts.mount.maxTtl()
  if (stored.parameters.period > max) {
    const [asked, bound] = [formatGoDuration(stored.parameters.period), formatGoDuration(max)]
    throw fault(
      'request.invalid',
      `token period of '"${asked}"' is greater than the backend's maximum lease TTL of '"${bound}"'`,
    )
  }
}

function warningsOf(role: Role, { parts }: KubernetesState): readonly string[] {
  const warnings: string[] = []
  if (role.audience === '')
    warnings.push(`Role does not have an audience. In Vault v1.21+, specifying an audience on roles will be required.`)
  if (role.stored.parameters.maxTtl > parts.mount.maxTtl()) {
    warnings.push(
      "max_ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
    )
  }
  return warnings
}

function show(role: Role): Json {
  return {
    bound_service_account_names: role.names,
    bound_service_account_namespaces: role.namespaces,
    bound_service_account_namespace_selector: role.namespaceSelector,
    ...(role.uids.length > 0 && { bound_service_account_uids: role.uids }),
    ...(role.audience !== '' && { audience: role.audience }),
    alias_name_source: role.aliasNameSource,
    ...showTokenParameters(role.stored),
  }
}

export const roleRows = [
  namesRow<KubernetesState>('role', roleEntries, 'Names of all roles.'),
  row({
    path: 'role/:name',
    fields,
    foldCase: true,
    exists: async (call, state) => (await state.parts.view.get(roleEntries.key(call.input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a role.',
        async handler(call, state) {
          const role = await state.parts.view.get(roleEntries.key(call.input.name))
          return role === null ? missing : { kind: 'data', data: show(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a role: which accounts, which policies.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role; its tokens can not be renewed any more.',
        async handler(call, state) {
          await state.parts.view.commit([drop(roleEntries.key(call.input.name))])
          return empty
        },
      },
    },
    help: {
      synopsis: 'Which service accounts may log in, and what they get.',
      description: 'Names and namespaces must both fit.',
    },
  }),
]
