import { readFile } from 'node:fs/promises'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import type { World } from '#ground/base/world.ts'
import type { KubeClient } from '#kube/client.ts'
import type { ConfigMap, KubeObject, KubeSecret } from '#kube/objects.ts'
import { configMaps, namespaces, persistentVolumeClaims, secrets } from '#kube/resources.ts'
import type { Io } from '#protocol/command.ts'
import { readEnvironment } from '#client/environment.ts'
import { applyObject, asYaml, removeObject } from './apply.ts'
import { meta } from './common.ts'
import { configuredClient, inClusterClient } from './connect.ts'
import { configureAuth, configureServer, type Shown, waitForServer } from './initialise.ts'
import { injectorManifests, webhookManifest } from './injector-manifests.ts'
import { ensureMaterial, placeholderMaterial, SetupError } from './material.ts'
import { names, type SetupPlan } from './plan.ts'
import { serverManifests } from './server-manifests.ts'

export type SetupFlags = {
  readonly keysOut: string
  readonly kubernetesHost: string
  readonly reviewer: '' | 'secret'
  /** Where the server outside is asked; empty = environment, else the address that pods use. */
  readonly address: string
}

const namespaceObject = (plan: SetupPlan): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    ...meta(plan.namespace, null),
    labels: { ...meta(plan.namespace, null).labels, 'pod-security.kubernetes.io/enforce': 'restricted' },
  },
})

/** Everything, for `-dry-run`: key material stands as `<generated>`. */
export function dryRun(plan: SetupPlan): string {
  const server = plan.external === null ? [...placeholderMaterial(plan), ...serverManifests(plan)] : []
  return asYaml([namespaceObject(plan), ...server, ...injectorManifests(plan, plan.external?.caPem ?? '<generated>')])
}

async function applyAll(kube: KubeClient, objects: readonly KubeObject[], say: (line: string) => void): Promise<void> {
  for (const object of objects) {
    const done = await applyObject(kube, object)
    if (done !== 'unchanged') say(`${done} ${object.kind} ${object.metadata?.name ?? ''}`)
  }
}

/** Server and injector into the cluster, or injector alone for a server outside. */
export async function setUp(
  kube: KubeClient,
  plan: SetupPlan,
  flags: SetupFlags,
  io: Io,
  say: (line: string) => void,
): Promise<void> {
  const { world } = io
  await applyAll(kube, [namespaceObject(plan)], say)
  if (plan.external !== null) {
    await connectOutside(kube, plan, flags, io, say)
    await applyAll(kube, injectorManifests(plan, plan.external.caPem), say)
    return
  }
  const caPem = await ensureMaterial(kube, plan, world, say)
  await applyAll(kube, serverManifests(plan), say)
  await waitForServer(kube, plan, world)
  await using client = inClusterClient(kube, plan.namespace, caPem, world)
  const shown = await configureServer(client, kube, plan, world, say)
  if (shown !== null) await showKeys(shown, flags, io)
  await applyAll(kube, injectorManifests(plan, caPem), say)
}

async function showKeys({ recoveryKeys, unsealKeys }: Shown, flags: SetupFlags, io: Io): Promise<void> {
  const isRecovery = unsealKeys.length === 0
  const keys = isRecovery ? recoveryKeys : unsealKeys
  const lines = keys.map((key, index) => `${isRecovery ? 'Recovery' : 'Unseal'} Key ${index + 1}: ${key}\n`).join('')
  if (flags.keysOut !== '') {
    await writeFileAtomically(flags.keysOut, Buffer.from(lines), { mode: 0o600 })
    io.stdout(`keys written to ${flags.keysOut} (0600); they are nowhere else\n`)
  } else io.stdout(`\n${lines}\nThese keys are shown once and kept nowhere. Give them to different people.\n\n`)
}

// The server outside asks the API server: by the login's own token, unless a reviewer is wanted.
async function connectOutside(
  kube: KubeClient,
  plan: SetupPlan,
  flags: SetupFlags,
  io: Io,
  say: (line: string) => void,
): Promise<void> {
  const address = flags.address || readEnvironment(io.env).address || plan.external?.address || ''
  await using client = await configuredClient(io, address)
  const root = await kube.find<ConfigMap>({ ...configMaps, namespace: plan.namespace, name: 'kube-root-ca.crt' })
  const caPem = root?.data?.['ca.crt'] ?? (await caOf(kube))
  const config: Record<string, string | boolean> = {
    kubernetes_host: flags.kubernetesHost || kube.config.server,
    kubernetes_ca_cert: caPem,
    disable_local_ca_jwt: true,
  }
  if (flags.reviewer === 'secret') config['token_reviewer_jwt'] = await reviewerToken(kube, plan, io.world, say)
  await configureAuth(client, plan, config, say)
}

async function caOf(kube: KubeClient): Promise<string> {
  const { ca } = kube.config
  if (ca.kind === 'pem') return ca.pem
  if (ca.kind === 'file') return readFile(ca.path, 'utf8')
  throw new SetupError(
    'the CA of the API server is not known: the kubeconfig names none, and the cluster has no kube-root-ca.crt yet',
  )
}

async function reviewerToken(
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<string> {
  const { namespace } = plan
  const rbac = 'rbac.authorization.k8s.io'
  await applyAll(
    kube,
    [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(names.reviewer, namespace) },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: meta(`coffer-reviewer-${namespace}`, null),
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' },
        subjects: [{ kind: 'ServiceAccount', name: names.reviewer, namespace }],
      } as KubeObject,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          ...meta(names.reviewer, namespace),
          annotations: { 'kubernetes.io/service-account.name': names.reviewer },
        },
        type: 'kubernetes.io/service-account-token',
      } as KubeObject,
    ],
    say,
  )
  say('warning: the reviewer token lives in a Secret and never ends: delete the Secret to end it')
  for (let waits = 0; waits < 60; waits++) {
    const found = await kube.find<KubeSecret>({ ...secrets, namespace, name: names.reviewer })
    const token = found?.data?.['token']
    if (token !== undefined) return Buffer.from(token, 'base64').toString()
    await world.clock.sleep(500, world.signal)
  }
  throw new SetupError(`the cluster made no token for the Secret ${namespace}/${names.reviewer}`)
}

/** Takes away what setup made, the webhook first; volumes and the seal key only when asked for. */
export async function tearDown(
  kube: KubeClient,
  plan: SetupPlan,
  purges: boolean,
  say: (line: string) => void,
): Promise<void> {
  if (await removeObject(kube, webhookManifest(plan))) say('webhook removed: pods are created as they are')
  const server = serverManifests({ ...plan, external: null })
  const all = [...injectorManifests(plan, ''), ...server].reverse()
  for (const object of all)
    if (await removeObject(kube, object)) say(`removed ${object.kind} ${object.metadata?.name ?? ''}`)
  if (!purges) {
    say(
      `kept: the volumes, and the Secrets ${names.sealSecret}, ${names.caSecret} and ${names.tlsSecret} in ${plan.namespace} (-purge removes them)`,
    )
    return
  }
  for (const object of placeholderMaterial({ ...plan, seal: 'static' })) await removeObject(kube, object)
  for (const volume of ['data', 'audit']) {
    const target = { ...persistentVolumeClaims, namespace: plan.namespace, name: `${volume}-${names.server}-0` }
    if ((await kube.find(target)) !== null) await kube.delete(target)
  }
  await kube.delete({ ...namespaces, name: plan.namespace })
  say('purged: the data is gone')
}
