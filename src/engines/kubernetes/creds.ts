import type { Input } from '#ground/fields/field.ts'
import { bool, captured, commaList, durationSeconds, shown, text } from '#ground/fields/kit.ts'
import { TemplateError } from '#ground/template/errors.ts'
import type { Call } from '#backend/call.ts'
import { parseNameTemplate } from '#backend/name-template.ts'
import type { Reply } from '#backend/reply.ts'
import type { KubeClient } from '#kube/client.ts'
import { matchesSelector, parseLabelSelector } from '#kube/label-selector.ts'
import { namespaces } from '#kube/resources.ts'
import { fault } from '#protocol/fault.ts'
import { clientOf } from './config.ts'
import { makeAccount } from './make.ts'
import { type Ask, reasonOf, textOf } from './objects.ts'
import { defaultNameTemplate, isObjectName, type Role, roleEntries } from './role.ts'
import { type KubernetesState, row } from './state.ts'
import { decideTtl, judgeTokenTtl, tokenTtl } from './ttl.ts'

const fields = {
  name: captured('Name of the role; case does not count.'),
  kubernetes_namespace: text({
    description: 'Namespace to make them in; may be left out where the role has just one.',
  }),
  cluster_role_binding: bool({ description: 'Rights in the whole cluster; the role must be of type ClusterRole.' }),
  ttl: durationSeconds({ description: "Life of the token; 0 = the role's default." }),
  audiences: commaList({ description: "Audiences of the token; empty = the role's default." }),
} as const

type CredsCall = Call<Input<typeof fields>>

/** What Vault's handlers return as a bare error. */
const failed = (text: string, error?: unknown) =>
  error === undefined
    ? fault('backend.failed', text)
    : fault('backend.failed', `${text}: ${textOf(error)}`, { reason: reasonOf(error) })

/** @source openbao builtin/logical/kubernetes/path_creds.go: the order of the steps, and each text */
async function make(call: CredsCall, state: KubernetesState): Promise<Reply> {
  const { input } = call
  const role = await state.parts.view.get(roleEntries.key(input.name))
  if (role === null) throw fault('request.invalid', `role '${input.name}' does not exist`)
  const namespace = await chosenNamespace(call, role, state)
  if (input.cluster_role_binding && role.kubernetesRoleType === 'Role') {
    throw fault('request.invalid', 'a ClusterRoleBinding cannot ref a Role')
  }
  const client = await asked(state)
  const { name, isUnique } = generateName(role, call, state)
  const mark = state.parts.world.entropy.base62(20)
  const ask: Ask = { role, namespace, name, mark, isClusterWide: input.cluster_role_binding }
  const { mount } = state.parts
  const { ttl, warnings } = decideTtl({
    asked: input.ttl,
    role,
    mountDefault: mount.defaultTtl(),
    mountMax: mount.maxTtl(),
  })
  const audiences = input.audiences.length > 0 ? input.audiences : (role.audiences ?? [])
  const account = role.account || name
  const { token, held, settles } = await makeAccount({ ask, isUnique, account, ttl, audiences }, client, call, state)
  const judged = judgeTokenTtl(tokenTtl(token) ?? ttl, ttl)
  return {
    kind: 'lease',
    secretType: 'kube_token',
    data: { service_account_namespace: namespace, service_account_name: account, service_account_token: token },
    internal: held,
    ttl: judged.ttl,
    maxTtl: role.maxTtl,
    renewable: false,
    ...(settles !== null && { settles }),
    warnings: [...warnings, ...judged.warnings],
  }
}

async function asked(state: KubernetesState): Promise<KubeClient> {
  try {
    return await clientOf(state)
  } catch (error) {
    throw failed(textOf(error))
  }
}

// A namespace's name (RFC 1123 label) becomes a part of paths.
const isNamespace = (name: string): boolean => name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)

async function chosenNamespace(call: CredsCall, role: Role, state: KubernetesState): Promise<string> {
  const wanted = call.input.kubernetes_namespace
  const listed = role.namespaces ?? []
  if (wanted === '') {
    const [only] = listed
    if (role.namespaceSelector === '' && listed.length === 1 && only !== undefined && only !== '*') return only
    throw failed(
      "error verifying namespace: 'kubernetes_namespace' is required unless the Vault role has a single namespace specified",
    )
  }
  const isListed = listed.includes('*') || listed.includes(wanted)
  if (isNamespace(wanted) && (isListed || (await isSelected(wanted, role, call.signal, state)))) return wanted
  throw fault(
    'request.invalid',
    `kubernetes_namespace '${wanted}' is not present in role's allowed_kubernetes_namespaces or does not match role's label selector allowed_kubernetes_namespace_selector`,
  )
}

async function isSelected(name: string, role: Role, signal: AbortSignal, state: KubernetesState): Promise<boolean> {
  if (role.namespaceSelector === '') return false
  try {
    const client = await clientOf(state)
    const found = await client.get({ ...placeOf(namespaces), name }, { signal })
    return matchesSelector(parseLabelSelector(role.namespaceSelector), found.metadata?.labels ?? {})
  } catch (error) {
    throw failed('error verifying namespace', error)
  }
}

const placeOf = ({ group, version, resource }: typeof namespaces) => ({ group, version, resource })

/** `isUnique`: chance is in it, since made twice it differs. */
function generateName(role: Role, call: CredsCall, { parts }: KubernetesState): { name: string; isUnique: boolean } {
  const meta = { DisplayName: call.caller?.displayName ?? '', RoleName: role.name }
  const template = parseNameTemplate(parts.world, role.nameTemplate || defaultNameTemplate)
  const generate = (): string => {
    const made = template.generate('kubesecrets.nameMetadata', meta)
    // Display names and roles may have characters that no account may have; a template of one's own can see to it.
    return role.nameTemplate === '' ? made.replace(/[^-.a-z0-9]/g, '-') : made
  }
  try {
    const name = generate()
    // No account is made where there is one: the name is then of no use.
    if (role.account === '' && !isObjectName(name)) {
      throw failed(`failed to generate name: ${JSON.stringify(name)} is no name of a service account`)
    }
    return { name, isUnique: name !== generate() }
  } catch (error) {
    if (error instanceof TemplateError) throw failed('failed to generate name: unable to apply template', error)
    throw error
  }
}

export const credsRow = row({
  path: 'creds/:name',
  fields,
  foldCase: true,
  role: call => call.input.name,
  operations: {
    update: {
      access: 'policy',
      leases: true,
      summary: 'A token of a service account, and the account and its rights where the role says so.',
      reply: {
        service_account_namespace: shown.text('Where the account is.'),
        service_account_name: shown.text('The account.'),
        service_account_token: shown.text('Its token.'),
      },
      handler: make,
    },
  },
  help: {
    synopsis: 'A token of a service account.',
    description: 'All that is made for it is deleted when the lease ends.',
  },
})
