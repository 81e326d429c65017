import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const coffer = join(import.meta.dirname, '../bin/coffer')

const say = (command: string, env: Record<string, string> = {}): string =>
  execFileSync(command, ['version'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

test('launcher: what the environment says to Node does not count', () => {
  const plain = say(coffer)
  assert.match(plain, /^Coffer v\d/)
  // Each of these would end the program, make it print, or turn certificates off.
  const env = {
    NODE_OPTIONS: '--no-such-option',
    NODE_DEBUG: 'module',
    NODE_PATH: '/nonexistent',
    NODE_V8_COVERAGE: '/proc/none',
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
  }
  assert.equal(say(coffer, env), plain)
})

test('launcher: it finds its program behind links, absolute and relative, and says by which name it was called', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-launcher-'))
  try {
    symlinkSync(coffer, join(folder, 'coffer'))
    symlinkSync('coffer', join(folder, 'vault'))
    assert.match(say(join(folder, 'coffer')), /^Coffer v\d/)
    assert.match(say(join(folder, 'vault')), /^Vault v\d/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
