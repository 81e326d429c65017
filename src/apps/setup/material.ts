import { instant } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { chainFault } from '#ground/crypto/certificates.ts'
import { type IssuedCertificate, issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import type { KubeClient } from '#kube/client.ts'
import type { ConfigMap, KubeObject, KubeSecret } from '#kube/objects.ts'
import { persistentVolumeClaims, secrets } from '#kube/resources.ts'
import { applyAll, fieldManager } from './apply.ts'
import { meta } from './common.ts'
import { names, serverHosts, type SetupPlan } from './plan.ts'

const dayMs = 86_400_000
const authorityMs = 3650 * dayMs
const leafMs = 365 * dayMs
const renewMs = 60 * dayMs

/** What setup can't go on with; one sentence that says what to do. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}

const encode = (text: string): string => Buffer.from(text).toString('base64')
const decode = (secret: KubeSecret | null, key: string): string =>
  Buffer.from(secret?.data?.[key] ?? '', 'base64').toString()

const secretObject = (plan: SetupPlan, name: string, data: Record<string, string>, type = 'Opaque'): KubeSecret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: meta(name, plan.namespace, names.server),
  type,
  data,
})

/** The CA for whoever is to trust it. */
const authorityMap = (plan: SetupPlan, certificate: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: meta(names.caConfigMap, plan.namespace),
  data: { 'ca.crt': certificate },
})

/** CA, certificate and seal key as objects; for `-dry-run` with `<generated>` in the place of all of it. */
export function placeholderMaterial(plan: SetupPlan): readonly KubeObject[] {
  const generated = '<generated>'
  const secret = (name: string, keys: readonly string[], type = 'Opaque'): KubeSecret => {
    const { data: _, ...rest } = secretObject(plan, name, {}, type)
    return { ...rest, stringData: Object.fromEntries(keys.map(key => [key, generated])) }
  }
  return [
    secret(names.caSecret, ['ca.crt', 'ca.key']),
    secret(names.tlsSecret, ['tls.crt', 'tls.key'], 'kubernetes.io/tls'),
    authorityMap(plan, generated),
    ...(plan.seal === 'static' ? [secret(names.sealSecret, ['key'])] : []),
  ]
}

/**
 * Makes what isn't there: a CA once and for ever, a certificate when there is none or its end is near, a seal key only
 * where there is no data that another one sealed.
 * @returns the CA, PEM.
 * @throws SetupError
 */
export async function ensureMaterial(
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<string> {
  // First: it is what refuses.
  if (plan.seal === 'static') await ensureSealKey(kube, plan, world, say)
  const authority = await ensureAuthority(kube, plan, world, say)
  await ensureLeaf(kube, plan, authority, world, say)
  await applyAll(kube, [authorityMap(plan, authority.certificate)], say)
  return authority.certificate
}

async function ensureAuthority(
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<IssuedCertificate> {
  const found = await kube.find<KubeSecret>({ ...secrets, namespace: plan.namespace, name: names.caSecret })
  const certificate = decode(found, 'ca.crt')
  const key = decode(found, 'ca.key')
  if (certificate !== '' && key !== '') return { certificate, key: new Secret(key) }
  const now = world.clock.now()
  const made = issueAuthority(world, {
    commonName: 'coffer CA',
    notBefore: instant(now - 60_000),
    notAfter: instant(now + authorityMs),
  })
  const data = { 'ca.crt': encode(made.certificate), 'ca.key': encode(made.key.reveal('the Secret of the CA')) }
  await kube.create<KubeSecret>({ ...secrets, namespace: plan.namespace }, secretObject(plan, names.caSecret, data))
  say(`made a CA: Secret ${plan.namespace}/${names.caSecret}`)
  return made
}

function isGoodLeaf(certificate: string, authority: IssuedCertificate, namespace: string, now: number): boolean {
  if (certificate === '') return false
  const at = instant(now + renewMs)
  return serverHosts(namespace).every(host => chainFault(certificate, authority.certificate, at, host) === null)
}

async function ensureLeaf(
  kube: KubeClient,
  plan: SetupPlan,
  authority: IssuedCertificate,
  world: World,
  say: (line: string) => void,
): Promise<void> {
  const target = { ...secrets, namespace: plan.namespace, name: names.tlsSecret }
  const now = world.clock.now()
  const found = await kube.find<KubeSecret>(target)
  if (isGoodLeaf(decode(found, 'tls.crt'), authority, plan.namespace, now)) return
  const made = issueLeaf(world, authority, {
    commonName: `${names.server}.${plan.namespace}.svc`,
    dnsNames: serverHosts(plan.namespace),
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
    notBefore: instant(now - 60_000),
    notAfter: instant(now + leafMs),
  })
  const data = {
    'tls.crt': encode(made.certificate),
    'tls.key': encode(made.key.reveal('the Secret of the certificate')),
  }
  await kube.apply(target, secretObject(plan, names.tlsSecret, data, 'kubernetes.io/tls'), {
    fieldManager,
    isForced: true,
  })
  say(`made a certificate for a year: Secret ${plan.namespace}/${names.tlsSecret}; run setup again to renew it`)
}

async function ensureSealKey(
  kube: KubeClient,
  plan: SetupPlan,
  world: World,
  say: (line: string) => void,
): Promise<void> {
  const { namespace } = plan
  if ((await kube.find({ ...secrets, namespace, name: names.sealSecret })) !== null) return
  const data = await kube.find({ ...persistentVolumeClaims, namespace, name: `data-${names.server}-0` })
  if (data !== null) {
    throw new SetupError(
      `the Secret ${namespace}/${names.sealSecret} is missing, but there is data from before (PersistentVolumeClaim data-${names.server}-0) that only it opens: bring it back, or remove the claim to begin anew`,
    )
  }
  const key = Buffer.from(world.entropy.bytes(32))
  await kube.create<KubeSecret>(
    { ...secrets, namespace },
    secretObject(plan, names.sealSecret, { key: encode(key.toString('hex')) }),
  )
  key.fill(0)
  say(
    `made the seal key: Secret ${namespace}/${names.sealSecret}. Whoever can read it can unseal: keep a copy elsewhere, and keep readers few`,
  )
}
