import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { tar, type TarEntry } from '#ground/base/tar.ts'
import { imageArchive } from './archive.ts'

const entries: TarEntry[] = [
  { kind: 'folder', path: 'bin', mode: 0o755 },
  { kind: 'file', path: 'bin/a', mode: 0o644, data: Buffer.from('hello') },
  { kind: 'link', path: 'bin/b', target: 'a' },
]

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
