import { Secret } from '#ground/base/secret.ts'
import type { Input } from '#ground/fields/field.ts'
import { text } from '#ground/fields/kit.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import { type HeldLogin, type Granted } from '#backend/engine.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { KubeError } from '#kube/errors.ts'
import { namespaces, serviceAccounts } from '#kube/resources.ts'
import { tokenReview, type TokenReviewStatus } from '#kube/reviews.ts'
import { type Fault, fault } from '#protocol/fault.ts'
import { publicKey } from './config.ts'
import { configKey, type KubernetesConfig } from './config-entry.ts'
import { judgeClaims, judgeName, judgeNamespace, judgeReview, judgeUid, type Judgement } from './decide.ts'
import { type AccountToken, isSignedBy, parseAccountToken, TokenProblem } from './jwt.ts'
import type { Reviewer } from './reviewers.ts'
import { matchLabels, type Role, roleEntries } from './role.ts'
import { type KubernetesState, row } from './state.ts'

const fields = {
  role: text({ description: 'The role to log in under.' }),
  jwt: text({ description: "The service account's token.", isSecret: true }),
} as const

type LoginCall = Call<Input<typeof fields>>

/** @source openbao builtin/credential/kubernetes/path_login.go: the order of the steps, and each text */
async function login(call: LoginCall, state: KubernetesState): Promise<Reply> {
  const { input } = call
  if (input.role === '') throw fault('request.invalid', 'missing role')
  if (input.jwt === '') throw fault('request.invalid', 'missing jwt')
  const name = input.role.toLowerCase()
  const role = /^[\w][\w.-]*$/.test(name) ? await state.parts.view.get(roleEntries.key(name)) : null
  if (role === null) throw fault('request.invalid', `invalid role name "${input.role}"`)
  requireBoundAddress(role.stored.parameters, call.remoteAddress)
  const config = await state.parts.view.get(configKey)
  if (config === null) throw fault('backend.failed_bare', 'could not load backend configuration')
  const reviewer = await state.reviewers.current(config)
  const token = readToken(input.jwt, config)
  require(judgeClaims(token, role, config, call.now()))
  if (token.uid === '') throw fault('backend.failed_bare', 'could not parse UID from claims')
  require(judgeName(token, role))
  await requireNamespace(token, role, reviewer, call.signal)
  require(judgeUid(token, role))
  const jwt = new Secret(input.jwt)
  const asked = role.audience !== '' ? [role.audience] : token.audiences
  require(judgeReview(await review(reviewer, jwt, asked, call.signal), token, asked))
  return granted(
    { asked: input.role, name },
    role,
    token,
    await annotationsOf(config, token, reviewer, jwt, call.signal),
  )
}

function readToken(jwt: string, config: KubernetesConfig): AccountToken {
  let token: AccountToken
  try {
    token = parseAccountToken(jwt)
  } catch (error) {
    if (error instanceof TokenProblem) throw fault('backend.failed_bare', error.message)
    throw error
  }
  if (config.pemKeys.length > 0 && !isSignedBy(token, config.pemKeys.map(publicKey))) {
    throw fault('permission.bare', 'permission denied', {
      reason: 'none of pem_keys verifies the signature of the token',
    })
  }
  return token
}

function require(judgement: Judgement): void {
  if (!judgement.ok) throw fault('permission.bare', judgement.text, { reason: judgement.reason })
}

async function requireNamespace(
  token: AccountToken,
  role: Role,
  reviewer: Reviewer,
  signal: AbortSignal,
): Promise<void> {
  const byList = judgeNamespace(token, role)
  if (byList.ok || role.namespaceSelector === '') return require(byList)
  if (reviewer.token === null) {
    throw fault(
      'permission.bare',
      'namespace not authorized err=namespace lookup failed: TokenReviewer JWT needs to be configured to use namespace selectors',
    )
  }
  const wanted = matchLabels(role.namespaceSelector) ?? {}
  try {
    const path = `/api/v1/${namespaces.resource}/${encodeURIComponent(token.namespace)}`
    const text = await reviewer.client.caller.text({ method: 'GET', path, bearer: reviewer.token, signal })
    const labels = (JSON.parse(text) as { metadata?: { labels?: Record<string, string> } }).metadata?.labels ?? {}
    if (Object.entries(wanted).every(([key, value]) => labels[key] === value)) return
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    throw fault('permission.bare', 'namespace not authorized', {
      reason: `the labels of namespace "${token.namespace}" can not be read: ${error.message}`,
    })
  }
  throw fault('permission.bare', 'namespace not authorized', {
    reason: `namespace "${token.namespace}" is none of ${role.namespaces.join(', ') || 'no list'} and has not the labels of the selector`,
  })
}

async function review(
  reviewer: Reviewer,
  jwt: Secret,
  asked: readonly string[],
  signal: AbortSignal,
): Promise<TokenReviewStatus> {
  try {
    return await tokenReview(reviewer.client, jwt, asked, { bearer: reviewer.token ?? jwt, signal })
  } catch (error) {
    if (error instanceof KubeError) throw reviewFault(error, reviewer)
    throw error
  }
}

// The client hears one text; audit, log and explain tell what it was.
function reviewFault(error: KubeError, reviewer: Reviewer): Fault {
  const { client, origin } = reviewer
  const own = origin === "the login's own token"
  if (error.code === 401) {
    const reason = own
      ? "the API server refuses the login's token: it has expired, its account was deleted, or it is not for the API server's audience"
      : `the API server refuses the reviewer (${origin}): ${error.message}`
    return fault('permission.bare', 'permission denied', { reason })
  }
  if (error.code === 403) {
    const reason = `the reviewer (${origin}) may not create TokenReviews: bind its account to the ClusterRole system:auth-delegator`
    return fault('permission.bare', 'permission denied', { reason })
  }
  if (error.code === 0) {
    return fault('permission.bare', 'permission denied', {
      reason: `the API server at ${client.config.server} can not be reached: ${error.message}`,
    })
  }
  return fault('permission.bare', 'permission denied', {
    reason: `the API server answers the review with ${error.code}: ${error.message}`,
  })
}

const annotationPrefix = 'vault.hashicorp.com/alias-metadata-'
const ownKeys = [
  'service_account_uid',
  'service_account_name',
  'service_account_namespace',
  'service_account_secret_name',
]

async function annotationsOf(
  config: KubernetesConfig,
  token: AccountToken,
  reviewer: Reviewer,
  jwt: Secret,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  if (!config.usesAnnotations) return {}
  const path = `/api/v1/namespaces/${encodeURIComponent(token.namespace)}/${serviceAccounts.resource}/${encodeURIComponent(token.name)}`
  let annotations: Record<string, string>
  try {
    const text = await reviewer.client.caller.text({ method: 'GET', path, bearer: reviewer.token ?? jwt, signal })
    annotations =
      (JSON.parse(text) as { metadata?: { annotations?: Record<string, string> } }).metadata?.annotations ?? {}
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    throw fault('permission.bare', 'permission denied', {
      reason: `the annotations of the account can not be read: ${error.message}`,
    })
  }
  const found = Object.entries(annotations).filter(([key]) => key.startsWith(annotationPrefix))
  const metadata = Object.fromEntries(found.map(([key, value]) => [key.slice(annotationPrefix.length), value]))
  const taken = Object.keys(metadata).filter(key => ownKeys.includes(key))
  if (taken.length > 0) {
    throw fault(
      'request.invalid',
      `entity alias metadata keys for only internal use found from the client token's associated service account annotations: keys=[${taken.join(' ')}]`,
    )
  }
  return metadata
}

function granted(
  named: { readonly asked: string; readonly name: string },
  role: Role,
  token: AccountToken,
  annotations: Readonly<Record<string, string>>,
): Reply {
  const metadata = {
    service_account_uid: token.uid,
    service_account_name: token.name,
    service_account_namespace: token.namespace,
    service_account_secret_name: token.secretName,
  }
  return {
    kind: 'login',
    login: {
      alias: {
        name: role.aliasNameSource === 'serviceaccount_uid' ? token.uid : `${token.namespace}/${token.name}`,
        metadata: { ...annotations, ...metadata },
      },
      displayName: `${token.namespace}-${token.name}`,
      // As the client wrote it; what is looked up is in lower case.
      metadata: { ...metadata, role: named.asked },
      parameters: role.stored.parameters,
      renewable: true,
      internal: { role: named.name },
    },
  }
}

/** TTLs as the role says now; the account isn't reviewed again. */
export async function renewLogin(held: HeldLogin, state: KubernetesState): Promise<Granted> {
  const name = (held.login.internal as { role?: string }).role ?? ''
  const role = name === '' ? null : await state.parts.view.get(roleEntries.key(name))
  if (role === null) throw fault('request.invalid', `role ${name} does not exist during renewal`)
  const { ttl, maxTtl, period } = role.stored.parameters
  return { ttl, maxTtl, period }
}

export const loginRow = row({
  path: 'login',
  fields,
  role: ({ input }) => (input.role === '' ? null : input.role.toLowerCase()),
  operations: { update: { access: 'login', summary: "Log in with a service account's token.", handler: login } },
  help: {
    synopsis: "Log in with a service account's token.",
    description: 'The API server is asked whether the token is good.',
  },
})
