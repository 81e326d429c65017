import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { Child, childEnvironment, type ChildOptions, runToEnd } from './child.ts'

const env = { PATH: process.env['PATH'] ?? '' }
const sh = (script: string): string[] => ['/bin/sh', '-c', script]
const capture = { env, output: 'capture' } as const satisfies ChildOptions
const run = (
  argv: readonly string[],
  more: Partial<Parameters<typeof runToEnd>[1]> = {},
): ReturnType<typeof runToEnd> =>
  runToEnd(argv, { ...capture, clock: systemClock, timeoutMs: 60_000, signal: new AbortController().signal, ...more })

/** A process that was killed may wait for its parent to take note (state Z); it runs no more. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return /^[^Z\s]/.test(stdout)
}

test('child: exit code, output and input', async () => {
  const end = await run(sh('cat; echo err >&2; exit 3'), { input: Buffer.from('hello') })
  assert.deepEqual(
    [end.code, end.signal, end.stdout.toString(), end.stderr.toString(), end.isCut, end.isTimedOut],
    [3, null, 'hello', 'err\n', false, false],
  )
})

test('child: arguments reach it as they are, no shell reads them', async () => {
  const end = await run(['printf', '%s', '$(id) `id` "a b" ; exit 1'])
  assert.equal(end.stdout.toString(), '$(id) `id` "a b" ; exit 1')
})

test('child: it gets the environment it is given and nothing else', async () => {
  const end = await run(['env'], { env: { ...env, A: '1', B: undefined, NODE_COMPILE_CACHE: '/x' } })
  assert.deepEqual(end.stdout.toString().trim().split('\n').sort(), ['A=1', `PATH=${env.PATH}`])
})

test('child: more output than is kept is dropped, and told', async () => {
  const end = await run(sh('head -c 100000 /dev/zero; echo end >&2'), { outputBytesMax: 1000 })
  assert.deepEqual([end.stdout.length, end.stderr.toString(), end.isCut, end.code], [1000, 'end\n', true, 0])
})

test('child: input that is not read is no failure', async () => {
  const end = await run(['true'], { input: Buffer.alloc(1_000_000) })
  assert.equal(end.code, 0)
})

test('child: a command that is not there, or can not be run, says so without its arguments', async () => {
  await assert.rejects(run(['/nowhere/command', 'hvs.secret']), {
    name: 'ChildError',
    exitCode: 127,
    message: 'can\'t start "/nowhere/command": not found',
  })
  await assert.rejects(run(['/etc/passwd', 'hvs.secret']), {
    exitCode: 126,
    message: 'can\'t start "/etc/passwd": not executable',
  })
})

test('child: at its time the whole group ends, also what ignores the first signal', async () => {
  const script = 'trap "" TERM; sleep 300 & echo $!; wait; sleep 300'
  const end = await run(sh(script), { timeoutMs: 300, killAfterMs: 300 })
  assert.deepEqual([end.isTimedOut, end.signal], [true, 'SIGKILL'])
  assert.equal(isRunning(Number(end.stdout.toString())), false)
})

test('child: an abort ends it and rejects with its reason', async () => {
  const abort = new AbortController()
  const running = run(sh('sleep 300'), { signal: abort.signal })
  abort.abort(new Error('stopped'))
  await assert.rejects(running, /stopped/)
  await assert.rejects(run(['true'], { signal: abort.signal }), /stopped/)
})

test('child: what it leaves running does not hold us', async () => {
  const end = await run(sh('sleep 300 & echo $!'))
  process.kill(Number(end.stdout.toString()), 'SIGKILL')
  assert.equal(end.code, 0)
})

test('child: signals reach the group, stop asks first', async () => {
  const child = await Child.start(systemClock, sh('trap "echo hup; exit 7" HUP; echo ready; sleep 300 & wait'), capture)
  assert.ok(child.isRunning)
  const end = await child.stop({ signal: 'SIGHUP', graceMs: 10_000 })
  assert.equal(child.isRunning, false)
  // The signal may come before the trap is set.
  assert.ok(end.code === 7 || end.signal === 'SIGHUP')
  child.signal('SIGTERM')
})

test('child: our own variables are not passed on', () => {
  assert.deepEqual(childEnvironment({ A: 'a', B: undefined, COFFER_CALLED_AS: 'vault', NODE_COMPILE_CACHE: 'x' }), {
    A: 'a',
  })
})
