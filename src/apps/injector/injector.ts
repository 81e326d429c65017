import type { World } from '#ground/base/world.ts'
import type { HttpHandler } from '#ground/http/message.ts'
import { listen } from '#ground/http/server.ts'
import { type AdmissionAnswer, type AdmissionReview, admissionHandler, firstOf } from '#kube/admission.ts'
import type { KubeClient } from '#kube/client.ts'
import { minorOf, serverVersion } from '#kube/discovery.ts'
import type { Pod } from '#kube/pod.ts'
import {
  allImprovements,
  type Improvements,
  type InjectorDefaults,
  noImprovements,
} from '#delivery/annotations/defaults.ts'
import { inject } from '#delivery/annotations/inject.ts'
import { keepCaBundle } from './ca-bundle.ts'
import { openCertificates } from './certificates.ts'
import type { InjectorFlags } from './flags.ts'

/** Native sidecars are on by default from here on. */
const nativeSidecarMinor = 29
const drainMs = 3_000

export type InjectorOptions = {
  readonly flags: InjectorFlags
  readonly defaults: InjectorDefaults
  readonly namespace: string
  readonly world: World
  /** null: certificates come from files, and the API server is asked nothing. */
  readonly kube: KubeClient | null
}

/** What the cluster can take of what we do otherwise; all of it off for the original's patch, or a version we can't read. */
export async function chooseImprovements({ flags, kube, world }: InjectorOptions): Promise<Improvements> {
  if (flags.compat !== '') return noImprovements
  const wanted = {
    nativeSidecar: flags['native-sidecar'],
    seccompProfile: flags['seccomp-profile'],
    handover: flags.handover,
  }
  if (kube === null) return noImprovements
  try {
    const minor = minorOf(await serverVersion(kube))
    if (minor !== null && minor >= nativeSidecarMinor) return { ...allImprovements, ...wanted }
    world.log.warn('this cluster has no native sidecars: pods get the patch of vault-k8s', { minor })
  } catch (error) {
    world.log.warn('the version of the cluster can not be read: pods get the patch of vault-k8s', { error })
  }
  return noImprovements
}

/** The webhook's answers: `/mutate` and `/health/ready`. */
export function injectorHandler(
  defaults: InjectorDefaults,
  improvements: Improvements,
  world: World,
  isReady: () => boolean,
): HttpHandler {
  const mutate = (review: AdmissionReview): AdmissionAnswer => answer(review, defaults, improvements, world)
  return firstOf(
    request => (request.path === '/health/ready' ? { status: isReady() ? 204 : 503, headers: [], body: null } : null),
    admissionHandler({ '/mutate': mutate }, error => world.log.error('a review failed', { error })),
  )
}

function answer(
  { request }: AdmissionReview,
  defaults: InjectorDefaults,
  improvements: Improvements,
  world: World,
): AdmissionAnswer {
  const pod = request.object
  if (pod === undefined || pod === null) return { isAllowed: false, message: 'unexpected end of JSON input' }
  const done = inject(pod as Pod, request.namespace ?? '', defaults, improvements)
  const name = pod.metadata?.name ?? pod.metadata?.generateName ?? ''
  switch (done.kind) {
    case 'untouched':
      return { isAllowed: true }
    case 'denied':
      world.log.warn('pod denied', { namespace: request.namespace, pod: name, message: done.message })
      return { isAllowed: false, message: done.message }
    case 'patched':
      world.log.info('pod injected', { namespace: request.namespace, pod: name })
      return { isAllowed: true, patch: done.patch as never, warnings: done.warnings }
  }
}

/** Serves until the signal is aborted; then it is unready, lets calls under way end, and stops. */
export async function runInjector(options: InjectorOptions): Promise<void> {
  const { flags, defaults, world, kube, namespace } = options
  const improvements = await chooseImprovements(options)
  let isReady = true
  const handler = injectorHandler(defaults, improvements, world, () => isReady)
  const stop = new AbortController()
  const signal = AbortSignal.any([world.signal, stop.signal])
  const certificates = await openCertificates(flags, kube, namespace, world)
  const server = await listen({
    address: parseListen(flags.listen),
    tls: certificates.tls(),
    handler,
    clock: world.clock,
    log: world.log.named('http'),
  })
  const { address } = server
  world.log.info('injecting', {
    port: 'port' in address ? address.port : 0,
    image: defaults.image,
    server: defaults.address,
    ...improvements,
  })
  const keeping = [certificates.keepFresh(server, signal)]
  const { authority } = certificates
  if (kube !== null && flags['tls-auto'] !== '' && authority !== null) {
    keeping.push(keepCaBundle(kube, flags['tls-auto'], () => authority(server), world, signal))
  }
  await untilAborted(world.signal)
  isReady = false
  await server.close({ graceMs: drainMs })
  stop.abort()
  await Promise.all(keeping)
}

/** `:8080` is all addresses. */
export function parseListen(text: string): { host: string; port: number } {
  const match = /^(.*):(\d{1,5})$/.exec(text)
  if (!match) throw new Error(`-listen "${text}" is not host:port, like :8080`)
  return { host: match[1] === '' ? '0.0.0.0' : match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2]) }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}
