import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { tar, type TarEntry } from '#ground/base/tar.ts'

/** The part of an OCI image configuration that is set here. */
export type ImageConfig = {
  Entrypoint?: readonly string[]
  Cmd?: readonly string[]
  Env?: readonly string[]
  User?: string
  Labels?: Readonly<Record<string, string>>
}

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * An image as one archive that is an OCI layout and a `docker save` at once: `ctr images import`, `docker load`,
 * `podman load`, `kind load image-archive` and `skopeo` take it. Same input, same bytes.
 * @param reference with its tag: `registry.example.org/coffer:0.1.0`
 * @param compression of the layers; without it the archive is nearly three times as large, and made in a second
 * @source OCI image-spec v1.1 image-layout.md; moby image/tarexport
 */
export function imageArchive(
  reference: string,
  config: ImageConfig,
  layers: readonly (readonly TarEntry[])[],
  compression: 'none' | 'gzip' = 'none',
): Buffer {
  const blobs = new Map<string, Uint8Array>()
  const add = (bytes: Uint8Array): { digest: string; size: number } => {
    const digest = sha256(bytes)
    blobs.set(digest, bytes)
    return { digest: `sha256:${digest}`, size: bytes.length }
  }
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  const platform = { architecture: architectures[process.arch] ?? process.arch, os: 'linux' }
  const made = layers.map(layer => {
    const plain = tar(layer)
    // A layer is known by what it holds, its blob by its bytes.
    const diffId = `sha256:${sha256(plain)}`
    return { diffId, blob: add(compression === 'gzip' ? gzipSync(plain, { level: 9 }) : plain) }
  })
  const suffix = compression === 'gzip' ? '+gzip' : ''
  const configBlob = add(
    json({ ...platform, config, rootfs: { type: 'layers', diff_ids: made.map(layer => layer.diffId) } }),
  )
  const media = 'application/vnd.oci.image'
  const manifest = add(
    json({
      schemaVersion: 2,
      mediaType: `${media}.manifest.v1+json`,
      config: { mediaType: `${media}.config.v1+json`, ...configBlob },
      layers: made.map(layer => ({ mediaType: `${media}.layer.v1.tar${suffix}`, ...layer.blob })),
    }),
  )
  const index = {
    schemaVersion: 2,
    mediaType: `${media}.index.v1+json`,
    manifests: [
      {
        mediaType: `${media}.manifest.v1+json`,
        ...manifest,
        platform,
        annotations: {
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
        },
      },
    ],
  }
  const path = (digest: string): string => `blobs/sha256/${digest.replace('sha256:', '')}`
  const saved = [
    { Config: path(configBlob.digest), RepoTags: [reference], Layers: made.map(layer => path(layer.blob.digest)) },
  ]
  const file = (name: string, data: Uint8Array): TarEntry => ({ kind: 'file', path: name, mode: 0o644, data })
  return tar([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
    file('manifest.json', json(saved)),
    ...[...blobs].map(([digest, data]) => file(path(digest), data)),
  ])
}
