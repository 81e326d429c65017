import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import { cliCommand } from './command.ts'
import { runCommand, startStub } from './stub-server.ts'
import { play } from './transcript.ts'

const begun = { body: { data: { migration_id: 'm-1' }, warnings: ['queued'] } }
const at = (status: string) => ({ body: { data: { migration_id: 'm-1', migration_info: { status } } } })

play([
  {
    rule: 'secrets move ends with an error when the move fails',
    argv: 'secrets move secret/ generic/',
    stub: { 'POST /v1/sys/remount': begun, 'GET /v1/sys/remount/status/m-1': at('failure') },
    out: 'Started moving secrets engine secret/ to generic/, with migration ID m-1\n',
    err: 'Failure! Error encountered moving secrets engine secret/ to generic/, with migration ID m-1\n',
    code: 2,
  },
  {
    rule: 'secrets move shows why the server refuses',
    argv: 'secrets move secret/ sys/',
    stub: { 'POST /v1/sys/remount': { status: 400, body: { errors: ['cannot remount to destination sys/'] } } },
    err: /^Error moving secrets engine secret\/ to sys\/: Error making API request\.[^]*\* cannot remount to destination sys\/\n/,
    code: 2,
  },
  {
    rule: 'secrets move: a server that forgot the move is an error',
    argv: 'secrets move secret/ generic/',
    stub: { 'POST /v1/sys/remount': begun },
    out: 'Started moving secrets engine secret/ to generic/, with migration ID m-1\n',
    err: /^Error checking migration status of secrets engine secret\/ to generic\/: the server knows nothing of this move/,
    code: 2,
  },
  {
    rule: 'secrets move takes two paths',
    argv: 'secrets move secret/',
    stub: {},
    err: /Not enough arguments \(expected 2, got 1\)/,
    code: 1,
  },
  {
    rule: 'auth move sends whole paths, whether auth/ is given or not',
    argv: 'auth move auth/approle/ generic/',
    stub: { 'POST /v1/sys/remount': begun, 'GET /v1/sys/remount/status/m-1': at('success') },
    out: `Started moving auth method auth/approle/ to auth/generic/, with migration ID m-1
Success! Finished moving auth method auth/approle/ to auth/generic/, with migration ID m-1
`,
    asked: ['POST /v1/sys/remount {"from":"auth/approle/","to":"auth/generic/"}', 'GET /v1/sys/remount/status/m-1'],
  },
])

test('secrets move asks until it is done, and says on a terminal what it waits for', async () => {
  await using server = await startStub({
    'POST /v1/sys/remount': begun,
    'GET /v1/sys/remount/status/m-1': [at('in-progress'), at('success')],
  })
  const end = await runCommand(cliCommand('secrets'), ['move', 'secret', 'generic/'], {
    env: { VAULT_ADDR: server.address, VAULT_TOKEN: 'hvs.t', HOME: '/nonexistent' },
    world: { ...simWorld({ seed: 1 }), clock: systemClock },
    isErrorTerminal: true,
  })
  const which = 'secrets engine secret/ to generic/, with migration ID m-1'
  assert.equal(end.stdout, `Started moving ${which}\nSuccess! Finished moving ${which}\n`)
  assert.equal(end.stderr, `\rWaiting for terminal status in migration of ${which}\u001b[K\n`)
  assert.deepEqual(server.asked, [
    'POST /v1/sys/remount {"from":"secret/","to":"generic/"}',
    'GET /v1/sys/remount/status/m-1',
    'GET /v1/sys/remount/status/m-1',
  ])
})
