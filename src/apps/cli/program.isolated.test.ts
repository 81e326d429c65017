import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../main.ts', import.meta.url))

function run(argv: readonly string[], env: Record<string, string> = {}) {
  const { PATH = '' } = process.env
  const result = spawnSync(process.execPath, ['--no-warnings', main, ...argv], {
    encoding: 'utf8',
    env: { PATH, HOME: join('/', 'nonexistent'), ...env },
    cwd: '/',
  })
  return { code: result.status, stdout: result.stdout, stderr: result.stderr }
}

for (const [rule, argv, code, pattern] of [
  [
    'no command prints the usage to stderr, code 127',
    [],
    127,
    /^Usage: coffer <command> \[args\]\n\nCommon commands:\n {4}read /,
  ],
  ['an unknown command too, with the nearest word', ['pollicy'], 127, /Did you mean "policy"\?/],
  ['-help prints it to stdout, code 0', ['-help'], 0, /^Usage: coffer <command>/],
  ['-version is the version command', ['-version'], 0, /^Coffer v1\.21\.0\+coffer\./],
  ['a group alone prints its help to stderr, code 1', ['kv'], 1, /Subcommands:\n {4}delete/],
  ['a group in a group lists what is below', ['kv', 'metadata'], 1, /Usage: coffer kv metadata <subcommand>[^]*put /],
  [
    '-help anywhere prints the command help',
    ['kv', 'get', 'secret/x', '-help'],
    0,
    /^Usage: coffer kv get \[options\] KEY/,
  ],
  ['a refused connection names address and reason', ['status', '-address=http://127.0.0.1:1'], 1, /connection refused/],
] as const) {
  test(`the program: ${rule}`, () => {
    const result = run(argv)
    assert.match(code === 0 ? result.stdout : result.stderr, pattern)
    assert.equal(code === 0 ? result.stderr : result.stdout, '')
    assert.equal(result.code, code)
  })
}

test('the program: called as vault it says so', () => {
  const env = { COFFER_CALLED_AS: 'vault' }
  assert.match(run(['version'], env).stdout, /^Vault v1\.21\.0/)
  assert.match(run(['kv', 'get', '-help'], env).stdout, /\$ vault kv get/)
  assert.match(run(['audit', '-help'], env).stdout, /^Usage: vault audit <subcommand>[^]*\$ vault audit enable/)
})
