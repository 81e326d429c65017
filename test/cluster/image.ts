import { createHash } from 'node:crypto'

/** A file of an image layer. Owner is root, its time 1970: the same content always gives the same digest. */
export type Entry =
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'file'; path: string; mode: number; data: Uint8Array }

/** The part of an OCI image configuration that tests set. */
export type ImageConfig = { Entrypoint?: string[]; Cmd?: string[]; Env?: string[]; User?: string }

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** An image of one layer as a `docker save` archive, which `ctr images import` takes. Same input, same bytes. */
export function imageArchive(reference: string, config: ImageConfig, entries: readonly Entry[]): Buffer {
  const layer = tar(entries)
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`
  const description = {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  const manifest = [{ Config: 'config.json', RepoTags: [reference], Layers: ['layer.tar'] }]
  return tar([
    { kind: 'file', path: 'manifest.json', mode: 0o644, data: Buffer.from(JSON.stringify(manifest)) },
    { kind: 'file', path: 'config.json', mode: 0o644, data: Buffer.from(JSON.stringify(description)) },
    { kind: 'file', path: 'layer.tar', mode: 0o644, data: layer },
  ])
}

const block = 512

/** A ustar archive (POSIX.1-1988, `pax(1)`). @throws RangeError for a path of more than 100 bytes. */
export function tar(entries: readonly Entry[]): Buffer {
  const parts: Uint8Array[] = []
  for (const entry of entries) {
    parts.push(header(entry))
    if (entry.kind !== 'file') continue
    parts.push(entry.data, Buffer.alloc(-entry.data.length & (block - 1)))
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

const typeFlags = { file: '0', link: '2', folder: '5' } as const

function header(entry: Entry): Buffer {
  const out = Buffer.alloc(block)
  const text = (value: string, offset: number, length: number): void => {
    if (Buffer.byteLength(value) > length) throw new RangeError(`too long for a tar header: ${value}`)
    out.write(value, offset)
  }
  const octal = (value: number, offset: number, length: number): void =>
    text(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length)
  text(entry.kind === 'folder' ? `${entry.path}/` : entry.path, 0, 100)
  octal(entry.kind === 'link' ? 0o777 : entry.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(entry.kind === 'file' ? entry.data.length : 0, 124, 12)
  octal(0, 136, 12)
  text(typeFlags[entry.kind], 156, 1)
  if (entry.kind === 'link') text(entry.target, 157, 100)
  text('ustar\u000000', 257, 8)
  // The sum is taken with its own field full of spaces.
  text(' '.repeat(8), 148, 8)
  const sum = out.reduce((total, byte) => total + byte, 0)
  text(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8)
  return out
}
