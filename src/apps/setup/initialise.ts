import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { isJsonObject, type JsonObject } from '#ground/text/json.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError } from '#client/api-error.ts'
import { read, write } from '#client/calls/logical.ts'
import { kubernetesLogin } from '#client/login/kubernetes.ts'
import { authOf } from '#client/login/login.ts'
import { readEnvironment } from '#client/environment.ts'
import type { KubeClient } from '#kube/client.ts'
import { tokenRequest } from '#kube/reviews.ts'
import { textOf, textsOf } from '#protocol/members.ts'
import type { Io } from '#protocol/command.ts'
import type { KeyPaper } from './key-paper.ts'
import { SetupError } from './material.ts'
import { adminAudience, names, type SetupPlan } from './plan.ts'
import { adminPolicy, adminRole } from './server-manifests.ts'

const waitMs = 1_000
const waitsMax = 60

export type Tell = {
  readonly say: (line: string) => void
  /** Called before there are keys: what could fail then loses them. */
  readonly openPaper: () => Promise<KeyPaper>
}

const shares = 5
const threshold = 3

/**
 * Brings a server to where accounts of the cluster can log in. A new one is initialised, and its root token revoked in
 * the end; one from before is visited with the account `coffer-admin`, or with the environment's token.
 * @throws SetupError
 */
export async function configureServer(
  client: ApiClient,
  kube: KubeClient,
  plan: SetupPlan,
  io: Io,
  { say, openPaper }: Tell,
): Promise<void> {
  const status = await waitForAnswer(client, io.world)
  if (status['initialized'] === true) {
    if (status['sealed'] === true) throw new SetupError(sealedText(plan))
    await configure(client.with({ token: await adminToken(client, kube, plan, io) }), plan, say)
    return
  }
  await using paper = await openPaper()
  const body =
    plan.seal === 'static'
      ? { recovery_shares: shares, recovery_threshold: threshold }
      : { secret_shares: shares, secret_threshold: threshold }
  const made = (await client.request({ method: 'PUT', path: 'sys/init', body })).json
  if (!isJsonObject(made)) throw new SetupError('the server gave no keys at init')
  const unsealKeys = textsOf(made, 'keys_base64') ?? []
  const recoveryKeys = textsOf(made, 'recovery_keys_base64') ?? []
  await paper.write(
    plan.seal === 'static' ? { kind: 'Recovery', keys: recoveryKeys } : { kind: 'Unseal', keys: unsealKeys },
  )
  for (const key of plan.seal === 'static' ? [] : unsealKeys.slice(0, threshold)) {
    await client.request({ method: 'PUT', path: 'sys/unseal', body: { key } })
  }
  say('initialised and unsealed')
  const root = client.with({ token: new Secret(textOf(made, 'root_token')) })
  await waitUntilActive(root, io.world)
  await configure(root, plan, say)
  await write(root, 'auth/token/revoke-self', {})
  await requireDead(root)
  say('the root token is revoked; nobody has it')
}

const sealedText = ({ seal, namespace }: SetupPlan): string =>
  seal === 'static'
    ? `the server is sealed, and the Secret ${namespace}/${names.sealSecret} does not open it: bring back the one that its data was made with`
    : 'the server is initialised and sealed: unseal it (operator unseal), then run setup again'

async function waitForAnswer(client: ApiClient, world: World): Promise<JsonObject> {
  for (let waits = 0; ; waits++) {
    try {
      const { json } = await client.request({ method: 'GET', path: 'sys/seal-status', timeoutMs: 10_000 })
      if (isJsonObject(json)) return json
    } catch (error) {
      if (waits >= waitsMax) throw error
    }
    await world.clock.sleep(waitMs, world.signal)
  }
}

// Between unsealed and active there is a moment.
async function waitUntilActive(client: ApiClient, world: World): Promise<void> {
  for (let waits = 0; ; waits++) {
    try {
      await read(client, 'auth/token/lookup-self')
      return
    } catch (error) {
      if (waits >= waitsMax || !(error instanceof ApiError) || error.status < 500) throw error
    }
    await world.clock.sleep(waitMs, world.signal)
  }
}

async function adminToken(client: ApiClient, kube: KubeClient, plan: SetupPlan, io: Io): Promise<Secret> {
  const spec = { audiences: [adminAudience], expirationSeconds: 600 }
  const method = kubernetesLogin({
    role: names.admin,
    mount: plan.authPath,
    getToken: async () => (await tokenRequest(kube, plan.namespace, names.admin, spec)).token,
  })
  try {
    return authOf(await method.login(client)).clientToken
  } catch (error) {
    const { token } = readEnvironment(io.env)
    if (token) return token
    throw new SetupError(
      `the server is initialised, but ${plan.namespace}/${names.admin} can not log in (${(error as Error).message.replace(/\s+/g, ' ')}): set COFFER_TOKEN to one that may administer it, and run setup again`,
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
  const config = { kubernetes_host: 'https://kubernetes.default.svc' }
  await configureAuth(client, plan, { type: 'kubernetes', config }, say)
  await write(client, `sys/policies/acl/${names.admin}`, { policy: adminPolicy })
  await write(client, `${plan.authPath}/role/${names.admin}`, adminRole(plan.namespace))
}

/** Enables the method where it isn't, and writes its configuration. @throws SetupError when another one is there */
export async function configureAuth(
  client: ApiClient,
  plan: Pick<SetupPlan, 'authPath'>,
  { type, config }: { type: 'kubernetes' | 'jwt'; config: Readonly<Record<string, string | boolean>> },
  say: (line: string) => void,
): Promise<void> {
  const methods = (await read(client, 'sys/auth'))?.data ?? {}
  const name = plan.authPath.replace(/^auth\//, '')
  const there = Object.hasOwn(methods, `${name}/`) ? methods[`${name}/`] : undefined
  if (there === undefined) {
    await write(client, `sys/auth/${name}`, { type })
    say(`auth method ${type} enabled at ${plan.authPath}/`)
  } else if (isJsonObject(there) && there['type'] !== type) {
    throw new SetupError(
      `${plan.authPath}/ is of the method ${textOf(there, 'type')}, not ${type}: choose another with -auth-path`,
    )
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
