import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type Entry, imageArchive, tar } from './archive.ts'

const entries: Entry[] = [
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

test('a compressed layer is known by its content, and stored by its bytes', () => {
  const archive = imageArchive('localhost/x:test', {}, [entries], 'gzip')
  const plain = createHash('sha256').update(tar(entries)).digest('hex')
  assert(archive.includes(`"diff_ids":["sha256:${plain}"]`))
  assert(archive.includes('image.layer.v1.tar+gzip'))
  assert(!archive.includes(`blobs/sha256/${plain}`))
})

test('an image names its layer by digest, and the same input gives the same bytes', () => {
  const archive = imageArchive('localhost/x:test', { Cmd: ['/bin/a'] }, [entries])
  assert.deepEqual(archive, imageArchive('localhost/x:test', { Cmd: ['/bin/a'] }, [entries]))
  const digest = createHash('sha256').update(tar(entries)).digest('hex')
  assert(archive.includes(`"diff_ids":["sha256:${digest}"]`))
  assert(archive.includes('"RepoTags":["localhost/x:test"]'))
})
