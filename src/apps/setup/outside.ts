import { readFile } from 'node:fs/promises'
import type { World } from '#ground/base/world.ts'
import { readEnvironment } from '#client/environment.ts'
import type { KubeClient } from '#kube/client.ts'
import type { ConfigMap, KubeObject, KubeSecret } from '#kube/objects.ts'
import { configMaps, secrets } from '#kube/resources.ts'
import type { Io } from '#protocol/command.ts'
import { applyAll } from './apply.ts'
import { meta } from './common.ts'
import { configuredClient } from './connect.ts'
import { configureAuth } from './initialise.ts'
import { SetupError } from './material.ts'
import { names, type SetupPlan } from './plan.ts'
import { syncKeys } from './signed.ts'

export type OutsideFlags = {
  /** The API server as the server outside reaches it; empty = as the kubeconfig says. */
  readonly kubernetesHost: string
  /** `secret`: a stored token reviews logins; else each login's own token does. */
  readonly reviewer: '' | 'secret'
  /** `jwt`: the server has the cluster's keys, and asks nobody. */
  readonly auth: 'kubernetes' | 'jwt'
  /** Where the server outside is asked; empty = environment, else the address that pods use. */
  readonly address: string
}

/** Lets accounts of this cluster log in to a server outside of it. @throws SetupError, ApiError */
export async function connectOutside(
  kube: KubeClient,
  plan: SetupPlan,
  flags: OutsideFlags,
  io: Io,
  say: (line: string) => void,
): Promise<void> {
  const address = flags.address || readEnvironment(io.env).address || plan.external?.address || ''
  if (flags.auth === 'jwt') return syncKeys(kube, plan, address, io, say)
  await using client = await configuredClient(io, address)
  const config: Record<string, string | boolean> = {
    kubernetes_host: flags.kubernetesHost || kube.config.server,
    kubernetes_ca_cert: await authorityOf(kube, plan.namespace),
    disable_local_ca_jwt: true,
  }
  if (flags.reviewer === 'secret' || (await hasReviewer(kube, plan))) {
    config['token_reviewer_jwt'] = await reviewerToken(kube, plan, io.world, say)
  }
  await configureAuth(client, plan, { type: 'kubernetes', config }, say)
}

async function authorityOf(kube: KubeClient, namespace: string): Promise<string> {
  const root = await kube.find<ConfigMap>({ ...configMaps, namespace, name: 'kube-root-ca.crt' })
  const known = root?.data?.['ca.crt']
  if (known !== undefined) return known
  const { ca } = kube.config
  if (ca.kind === 'pem') return ca.pem
  if (ca.kind === 'file') return readFile(ca.path, 'utf8')
  throw new SetupError(
    'the CA of the API server is not known: the kubeconfig names none, and the cluster has no kube-root-ca.crt yet',
  )
}

const reviewerSecret = (plan: SetupPlan) => ({ ...secrets, namespace: plan.namespace, name: names.reviewer })

// A run without the flag doesn't take away what an earlier one made.
const hasReviewer = async (kube: KubeClient, plan: SetupPlan): Promise<boolean> =>
  (await kube.find(reviewerSecret(plan))) !== null

const tokenWaitMs = 500
const tokenWaitsMax = 60

async function reviewerToken(
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<string> {
  const { namespace } = plan
  const rbac = 'rbac.authorization.k8s.io'
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(names.reviewer, namespace) },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: meta(`${names.reviewer}-${namespace}`, null),
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'ServiceAccount', name: names.reviewer, namespace }],
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        ...meta(names.reviewer, namespace),
        annotations: { 'kubernetes.io/service-account.name': names.reviewer },
      },
      type: 'kubernetes.io/service-account-token',
    },
  ]
  await applyAll(kube, objects as readonly KubeObject[], say)
  say(`warning: the token in Secret ${namespace}/${names.reviewer} never ends; whoever reads it may review tokens`)
  for (let waits = 0; waits < tokenWaitsMax; waits++) {
    const found = await kube.find<KubeSecret>(reviewerSecret(plan))
    const token = found?.data?.['token']
    if (token !== undefined) return Buffer.from(token, 'base64').toString()
    await world.clock.sleep(tokenWaitMs, world.signal)
  }
  throw new SetupError(`the cluster made no token for the Secret ${namespace}/${names.reviewer}`)
}
