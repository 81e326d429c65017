import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cliCommand } from './command.ts'
import { runCommand, type Stub, startStub } from './stub-server.ts'

/** A command line, the server's answers, and what must come of it. Blanks part the arguments. */
export type Transcript = {
  readonly rule: string
  readonly argv: string
  readonly stub: Stub
  readonly out?: string
  readonly err?: string | RegExp
  readonly code?: number
  readonly asked?: readonly string[]
  readonly input?: string
}

/** Plays each transcript as a test of its own. */
export function play(transcripts: readonly Transcript[]): void {
  for (const t of transcripts) void test(t.rule, () => playOne(t))
}

async function playOne(t: Transcript): Promise<void> {
  await using server = await startStub(t.stub)
  const [name = '', ...argv] = t.argv.split(' ')
  const env = { VAULT_ADDR: server.address, VAULT_TOKEN: 'hvs.t', HOME: '/nonexistent' }
  const run = await runCommand(cliCommand(name), argv, { env, ...(t.input !== undefined && { input: t.input }) })
  assert.equal(run.stdout, (t.out ?? '').replaceAll('ADDRESS', server.address))
  if (t.err instanceof RegExp) assert.match(run.stderr, t.err)
  else assert.equal(run.stderr, t.err ?? '')
  assert.equal(run.code, t.code ?? 0)
  if (t.asked) assert.deepEqual(server.asked, t.asked)
}
