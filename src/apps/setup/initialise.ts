import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { isJsonObject, type JsonObject } from '#ground/text/json.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError } from '#client/api-error.ts'
import { read, write } from '#client/calls/logical.ts'
import { kubernetesLogin } from '#client/login/kubernetes.ts'
import { authOf } from '#client/login/login.ts'
import type { KubeClient } from '#kube/client.ts'
import type { Pod } from '#kube/pod.ts'
import { pods } from '#kube/resources.ts'
import { tokenRequest } from '#kube/reviews.ts'
import { textsOf } from '#protocol/members.ts'
import { SetupError } from './material.ts'
import { adminAudience, names, type SetupPlan } from './plan.ts'
import { adminPolicy, adminRole } from './server-manifests.ts'

const waitMs = 1_000
const waitsMax = 180

/**
 * Waits until the server's process runs.
 * @throws SetupError with the server's own sentence when it ends instead, or after three minutes.
 */
export async function waitForServer(kube: KubeClient, plan: SetupPlan, world: World): Promise<void> {
  const target = { ...pods, namespace: plan.namespace, name: `${names.server}-0` }
  for (let waits = 0; waits < waitsMax; waits++) {
    const pod = await kube.find<Pod>(target)
    const status = pod?.status?.containerStatuses?.[0]
    if (status?.state?.running && (status.restartCount ?? 0) === 0) return
    if (status?.state?.running && waits > 10) return
    const ended = status?.lastState?.terminated ?? status?.state?.terminated
    if (ended?.message && /seal|storage/.test(ended.message)) {
      throw new SetupError(`the server ends at its start: ${ended.message.trim().split('\n').at(-1)}`)
    }
    await world.clock.sleep(waitMs, world.signal)
  }
  throw new SetupError(
    `the pod ${plan.namespace}/${names.server}-0 did not start in three minutes: kubectl -n ${plan.namespace} describe pod ${names.server}-0`,
  )
}

/** What init gave: shown once, by the caller. */
export type Shown = { readonly recoveryKeys: readonly string[]; readonly unsealKeys: readonly string[] }

/**
 * Brings a server to where accounts of the cluster can log in. A new one is initialised, and its root token revoked in
 * the end; one from before is visited with the account `coffer-admin`.
 * @returns null when it was initialised before.
 * @throws SetupError
 */
export async function configureServer(
  client: ApiClient,
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<Shown | null> {
  const status = await waitForAnswer(client, world)
  if (status['initialized'] === true) {
    if (status['sealed'] === true)
      throw new SetupError('the server is initialised and sealed: unseal it, then run setup again')
    await configure(client.with({ token: await adminToken(client, kube, plan) }), plan, say)
    return null
  }
  const shares = { shares: 5, threshold: 3 }
  const body =
    plan.seal === 'static'
      ? { recovery_shares: shares.shares, recovery_threshold: shares.threshold }
      : { secret_shares: shares.shares, secret_threshold: shares.threshold }
  const made = (await client.request({ method: 'PUT', path: 'sys/init', body })).json
  if (!isJsonObject(made)) throw new SetupError('the server gave no keys at init')
  const unsealKeys = textsOf(made, 'keys_base64') ?? []
  for (const key of unsealKeys.slice(0, shares.threshold))
    await client.request({ method: 'PUT', path: 'sys/unseal', body: { key } })
  say('initialised and unsealed')
  const root = client.with({ token: new Secret(String(made['root_token'])) })
  await configure(root, plan, say)
  await write(root, 'auth/token/revoke-self', {})
  await requireDead(root)
  say('the root token is revoked; nobody has it')
  return { recoveryKeys: textsOf(made, 'recovery_keys_base64') ?? [], unsealKeys }
}

async function waitForAnswer(client: ApiClient, world: World): Promise<JsonObject> {
  for (let waits = 0; ; waits++) {
    try {
      const { json } = await client.request({ method: 'GET', path: 'sys/seal-status', timeoutMs: 10_000 })
      if (isJsonObject(json)) return json
    } catch (error) {
      if (waits >= 60) throw error
    }
    await world.clock.sleep(waitMs, world.signal)
  }
}

async function adminToken(client: ApiClient, kube: KubeClient, plan: SetupPlan): Promise<Secret> {
  const spec = { audiences: [adminAudience], expirationSeconds: 600 }
  const method = kubernetesLogin({
    role: names.admin,
    mount: plan.authPath,
    getToken: async () => (await tokenRequest(kube, plan.namespace, names.admin, spec)).token,
  })
  try {
    return authOf(await method.login(client)).clientToken
  } catch (error) {
    throw new SetupError(
      `the server is initialised, but ${plan.namespace}/${names.admin} can not log in: ${(error as Error).message.replace(/\s+/g, ' ')}`,
    )
  }
}

/** Audit, `secret/`, and the logins of the cluster's accounts; what is there stays. */
async function configure(client: ApiClient, plan: SetupPlan, say: (line: string) => void): Promise<void> {
  const audits = (await read(client, 'sys/audit'))?.data ?? {}
  if (!Object.hasOwn(audits, 'file/')) {
    await write(client, 'sys/audit/file', {
      type: 'file',
      options: { file_path: '/audit/audit.log', rotate_bytes: '104857600', rotate_max_files: '5' },
    })
    say('audit device file/ enabled')
  }
  const mounts = (await read(client, 'sys/mounts'))?.data ?? {}
  if (!Object.hasOwn(mounts, 'secret/')) {
    await write(client, 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
    say('kv version 2 enabled at secret/')
  }
  // The server's own account reviews: its token and CA are read where the kubelet puts them.
  await configureAuth(client, plan, { kubernetes_host: 'https://kubernetes.default.svc' }, say)
  await write(client, `sys/policies/acl/${names.admin}`, { policy: adminPolicy })
  await write(client, `${plan.authPath}/role/${names.admin}`, adminRole(plan.namespace))
}

/** Enables the method where it isn't, and writes its configuration. */
export async function configureAuth(
  client: ApiClient,
  plan: Pick<SetupPlan, 'authPath'>,
  config: Readonly<Record<string, string | boolean>>,
  say: (line: string) => void,
): Promise<void> {
  const methods = (await read(client, 'sys/auth'))?.data ?? {}
  const name = plan.authPath.replace(/^auth\//, '')
  if (!Object.hasOwn(methods, `${name}/`)) {
    await write(client, `sys/auth/${name}`, { type: 'kubernetes' })
    say(`auth method kubernetes enabled at ${plan.authPath}/`)
  }
  await write(client, `${plan.authPath}/config`, config)
}

async function requireDead(client: ApiClient): Promise<void> {
  try {
    await read(client, 'auth/token/lookup-self')
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return
    throw error
  }
  throw new SetupError('the root token still works after its revocation: revoke it by hand')
}
