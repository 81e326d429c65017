import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findGroup, findUser } from './accounts.ts'
import { writeFileAtomically } from './atomic-file.ts'
import { holdPidFile } from './pid-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'coffer-process-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const bytes = (text: string): Uint8Array => Buffer.from(text)

test('atomic file: bytes and mode are as asked, whatever the umask, and nothing else is left', async () => {
  mkdirSync(at('plain'))
  await writeFileAtomically(at('plain', 'a'), bytes('one'), { mode: 0o666 })
  await writeFileAtomically(at('plain', 'a'), bytes('two'), { mode: 0o640 })
  assert.equal(readFileSync(at('plain', 'a'), 'utf8'), 'two')
  assert.equal(statSync(at('plain', 'a')).mode & 0o7777, 0o640)
  assert.deepEqual(readdirSync(at('plain')), ['a'])
})

test('atomic file: writers at once leave one of their texts', async () => {
  const texts = Array.from({ length: 20 }, (_, n) => String(n).repeat(10_000))
  await Promise.all(texts.map(text => writeFileAtomically(at('many'), bytes(text), { mode: 0o600 })))
  assert.ok(texts.includes(readFileSync(at('many'), 'utf8')))
})

test('atomic file: a link is replaced, not followed', async () => {
  writeFileSync(at('target'), 'untouched')
  symlinkSync(at('target'), at('link'))
  await writeFileAtomically(at('link'), bytes('new'), { mode: 0o600 })
  assert.deepEqual([readFileSync(at('target'), 'utf8'), readFileSync(at('link'), 'utf8')], ['untouched', 'new'])
})

test('atomic file: a failure leaves the old file and no other', async () => {
  mkdirSync(at('failing', 'a'), { recursive: true })
  await assert.rejects(writeFileAtomically(at('failing', 'a'), bytes('x'), { mode: 0o600 }), { code: 'EISDIR' })
  assert.deepEqual(readdirSync(at('failing')), ['a'])
  await assert.rejects(writeFileAtomically(at('missing', 'a'), bytes('x'), { mode: 0o600 }), { code: 'ENOENT' })
})

test('atomic file: killed at any moment, a reader finds whole bytes', async () => {
  const path = at('killed')
  const module = JSON.stringify(new URL('./atomic-file.ts', import.meta.url).href)
  const script = `import { writeFileAtomically } from ${module}
process.stdout.write('go')
for (let n = 0; ; n++) await writeFileAtomically(${JSON.stringify(path)}, Buffer.alloc(200_000, 97 + (n % 26)), { mode: 0o600 })`
  for (let round = 0; round < 5; round++) {
    const writer = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise(resolve => writer.stdout.once('data', resolve))
    await new Promise(resolve => setTimeout(resolve, 10 + round * 7))
    writer.kill('SIGKILL')
    await new Promise(resolve => writer.once('exit', resolve))
    const found = readFileSync(path)
    assert.equal(found.length, 200_000)
    assert.ok(found.every(byte => byte === found[0]))
  }
})

test('accounts: numbers stand for themselves, names are looked up', async () => {
  writeFileSync(at('passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:1000:2000::/:/bin/false\n')
  assert.equal(await findUser('app', at('passwd')), 1000)
  assert.equal(await findUser('65534', at('passwd')), 65_534)
  assert.equal(await findGroup('root'), 0)
  for (const [name, file, want] of [
    ['nobody2', at('passwd'), /^user "nobody2" is not in .*passwd; a number works without it$/],
    ['x', at('no-passwd'), /^user "x" can't be looked up: ENOENT/],
    ['4294967295', at('passwd'), /is larger than 4294967294/],
    ['', at('passwd'), /^user "" is not in/],
  ] as const) {
    await assert.rejects(findUser(name, file), { name: 'AccountError', message: want })
  }
})

test('pid file: it holds our number and goes when disposed', () => {
  const held = holdPidFile(at('pid'))
  assert.equal(readFileSync(at('pid'), 'utf8'), String(process.pid))
  held[Symbol.dispose]()
  assert.ok(!readdirSync(folder).includes('pid'))
})

test('pid file: it refuses while another process of this program runs, and not after', async () => {
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); process.stdout.write("x")'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise(resolve => other.stdout.once('data', resolve))
  writeFileSync(at('pid2'), `${other.pid}\n`)
  assert.throws(() => holdPidFile(at('pid2')), {
    name: 'PidFileError',
    message: `already running as process ${other.pid} (pid file ${at('pid2')})`,
  })
  other.kill('SIGKILL')
  await new Promise(resolve => other.once('exit', resolve))
  holdPidFile(at('pid2'))[Symbol.dispose]()
})

for (const [rule, content] of [
  ['our own, as after a restart of a container', String(process.pid)],
  ['of a process that is gone', String(spawnSync('true').pid)],
  ['none at all', 'junk'],
  ['empty', ''],
] as const) {
  test(`pid file: a number that is ${rule} is no obstacle`, () => {
    writeFileSync(at('pid3'), content)
    holdPidFile(at('pid3'))[Symbol.dispose]()
    assert.ok(!readdirSync(folder).includes('pid3'))
  })
}

test('pid file: a number that was given to another program is no obstacle', () => {
  const other = spawn('sleep', ['300'])
  try {
    writeFileSync(at('pid5'), String(other.pid))
    holdPidFile(at('pid5'))[Symbol.dispose]()
    assert.ok(!readdirSync(folder).includes('pid5'))
  } finally {
    other.kill('SIGKILL')
  }
})

test('pid file: one that somebody else wrote since is left alone', () => {
  const held = holdPidFile(at('pid4'))
  writeFileSync(at('pid4'), '1')
  held[Symbol.dispose]()
  assert.equal(readFileSync(at('pid4'), 'utf8'), '1')
  assert.throws(() => holdPidFile(at('nowhere', 'pid')), { name: 'PidFileError', message: /can't be written: ENOENT/ })
})
