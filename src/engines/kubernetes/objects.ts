import type { Json } from '#ground/text/json.ts'
import type { KubeClient } from '#kube/client.ts'
import { isNotFound, KubeError } from '#kube/errors.ts'
import type { KubeObject, ObjectMeta, OwnerReference, Role as RbacRole, RoleBinding, Stored } from '#kube/objects.ts'
import {
  clusterRoleBindings,
  clusterRoles,
  type Resource,
  roleBindings,
  roles,
  serviceAccounts,
} from '#kube/resources.ts'
import { apiVersionOf, type Target } from '#kube/target.ts'
import type { Role } from './role.ts'
import { parseRules } from './rules.ts'

const kinds = {
  Role: roles,
  ClusterRole: clusterRoles,
  RoleBinding: roleBindings,
  ClusterRoleBinding: clusterRoleBindings,
  ServiceAccount: serviceAccounts,
} as const satisfies Record<string, Resource>

type Kind = keyof typeof kinds

/** An object by its place; `namespace` null: of the whole cluster. */
export type ObjectRef = { readonly kind: Kind; readonly namespace: string | null; readonly name: string }

/** An object that we made: the UID tells it from a later one of its name. */
export type MadeObject = ObjectRef & { readonly uid: string }

/** An object that is to be made, with what a failure is called. */
type Planned = { readonly ref: ObjectRef; readonly object: KubeObject; readonly failure: string }

/** What an intent has: enough to find what was made, or perhaps was. */
export type Intended = {
  readonly objects: readonly ObjectRef[]
  /** The value of `markName` on each of them. */
  readonly mark: string
  /** The name has chance in it: whatever has it is ours. */
  readonly isUnique: boolean
}

/** What `revoke` is given. */
export type Held = { readonly namespace: string; readonly role: string; readonly objects: readonly MadeObject[] }

/** Annotation that tells our object from another of the same name. */
export const markName = 'coffer.dev/creation'

/** @source openbao builtin/logical/kubernetes/client.go: the words are HashiCorp's, so that selectors go on working */
const standardLabels = {
  'app.kubernetes.io/managed-by': 'HashiCorp-Vault',
  'app.kubernetes.io/created-by': 'vault-plugin-secrets-kubernetes',
} as const

export type Ask = {
  readonly role: Role
  readonly namespace: string
  /** Of all that is made. */
  readonly name: string
  readonly mark: string
  readonly isClusterWide: boolean
}

/**
 * What a role's credentials need, in the order of its making. The first owns the others: whoever deletes it by hand
 * takes them all, by the cluster's garbage collector.
 */
export function planObjects(ask: Ask): readonly Planned[] {
  const { role, namespace, name } = ask
  if (role.account !== '') return []
  const account: Planned = {
    ref: { kind: 'ServiceAccount', namespace, name },
    object: { metadata: metadataOf(ask, namespace) },
    failure: `failed to create service account '${namespace}/${name}'`,
  }
  if (role.rules === '') return [planBinding(ask, role.kubernetesRole), account]
  const isCluster = role.kubernetesRoleType === 'ClusterRole'
  const rbac: RbacRole = { metadata: metadataOf(ask, isCluster ? null : namespace), rules: [...parseRules(role.rules)] }
  const made: Planned = {
    ref: { kind: role.kubernetesRoleType, namespace: isCluster ? null : namespace, name },
    object: rbac,
    // The quote that isn't closed is the original's.
    failure: `failed to create Role/ClusterRole '${namespace}/${name}`,
  }
  return [made, planBinding(ask, name), account]
}

function planBinding(ask: Ask, bound: string): Planned {
  const { role, namespace, name, isClusterWide } = ask
  const where = isClusterWide ? null : namespace
  const binding: RoleBinding = {
    metadata: metadataOf(ask, where),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: role.kubernetesRoleType, name: bound },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  }
  return {
    ref: { kind: isClusterWide ? 'ClusterRoleBinding' : 'RoleBinding', namespace: where, name },
    object: binding,
    failure: `failed to create RoleBinding/ClusterRoleBinding '${name}' for ${bound}`,
  }
}

function metadataOf({ role, name, mark }: Ask, namespace: string | null): ObjectMeta {
  return {
    name,
    ...(namespace !== null && { namespace }),
    // Ours last: nobody overrides them.
    labels: { ...role.labels, ...standardLabels },
    annotations: { ...role.annotations, [markName]: mark },
  }
}

function targetOf({ kind, namespace, name }: ObjectRef, isForCreation: boolean): Target {
  const { group, version, resource } = kinds[kind]
  return {
    group,
    version,
    resource,
    ...(namespace !== null && { namespace }),
    ...(isForCreation ? {} : { name }),
  }
}

/** @throws KubeError */
export async function makeObject(
  client: KubeClient,
  { ref, object }: Planned,
  owner: MadeObject | undefined,
  signal: AbortSignal,
): Promise<MadeObject> {
  const metadata = { ...object.metadata, ...(owner && { ownerReferences: [ownerReference(owner)] }) }
  const target = targetOf(ref, true)
  const made = await client.create({ ...target }, { ...object, kind: ref.kind, metadata }, { signal })
  return { ...ref, uid: (made as Stored<KubeObject>).metadata.uid }
}

const ownerReference = ({ kind, name, uid }: MadeObject): OwnerReference => ({
  apiVersion: apiVersionOf(kinds[kind]),
  kind,
  name,
  uid,
})

/**
 * Deletes each object itself, its owner first: with the first the rights end, and should a later one fail, the cluster
 * collects it. All are tried. One that is gone, or of whose name there is another by now, is done.
 * @throws Error naming what could not be deleted, in Vault's words
 */
export async function removeMade(
  client: KubeClient,
  objects: readonly MadeObject[],
  signal?: AbortSignal,
): Promise<void> {
  await eachOf(objects, object => remove(client, object, object.uid, signal))
}

/** As `removeMade`, for objects of which it isn't known whether they were made. */
export async function removeIntended(client: KubeClient, intended: Intended, signal: AbortSignal): Promise<void> {
  await eachOf(intended.objects, async ref => {
    if (intended.isUnique) return remove(client, ref, null, signal)
    // The name may be another's: only what has our mark goes.
    const found = await client.find<Stored<KubeObject>>(targetOf(ref, false), { signal })
    if (found?.metadata.annotations?.[markName] === intended.mark) {
      await remove(client, ref, found.metadata.uid, signal)
    }
  })
}

async function eachOf<T extends ObjectRef>(objects: readonly T[], act: (object: T) => Promise<void>): Promise<void> {
  const problems: string[] = []
  for (const object of objects) {
    try {
      await act(object)
    } catch (error) {
      const where = object.namespace === null ? object.name : `${object.namespace}/${object.name}`
      problems.push(`failed to delete ${object.kind} '${where}': ${textOf(error)}`)
    }
  }
  if (problems.length > 0) throw new Error(problems.join('; '))
}

async function remove(client: KubeClient, ref: ObjectRef, uid: string | null, signal?: AbortSignal): Promise<void> {
  try {
    await client.delete(targetOf(ref, false), {
      propagationPolicy: 'Background',
      ...(uid !== null && { preconditions: { uid } }),
      ...(signal && { signal }),
    })
  } catch (error) {
    const isAnother = uid !== null && error instanceof KubeError && error.code === 409
    if (!isNotFound(error) && !isAnother) throw error
  }
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What was asked of whom, for those who may see reasons. */
export const reasonOf = (error: unknown): string =>
  error instanceof KubeError ? `${error.operation}: ${error.code} ${error.reason}` : textOf(error)

/** Is it sure that the call changed nothing? */
export const isRefusal = (error: unknown): boolean =>
  error instanceof KubeError && error.code >= 400 && error.code < 500

/** As it is kept. */
export const asJson = (value: Intended | Held): Json => value as unknown as Json
