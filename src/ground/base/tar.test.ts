import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTar, tar, type TarEntry, TarError, tarEnd, tarMember } from './tar.ts'

const entries: TarEntry[] = [
  { kind: 'folder', path: 'bin', mode: 0o755 },
  { kind: 'file', path: 'bin/a', mode: 0o644, data: Buffer.from('hello') },
  { kind: 'link', path: 'bin/b', target: 'a' },
]

const field = (archive: Buffer, header: number, offset: number, length: number): string =>
  archive
    .subarray(header + offset, header + offset + length)
    .toString()
    .replace(/[\0 ]+$/, '')

test('a tar archive has a header for each entry, its data in whole blocks, and two empty blocks at the end', () => {
  const archive = tar(entries)
  assert.equal(archive.length, 512 * 6)
  assert.deepEqual(
    [0, 512, 1536].map(at => [field(archive, at, 0, 100), field(archive, at, 156, 1), field(archive, at, 124, 12)]),
    [
      ['bin/', '5', '00000000000'],
      ['bin/a', '0', '00000000005'],
      ['bin/b', '2', '00000000000'],
    ],
  )
  assert.equal(field(archive, 1536, 157, 100), 'a')
  assert(archive.subarray(-1024).every(byte => byte === 0))
})

test('a header’s sum counts its own field as spaces', () => {
  const header = Buffer.from(tar(entries).subarray(0, 512))
  const written = Number.parseInt(field(header, 0, 148, 6), 8)
  header.fill(' ', 148, 156)
  assert.equal(
    written,
    header.reduce((sum, byte) => sum + byte, 0),
  )
})

test('a path that a tar header can’t hold is refused', () => {
  assert.throws(() => tar([{ kind: 'folder', path: 'x'.repeat(101), mode: 0o755 }]), RangeError)
})

const file = (path: string, text: string): TarEntry => ({ kind: 'file', path, mode: 0o600, data: Buffer.from(text) })

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Uint8Array, size = 100, max = 2_000): Promise<readonly (readonly [string, string])[]> {
  const seen: (readonly [string, string])[] = []
  for await (const { path, data } of readTar(inPieces(bytes, size), max)) {
    seen.push([path, Buffer.from(data).toString()])
  }
  return seen
}

const archive = tar([file('a', 'one'), file('b/c', 'x'.repeat(1_024)), file('empty', '')])

for (const size of [1, 7, 512, 100_000]) {
  test(`tar: what was written is read again, in pieces of ${size} bytes`, async () => {
    assert.deepEqual(await read(archive, size), [
      ['a', 'one'],
      ['b/c', 'x'.repeat(1_024)],
      ['empty', ''],
    ])
  })
}

for (const [rule, bytes, text] of [
  ['a folder', tar([entries[0]!]), /files alone/],
  ['a link', tar([entries[2]!]), /files alone/],
  ['a file that is too large', tar([file('a', 'x'.repeat(3_000))]), /^a has more than 2000 bytes$/],
  ['an archive that is cut off in a file', archive.subarray(0, 600), /cut off/],
  ['an archive without its end', Buffer.from(tarMember(file('a', 'one'))), /cut off/],
  ['a changed header', Buffer.from(archive.map((byte, at) => (at === 1 ? 1 : byte))), /not a tar archive/],
  ['something else', Buffer.from('x'.repeat(2_000)), /not a tar archive/],
  ['nothing', Buffer.alloc(0), /cut off/],
] as const) {
  test(`tar: refused is ${rule}`, async () => {
    await assert.rejects(read(bytes), error => error instanceof TarError && text.test(error.message))
  })
}

test('tar: an archive may end at its end', async () => {
  assert.deepEqual(await read(Buffer.from(tarEnd)), [])
})
