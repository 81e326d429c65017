import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileSink, type FileSinkOptions } from './file.ts'

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-sink-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const sinkOf = (path: string, change: Partial<FileSinkOptions> = {}): FileSink =>
  new FileSink({ path, mode: null, user: null, group: null, createsFolders: true, ...change })

const parcel = (text: string) => ({ bytes: Buffer.from(text) })
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777

test('a file sink makes folders and the file, 0644 unless something else is said', () =>
  inFolder(async folder => {
    const path = join(folder, 'a', 'b', 'secret')
    assert.equal(await sinkOf(path).land(parcel('one')), 'changed')
    assert.equal(await readFile(path, 'utf8'), 'one')
    assert.equal(await modeOf(path), 0o644)
  }))

test('a file sink leaves equal bytes alone, and nothing else in the folder', () =>
  inFolder(async folder => {
    const path = join(folder, 'secret')
    await sinkOf(path).land(parcel('one'))
    const { ino } = await stat(path)
    assert.equal(await sinkOf(path).land(parcel('one')), 'unchanged')
    assert.equal((await stat(path)).ino, ino)
    assert.deepEqual(await readdir(folder), ['secret'])
  }))

test('a file sink applies a change of permissions alone', () =>
  inFolder(async folder => {
    const path = join(folder, 'secret')
    await sinkOf(path).land(parcel('one'))
    assert.equal(await sinkOf(path, { mode: 0o600 }).land(parcel('one')), 'changed')
    assert.equal(await modeOf(path), 0o600)
  }))

test('a file sink without a mode keeps that of the file which is there', () =>
  inFolder(async folder => {
    const path = join(folder, 'secret')
    await writeFile(path, 'old')
    await chmod(path, 0o4750)
    await sinkOf(path).land(parcel('new'))
    assert.equal(await modeOf(path), 0o4750)
  }))

test('a file sink names the folder that is missing when it may not make it', () =>
  inFolder(async folder => {
    const path = join(folder, 'none', 'secret')
    await assert.rejects(
      sinkOf(path, { createsFolders: false }).land(parcel('x')),
      /none does not exist, and create_dest_dirs is false/,
    )
  }))

test('a file sink names the user that nobody knows', () =>
  inFolder(async folder => {
    const path = join(folder, 'secret')
    await assert.rejects(sinkOf(path, { user: 'no-such-user-here' }).land(parcel('x')), /no-such-user-here/)
    assert.deepEqual(await readdir(folder), [])
  }))
