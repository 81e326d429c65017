import { readFileSync } from 'node:fs'
import { Secret } from '#ground/base/secret.ts'
import type { World } from '#ground/base/world.ts'
import type { HttpServer } from '#ground/http/server.ts'
import type { TlsSettings, TlsVersion } from '#ground/http/tls.ts'
import type { KubeClient } from '#kube/client.ts'
import { leafMs, sharedAuthority, webhookLeaf } from './authority.ts'
import type { InjectorFlags } from './flags.ts'

/** How often files are read again, ms. */
const filesMs = 30_000

/** Where the webhook's certificate comes from, and who vouches for it. */
export type Certificates = {
  tls(): TlsSettings
  /** Takes the newest certificate to the server, until aborted. */
  keepFresh(server: HttpServer, signal: AbortSignal): Promise<void>
  /** The CA that counts now, PEM; the server takes a certificate of it when it is another than before. null: not known. */
  authority: ((server: HttpServer) => Promise<string>) | null
}

/** @throws Error when there is neither a certificate in files nor a cluster to keep one in; KubeError */
export async function openCertificates(
  flags: InjectorFlags,
  kube: KubeClient | null,
  namespace: string,
  world: World,
): Promise<Certificates> {
  const settings = { clientCertificates: 'none', versionMin: versionOf(flags['tls-min-version']) } as const
  if (flags['tls-cert-file'] !== '') return certificatesFromFiles(flags, settings, world)
  if (kube === null)
    throw new Error(
      'a certificate is missing: give -tls-cert-file and -tls-key-file, or run in a cluster with -tls-auto',
    )
  let authority = await sharedAuthority(kube, namespace, world)
  const hosts = flags['tls-auto-hosts']
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '')
  const tls = (): TlsSettings => ({ ...webhookLeaf(authority, hosts, world), ...settings })
  return {
    tls,
    // A tenth of its life is left then.
    keepFresh: (server, signal) => every(leafMs * 0.9, world, signal, () => server.reloadTls(tls())),
    // The Secret is what counts: when somebody took it away, all replicas meet at its successor.
    async authority(server) {
      const now = await sharedAuthority(kube, namespace, world)
      if (now.certificate !== authority.certificate) {
        authority = now
        server.reloadTls(tls())
        world.log.info('another CA is in the Secret, and is used from now on')
      }
      return now.certificate
    },
  }
}

function certificatesFromFiles(
  flags: InjectorFlags,
  settings: Pick<TlsSettings, 'clientCertificates' | 'versionMin'>,
  world: World,
): Certificates {
  const tls = (): TlsSettings => ({
    certificate: readFileSync(flags['tls-cert-file'], 'utf8'),
    key: new Secret(readFileSync(flags['tls-key-file'], 'utf8')),
    ...settings,
  })
  const caFile = flags['tls-ca-cert-file']
  return {
    tls,
    keepFresh: (server, signal) => every(filesMs, world, signal, () => server.reloadTls(tls())),
    authority: caFile === '' ? null : async () => readFileSync(caFile, 'utf8'),
  }
}

async function every(ms: number, world: World, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await world.clock.sleep(ms, signal).catch(() => undefined)
    if (signal.aborted) return
    try {
      work()
    } catch (error) {
      world.log.error('the certificate can not be renewed; the old one stays', { error })
    }
  }
}

function versionOf(text: string): TlsVersion {
  if (text === 'tls12') return 'TLSv1.2'
  if (text === 'tls13') return 'TLSv1.3'
  throw new Error(`-tls-min-version "${text}" is not tls12 or tls13`)
}
