import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { endingSignal, onSignals } from './signals.ts'

const nextSignal = (name: NodeJS.Signals): Promise<void> => new Promise(resolve => process.once(name, () => resolve()))

test('signals: the handler is told which, until disposed', async () => {
  const seen: string[] = []
  const wired = onSignals(['SIGHUP', 'SIGWINCH'], name => seen.push(name))
  for (const name of ['SIGHUP', 'SIGWINCH'] as const) {
    const came = nextSignal(name)
    process.kill(process.pid, name)
    await came
  }
  wired[Symbol.dispose]()
  const came = nextSignal('SIGHUP')
  process.kill(process.pid, 'SIGHUP')
  await came
  assert.deepEqual(seen, ['SIGHUP', 'SIGWINCH'])
})

test('signals: the first one aborts', async () => {
  using ending = endingSignal(['SIGWINCH'])
  const came = nextSignal('SIGWINCH')
  process.kill(process.pid, 'SIGWINCH')
  await came
  assert.match(String(ending.signal.reason), /ended by SIGWINCH/)
})

test('signals: the second one ends a process that does not come to its end', async () => {
  const script = `import { endingSignal } from ${JSON.stringify(new URL('./signals.ts', import.meta.url).href)}
const ending = endingSignal()
ending.signal.addEventListener('abort', () => process.stdout.write('asked'))
setInterval(() => {}, 1000)
process.stdout.write('ready')`
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = (): Promise<string> => new Promise(resolve => child.stdout.once('data', data => resolve(String(data))))
  assert.equal(await said(), 'ready')
  child.kill('SIGTERM')
  assert.equal(await said(), 'asked')
  child.kill('SIGTERM')
  const signal = await new Promise(resolve => child.once('exit', (_code, name) => resolve(name)))
  assert.equal(signal, 'SIGTERM')
})
