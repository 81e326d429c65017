import { type Instant, instant } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import { inspectCertificate } from '#ground/crypto/certificates.ts'
import { type IssuedCertificate, issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import type { KubeClient } from '#kube/client.ts'
import { isKubeError } from '#kube/errors.ts'
import type { KubeSecret } from '#kube/objects.ts'
import { secrets } from '#kube/resources.ts'

const dayMs = 86_400_000
const authorityMs = 3650 * dayMs
export const leafMs = dayMs

/** Where all replicas find the one CA. */
export const certificateSecret = 'coffer-injector-certs'

/**
 * The CA that the webhook's certificate is signed by: kept in a Secret, made by whichever replica comes first. A new
 * process with a new CA would have its calls refused until the webhook's configuration followed.
 * @throws KubeError
 */
export async function sharedAuthority(kube: KubeClient, namespace: string, world: World): Promise<IssuedCertificate> {
  const target = { ...secrets, namespace, name: certificateSecret }
  for (let attempt = 0; attempt < 5; attempt++) {
    const found = await kube.find<KubeSecret>(target)
    const authority = found === null ? null : readAuthority(found, world.clock.now())
    if (authority !== null) return authority
    const made = makeAuthority(world)
    try {
      if (found === null) await kube.create<KubeSecret>({ ...secrets, namespace }, secretOf(made, namespace))
      else await kube.replace<KubeSecret>(target, { ...secretOf(made, namespace), metadata: found.metadata ?? {} })
      return made
    } catch (error) {
      // Another replica was first: its CA counts.
      if (!isKubeError(error, 'AlreadyExists') && !isKubeError(error, 'Conflict')) throw error
    }
  }
  throw new Error(`the Secret ${namespace}/${certificateSecret} is written by others again and again`)
}

function makeAuthority(world: World): IssuedCertificate {
  const now = world.clock.now()
  return issueAuthority(world, {
    commonName: 'coffer injector CA',
    notBefore: instant(now - 60_000),
    notAfter: instant(now + authorityMs),
  })
}

function secretOf(authority: IssuedCertificate, namespace: string): KubeSecret {
  const encode = (text: string): string => Buffer.from(text).toString('base64')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: certificateSecret, namespace, labels: { 'app.kubernetes.io/name': 'coffer-injector' } },
    type: 'Opaque',
    data: {
      'ca.crt': encode(authority.certificate),
      'ca.key': encode(authority.key.reveal('the Secret that replicas share')),
    },
  }
}

// One that ends within a tenth of its life, or can't be read, is made anew.
function readAuthority(secret: KubeSecret, now: Instant): IssuedCertificate | null {
  const text = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString()
  const certificate = text('ca.crt')
  const key = text('ca.key')
  if (certificate === '' || key === '') return null
  try {
    if (inspectCertificate(certificate).notAfter - now < authorityMs / 10) return null
  } catch {
    return null
  }
  return { certificate, key: new Secret(key) }
}

/** A certificate for a day. */
export function webhookLeaf(authority: IssuedCertificate, hosts: readonly string[], world: World): IssuedCertificate {
  const now = world.clock.now()
  const isIp = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(':')
  return issueLeaf(world, authority, {
    commonName: 'coffer injector',
    dnsNames: hosts.filter(host => !isIp(host)),
    ipAddresses: hosts.filter(isIp),
    usage: 'server',
    notBefore: instant(now - 60_000),
    notAfter: instant(now + leafMs),
  })
}
