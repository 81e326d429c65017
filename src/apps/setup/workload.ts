import { type Json, type JsonObject, renderJson } from '#ground/text/json.ts'
import type { ApiClient } from '#client/api.ts'
import { kvPath, preflight } from '#client/calls/kv.ts'
import { read, write } from '#client/calls/logical.ts'
import type { KubeClient } from '#kube/client.ts'
import type { KubeObject, ServiceAccount } from '#kube/objects.ts'
import { serviceAccounts } from '#kube/resources.ts'
import { textOf, textsOf } from '#protocol/members.ts'
import { applyObject } from './apply.ts'
import { meta } from './common.ts'
import { SetupError } from './material.ts'
import { issuerOf } from './signed.ts'

export type Workload = {
  readonly namespace: string
  readonly serviceAccount: string
  /** Paths as users write them; `secret/app/*` becomes `secret/data/app/*` on kv version 2. */
  readonly reads: readonly string[]
  readonly role: string
  readonly bindsUid: boolean
  readonly authPath: string
}

const hourSeconds = 3_600

/**
 * Lets the pods of an account read: account, policy and role. What is there and right stays.
 * @throws SetupError
 */
export async function setUpWorkload(
  kube: KubeClient,
  client: ApiClient,
  workload: Workload,
  say: (line: string) => void,
): Promise<void> {
  const { namespace, serviceAccount, role, authPath } = workload
  const rolePath = `${authPath}/role/${role}`
  const existing = (await read(client, rolePath))?.data ?? null
  const config = (await read(client, `${authPath}/config`))?.data ?? {}
  const isSigned = Object.hasOwn(config, 'jwt_validation_pubkeys')
  if (isSigned) requireOurSubject(existing, workload)
  else requireOurs(existing, workload)
  const paths = await Promise.all(workload.reads.map(path => dataPath(client, path)))
  const policy = policyText(paths)
  const policyBefore = await ownPolicy(client, role)
  const uid = await ensureAccount(kube, namespace, serviceAccount, say)
  if (policyBefore !== policy) {
    await write(client, `sys/policies/acl/${role}`, { policy })
    say(`${policyBefore === null ? 'made' : 'changed'} policy ${role}`)
  }
  // Pods' own tokens are made for the issuer.
  const audience = await issuerOf(kube)
  const wanted = {
    ...(isSigned ? signedRole(workload, uid, audience) : reviewedRole(workload, uid, audience)),
    token_policies: [role],
    token_ttl: hourSeconds,
    token_max_ttl: 4 * hourSeconds,
  }
  if (existing === null || !holds(existing, wanted)) {
    await write(client, rolePath, wanted)
    say(`${existing === null ? 'made' : 'changed'} role ${role}`)
  }
  if (reviewsItself(config)) await bindReview(kube, workload, say)
  say(`role ${role}: account ${namespace}/${serviceAccount} reads ${paths.join(', ')}`)
  say(
    `pods of that account: annotate with vault.hashicorp.com/agent-inject: "true", vault.hashicorp.com/role: "${role}"`,
  )
}

const reviewedRole = (
  { namespace, serviceAccount, bindsUid }: Workload,
  uid: string,
  audience: string,
): JsonObject => ({
  bound_service_account_names: [serviceAccount],
  bound_service_account_namespaces: [namespace],
  bound_service_account_uids: bindsUid ? [uid] : [],
  audience,
})

const uidClaim = '/kubernetes.io/serviceaccount/uid'
const subjectOf = ({ namespace, serviceAccount }: Workload): string =>
  `system:serviceaccount:${namespace}:${serviceAccount}`

/** The same for the method jwt. */
const signedRole = (workload: Workload, uid: string, audience: string): JsonObject => ({
  role_type: 'jwt',
  bound_subject: subjectOf(workload),
  bound_claims: workload.bindsUid ? { [uidClaim]: uid } : {},
  bound_audiences: [audience],
  user_claim: uidClaim,
  user_claim_json_pointer: true,
})

function requireOurSubject(existing: JsonObject | null, workload: Workload): void {
  if (existing === null || textOf(existing, 'bound_subject') === subjectOf(workload)) return
  throw new SetupError(
    `the role "${workload.role}" is bound to ${textOf(existing, 'bound_subject')}: choose another with -role`,
  )
}

const policyMark = '# Made by coffer setup workload; another run writes it anew.\n'

const policyText = (paths: readonly string[]): string =>
  policyMark + paths.map(path => `path ${JSON.stringify(path)} {\n  capabilities = ["read"]\n}\n`).join('')

/** The policy that an earlier run made. @throws SetupError when somebody else made it */
async function ownPolicy(client: ApiClient, name: string): Promise<string | null> {
  const found = (await read(client, `sys/policies/acl/${name}`))?.data ?? null
  if (found === null) return null
  const text = textOf(found, 'policy')
  if (text.startsWith(policyMark)) return text
  throw new SetupError(`there is a policy "${name}" that setup did not make: choose another name with -role`)
}

/** Absent and empty are one. */
function holds(entry: JsonObject, wanted: JsonObject): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const there: Json = entry[name] ?? (Array.isArray(value) ? [] : '')
    return renderJson(there) === renderJson(value)
  })
}

function requireOurs(existing: JsonObject | null, { namespace, serviceAccount, role }: Workload): void {
  if (existing === null) return
  const bound = [
    textsOf(existing, 'bound_service_account_names') ?? [],
    textsOf(existing, 'bound_service_account_namespaces') ?? [],
  ]
  if (bound[0]!.join() === serviceAccount && bound[1]!.join() === namespace) return
  throw new SetupError(
    `the role "${role}" is bound to account ${bound[0]!.join(', ')} in namespace ${bound[1]!.join(', ')}: choose another with -role`,
  )
}

async function ensureAccount(
  kube: KubeClient,
  namespace: string,
  name: string,
  say: (line: string) => void,
): Promise<string> {
  const target = { ...serviceAccounts, namespace, name }
  const found = await kube.find<ServiceAccount>(target)
  if (found?.metadata?.uid) return found.metadata.uid
  const made = await kube.create<ServiceAccount>({ ...serviceAccounts, namespace }, { metadata: { name, namespace } })
  say(`made ServiceAccount ${namespace}/${name}`)
  return made.metadata?.uid ?? ''
}

// A path of the API's own form is left as it is.
async function dataPath(client: ApiClient, path: string): Promise<string> {
  const bare = path.replace(/^\/+/, '')
  const mount = await preflight(client, bare.replace(/\/?\*$/, ''))
  if (mount.version !== 2 || bare.startsWith(`${mount.path}data/`)) return bare
  return kvPath(bare, mount.path, 'data')
}

/** No stored reviewer, and none of the pod that the server runs in: each login's token reviews itself. */
const reviewsItself = (config: JsonObject): boolean =>
  config['token_reviewer_jwt_set'] === false && config['disable_local_ca_jwt'] === true

async function bindReview(
  kube: KubeClient,
  { namespace, serviceAccount }: Workload,
  say: (line: string) => void,
): Promise<void> {
  const rbac = 'rbac.authorization.k8s.io'
  const binding = {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: meta(`coffer-review-${namespace}-${serviceAccount}`, null),
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace }],
  }
  await applyObject(kube, binding as KubeObject)
  say(`account ${namespace}/${serviceAccount} may have its own token reviewed (ClusterRole system:auth-delegator)`)
}
