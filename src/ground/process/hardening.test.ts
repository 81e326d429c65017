import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Exposure, looseEnds, readExposure } from './hardening.ts'

const tight: Exposure = {
  execArgv: ['--disable-sigusr1'],
  inspector: null,
  reports: false,
  limits: 'Limit\nMax core file size         0                    unlimited            bytes\n',
}

for (const [rule, exposure, want] of [
  ['nothing under the launcher', {}, []],
  ['nothing of core files where they are not known', { limits: null }, []],
  [
    'an inspector',
    { inspector: 'ws://127.0.0.1:9229/x' },
    ['an inspector listens on ws://127.0.0.1:9229/x: start without --inspect'],
  ],
  ['SIGUSR1', { execArgv: [] }, ['SIGUSR1 opens an inspector: start Node with --disable-sigusr1']],
  [
    'heap snapshots',
    { execArgv: ['--disable-sigusr1', '--heapsnapshot-signal=SIGUSR2'] },
    ['--heapsnapshot-signal=SIGUSR2 writes secrets to a file: start without it'],
  ],
  ['reports', { reports: true }, ['diagnostic reports hold the environment: start without --report-*']],
  [
    'core files',
    { limits: 'Max core file size         unlimited            unlimited            bytes' },
    ['a crash writes memory to a core file: start with `ulimit -c 0`'],
  ],
] as const) {
  test(`hardening: ${rule} is told`, () => assert.deepEqual(looseEnds({ ...tight, ...exposure }), want))
}

test('hardening: this process can be read', () => {
  assert.deepEqual(readExposure().execArgv, process.execArgv)
})
