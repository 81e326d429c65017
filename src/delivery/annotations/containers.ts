import type { Container, EnvVar, SecurityContext, Volume, VolumeMount } from '#kube/pod.ts'
import { agentJson, handoverPath, home } from './agent-json.ts'
import type { Improvements, InjectorDefaults } from './defaults.ts'
import { Denial } from './parse.ts'
import type { SecretFile } from './secrets.ts'
import type { Settings } from './table.ts'
import type { SpecifiedPod, TokenVolume } from './token-volume.ts'

export const initName = 'vault-agent-init'
export const sidecarName = 'vault-agent'

/** Everything that the parts of a patch are made from. */
export type Plan = {
  readonly pod: SpecifiedPod
  readonly settings: Settings
  readonly defaults: InjectorDefaults
  readonly improvements: Improvements
  readonly files: readonly SecretFile[]
  readonly token: TokenVolume
}

const command = `echo \${VAULT_CONFIG?} | base64 -d > ${home}/config.json && vault agent -config=${home}/config.json`

/** Of the original's hook, where no annotation says otherwise. */
const graceSeconds = 5

const memory = (name: string): Volume => ({ name, emptyDir: { medium: 'Memory' } })

/** Folders of files that aren't the default one, each once, in order. */
const customPaths = ({ files, settings }: Plan): readonly string[] => [
  ...new Set(files.map(file => file.mountPath).filter(path => path !== settings.secretVolumePath)),
]

/** A sidecar alone has itself to hand over to: a killed one to its successor. */
export const handsOver = ({ improvements, settings }: Plan): boolean =>
  improvements.handover && improvements.nativeSidecar && !settings.prePopulateOnly

/** @source vault-k8s agent.go Patch: volumes in the original's order, ours last */
export function volumes(plan: Plan): readonly Volume[] {
  const { settings } = plan
  return [
    ...(settings.prePopulate ? [memory('home-init')] : []),
    ...(settings.prePopulateOnly ? [] : [memory('home-sidecar')]),
    memory('vault-secrets'),
    ...customPaths(plan).map((_, index) => memory(`vault-secrets-custom-${index}`)),
    ...(settings.tlsSecret === '' ? [] : [{ name: 'vault-tls-secrets', secret: { secretName: settings.tlsSecret } }]),
    ...(handsOver(plan) ? [memory('vault-handover')] : []),
  ]
}

/** What every container gets that reads the secrets. */
export function secretMounts(plan: Plan): readonly VolumeMount[] {
  return [
    { name: 'vault-secrets', mountPath: plan.settings.secretVolumePath },
    ...customPaths(plan).map((mountPath, index) => ({ name: `vault-secrets-custom-${index}`, mountPath })),
  ]
}

function agentMounts(plan: Plan, isInit: boolean): VolumeMount[] {
  const ownHome: VolumeMount = { name: isInit ? 'home-init' : 'home-sidecar', mountPath: home }
  const token: VolumeMount = { name: plan.token.mount.name, mountPath: plan.token.mount.mountPath, readOnly: true }
  return [
    ...(isInit ? [ownHome, token] : [token, ownHome]),
    ...secretMounts(plan),
    ...(plan.settings.tlsSecret === '' ? [] : [{ name: 'vault-tls-secrets', mountPath: '/vault/tls', readOnly: true }]),
    ...(handsOver(plan) ? [{ name: 'vault-handover', mountPath: handoverPath }] : []),
  ]
}

/** A native sidecar ends after the app, so the agent itself revokes what it holds: nobody needs it any more. */
const revokesAfter = ({ improvements, settings }: Plan): number | null =>
  settings.revokeOnShutdown && improvements.nativeSidecar ? (settings.revokeGrace ?? 0) : null

/**
 * Others end together with the app: the original's hook waits a while first.
 * @source vault-k8s container_sidecar.go
 */
function lifecycle({ improvements, settings }: Plan): NonNullable<Container['lifecycle']> {
  if (!settings.revokeOnShutdown || improvements.nativeSidecar) return {}
  const flags = [`-address=${settings.service}`, ...(settings.caCert === '' ? [] : [`-ca-cert=${settings.caCert}`])]
  const revoke = `/bin/sleep ${settings.revokeGrace ?? graceSeconds} && /bin/vault token revoke ${flags.join(' ')} -self`
  return { preStop: { exec: { command: ['/bin/sh', '-c', revoke] } } }
}

const fieldEnv = (name: string, fieldPath: string): EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } })

function environment(plan: Plan, isInit: boolean): EnvVar[] {
  const { settings, defaults, files, token } = plan
  const config = agentJson({
    settings,
    defaults,
    files,
    tokenPath: token.tokenPath,
    isInit,
    handsOver: handsOver(plan),
    revokesAfter: isInit ? null : revokesAfter(plan),
  })
  return [
    fieldEnv('NAMESPACE', 'metadata.namespace'),
    fieldEnv('HOST_IP', 'status.hostIP'),
    fieldEnv('POD_IP', 'status.podIP'),
    ...(settings.logLevel === '' ? [] : [{ name: 'VAULT_LOG_LEVEL', value: settings.logLevel }]),
    ...(settings.logFormat === '' ? [] : [{ name: 'VAULT_LOG_FORMAT', value: settings.logFormat }]),
    { name: 'VAULT_CONFIG', value: Buffer.from(config).toString('base64') },
    ...(defaults.caCertBytes === '' ? [] : [{ name: 'VAULT_CACERT_BYTES', value: defaults.caCertBytes }]),
  ]
}

function resources({ settings }: Plan): NonNullable<Container['resources']> {
  const of = (cpu: string | null, memoryBytes: string | null, ephemeral: string | null): Record<string, string> => ({
    ...(cpu !== null && { cpu }),
    ...(memoryBytes !== null && { memory: memoryBytes }),
    ...(ephemeral !== null && { 'ephemeral-storage': ephemeral }),
  })
  return {
    limits: of(settings.cpuLimit, settings.memoryLimit, settings.ephemeralLimit),
    requests: of(settings.cpuRequest, settings.memoryRequest, settings.ephemeralRequest),
  }
}

function sameUser(pod: SpecifiedPod): number {
  const first = pod.spec.containers[0]
  if (!first) throw new Denial('No containers found in Pod Spec')
  if (!first.securityContext) throw new Denial('No SecurityContext found for Container 0')
  const uid = first.securityContext.runAsUser
  if (uid === undefined) throw new Denial("RunAsUser is nil for Container 0's SecurityContext")
  if (uid === 0) throw new Denial('container not allowed to run as root')
  return uid
}

function securityContext(plan: Plan): SecurityContext {
  const { settings, pod, improvements } = plan
  const uid = settings.runAsSameUser ? sameUser(pod) : settings.runAsUser
  return {
    runAsUser: uid,
    runAsGroup: settings.runAsGroup,
    runAsNonRoot: uid !== 0 && settings.runAsGroup !== 0,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    ...(improvements.seccompProfile && { seccompProfile: { type: 'RuntimeDefault' as const } }),
  }
}

function base(plan: Plan, isInit: boolean): Container {
  const { settings, defaults } = plan
  return {
    name: isInit ? initName : sidecarName,
    image: settings.image,
    env: environment(plan, isInit),
    resources: resources(plan),
    ...(defaults.setSecurityContext && { securityContext: securityContext(plan) }),
    volumeMounts: agentMounts(plan, isInit),
    command: ['/bin/sh', '-ec'],
    args: [command],
  }
}

/** @source vault-k8s container_init_sidecar.go */
export const initContainer = (plan: Plan): Container => base(plan, true)

/** @source vault-k8s container_sidecar.go; as a native sidecar it starts after the init container and ends after the app */
export function sidecarContainer(plan: Plan): Container {
  return {
    ...base(plan, false),
    lifecycle: lifecycle(plan),
    ...(plan.improvements.nativeSidecar && { restartPolicy: 'Always' as const }),
  }
}
