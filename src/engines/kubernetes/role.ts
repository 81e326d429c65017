import type { Seconds } from '#ground/base/clock.ts'
import type { Input } from '#ground/fields/field.ts'
import { captured, commaList, durationSeconds, stringMap, text } from '#ground/fields/kit.ts'
import { TemplateError } from '#ground/template/errors.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { parseNameTemplate } from '#backend/name-template.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, jsonEntries } from '#backend/storage.ts'
import { parseLabelSelector, SelectorProblem } from '#kube/label-selector.ts'
import { fault } from '#protocol/fault.ts'
import { parseRules, RulesProblem } from './rules.ts'
import { type KubernetesState, row } from './state.ts'

type TextMap = Readonly<Record<string, string>>

/** What may be asked for under this name; of `account`, `kubernetesRole` and `rules` one is not empty. */
export type Role = {
  readonly name: string
  /** Exact names in lower case, sorted; `*` = any. null: never written. */
  readonly namespaces: readonly string[] | null
  /** A label selector in JSON or YAML; empty = none. Either it or the list lets in. */
  readonly namespaceSelector: string
  /** 0 = the mount's. */
  readonly maxTtl: Seconds
  readonly defaultTtl: Seconds
  /** null or empty: the API server's own. */
  readonly audiences: readonly string[] | null
  /** A service account that is there. */
  readonly account: string
  /** A Role or ClusterRole that is there. */
  readonly kubernetesRole: string
  /** Of the one that is there, or of the one that is made. */
  readonly kubernetesRoleType: RoleType
  /** JSON or YAML. */
  readonly rules: string
  /** Empty = `defaultNameTemplate`. */
  readonly nameTemplate: string
  readonly labels: TextMap | null
  readonly annotations: TextMap | null
}

export type RoleType = 'Role' | 'ClusterRole'

export const roleEntries = jsonEntries<Role>('roles/')

/** @source openbao builtin/logical/kubernetes/path_roles.go */
export const defaultNameTemplate =
  '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (unix_time) (random 24) | truncate 62 | lowercase }}'

/** Characters. */
const selectorCharactersMax = 16 * 1024
const templateCharactersMax = 4 * 1024

const fields = {
  name: captured('Name of the role; case does not count.'),
  allowed_kubernetes_namespaces: commaList({ description: 'Namespaces that credentials may be made in; * = all.' }),
  allowed_kubernetes_namespace_selector: text({
    description: 'Or a label selector for the namespace, in JSON or YAML.',
  }),
  token_max_ttl: durationSeconds({ description: "Longest life of a token; 0 = the mount's." }),
  token_default_ttl: durationSeconds({ description: "Life of a token that asks for none; 0 = the mount's." }),
  token_default_audiences: commaList({
    description: "Audiences of a token that asks for none; empty = the cluster's.",
  }),
  service_account_name: text({ description: 'A service account that is there: only tokens are made.' }),
  kubernetes_role_name: text({ description: 'A Role or ClusterRole that is there: an account bound to it is made.' }),
  kubernetes_role_type: text({ description: 'Role or ClusterRole.', fallback: 'Role' }),
  generated_role_rules: text({ description: 'Rules in JSON or YAML: a role, a binding and an account are made.' }),
  name_template: text({ description: 'Template of the names of what is made.' }),
  extra_labels: stringMap({ description: 'Further labels of what is made.' }),
  extra_annotations: stringMap({ description: 'Further annotations of what is made.' }),
} as const

type RoleInput = Input<typeof fields>

const emptyRole = (name: string): Role => ({
  name,
  namespaces: null,
  namespaceSelector: '',
  maxTtl: 0 as Seconds,
  defaultTtl: 0 as Seconds,
  audiences: null,
  account: '',
  kubernetesRole: '',
  kubernetesRoleType: 'Role',
  rules: '',
  nameTemplate: '',
  labels: null,
  annotations: null,
})

/** Trimmed, sorted, without doubles and empty ones. @source go-secure-stdlib strutil.RemoveDuplicates */
const unique = (items: readonly string[]): readonly string[] =>
  [...new Set(items.map(item => item.trim()).filter(item => item !== ''))].sort()

function roleType(value: string): RoleType {
  switch (value.toLowerCase()) {
    case '':
    case 'role':
      return 'Role'
    case 'clusterrole':
      return 'ClusterRole'
    default:
      throw fault('request.invalid', "kubernetes_role_type must be either 'Role' or 'ClusterRole'")
  }
}

/** @source openbao builtin/logical/kubernetes/path_roles.go: what isn't sent stays */
function merged(now: Role, { input, sent, nulls }: Call<RoleInput>): { role: Role; type: string } {
  const pick = <K extends keyof RoleInput, T>(name: K, of: (value: RoleInput[K]) => T, before: T): T =>
    sent.has(name) || nulls.includes(name) ? of(input[name]) : before
  const same = <T>(value: T): T => value
  return {
    role: {
      name: now.name,
      namespaces: pick(
        'allowed_kubernetes_namespaces',
        list => unique(list.map(one => one.toLowerCase())),
        now.namespaces,
      ),
      namespaceSelector: pick('allowed_kubernetes_namespace_selector', same, now.namespaceSelector),
      maxTtl: pick('token_max_ttl', same, now.maxTtl),
      defaultTtl: pick('token_default_ttl', same, now.defaultTtl),
      audiences: pick('token_default_audiences', unique, now.audiences),
      account: pick('service_account_name', same, now.account),
      kubernetesRole: pick('kubernetes_role_name', same, now.kubernetesRole),
      kubernetesRoleType: now.kubernetesRoleType,
      rules: pick('generated_role_rules', same, now.rules),
      nameTemplate: pick('name_template', same, now.nameTemplate),
      labels: pick('extra_labels', same<TextMap | null>, now.labels),
      annotations: pick('extra_annotations', same<TextMap | null>, now.annotations),
    },
    type: pick('kubernetes_role_type', same, now.kubernetesRoleType as string),
  }
}

// In this order: of several mistakes the first is told.
function checked({ role, type }: { role: Role; type: string }, { parts }: KubernetesState): Role {
  if ((role.namespaces ?? []).length === 0 && role.namespaceSelector === '') {
    throw fault(
      'request.invalid',
      'one (at least) of allowed_kubernetes_namespaces or allowed_kubernetes_namespace_selector must be set',
    )
  }
  if ([role.account, role.kubernetesRole, role.rules].filter(one => one !== '').length !== 1) {
    throw fault(
      'request.invalid',
      'one (and only one) of service_account_name, kubernetes_role_name or generated_role_rules must be set',
    )
  }
  if (role.maxTtl > 0 && role.defaultTtl > role.maxTtl) {
    const [asked, most] = [formatGoDuration(role.defaultTtl), formatGoDuration(role.maxTtl)]
    throw fault('request.invalid', `token_default_ttl ${asked} cannot be greater than token_max_ttl ${most}`)
  }
  const entry = { ...role, kubernetesRoleType: roleType(type) }
  checkSelector(role.namespaceSelector)
  checkRules(role.rules)
  checkTemplate(role.nameTemplate, parts.world)
  if (role.account !== '' && !isObjectName(role.account)) {
    throw fault(
      'request.invalid',
      'service_account_name is no name of a service account: small letters, digits, - and .',
    )
  }
  return entry
}

/** A DNS subdomain (RFC 1123), which accounts are named by. */
export const isObjectName = (name: string): boolean =>
  name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name)

function checkSelector(selector: string): void {
  if (selector === '') return
  const text = "failed to parse 'allowed_kubernetes_namespace_selector' as k8s.io/api/meta/v1/LabelSelector object"
  if (selector.length > selectorCharactersMax) throw fault('request.invalid', text, { reason: 'it is too long' })
  try {
    parseLabelSelector(selector)
  } catch (error) {
    if (error instanceof SelectorProblem) throw fault('request.invalid', text, { reason: error.message })
    throw error
  }
}

function checkRules(rules: string): void {
  if (rules === '') return
  try {
    parseRules(rules)
  } catch (error) {
    if (!(error instanceof RulesProblem)) throw error
    const text = "failed to parse 'generated_role_rules' as k8s.io/api/rbac/v1/Policy object"
    throw fault('request.invalid', text, { reason: error.message })
  }
}

function checkTemplate(template: string, world: KubernetesState['parts']['world']): void {
  if (template.length > templateCharactersMax) {
    throw fault('request.invalid', `name_template may have ${templateCharactersMax} characters at most`)
  }
  try {
    parseNameTemplate(world, template || defaultNameTemplate)
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    throw fault('request.invalid', `unable to initialize name template: unable to parse template: ${error.message}`)
  }
}

async function write(call: Call<RoleInput>, state: KubernetesState): Promise<Reply> {
  const name = call.input.name
  await state.parts.view.update<Role, void>(roleEntries.key(name), now => ({
    entry: checked(merged(now ?? emptyRole(name), call), state),
    result: undefined,
  }))
  return empty
}

const show = (role: Role): Json => ({
  name: role.name,
  allowed_kubernetes_namespaces: role.namespaces,
  allowed_kubernetes_namespace_selector: role.namespaceSelector,
  token_max_ttl: role.maxTtl,
  token_default_ttl: role.defaultTtl,
  token_default_audiences: role.audiences,
  service_account_name: role.account,
  kubernetes_role_name: role.kubernetesRole,
  kubernetes_role_type: role.kubernetesRoleType,
  generated_role_rules: role.rules,
  name_template: role.nameTemplate,
  extra_labels: role.labels,
  extra_annotations: role.annotations,
})

export const roleRows = [
  namesRow<KubernetesState>('roles', roleEntries, 'Names of all roles.'),
  row({
    path: 'roles/:name',
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
      update: { access: 'policy', summary: 'Write a role: where, which rights, how long.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role; leases made by it go on.',
        async handler(call, { parts }) {
          await parts.view.commit([drop(roleEntries.key(call.input.name))])
          return empty
        },
      },
    },
    help: {
      synopsis: 'Which credentials may be made, and where.',
      description:
        'Tokens of an account that is there, of an account bound to a role that is there, or of an account with rules of its own.',
    },
  }),
]
