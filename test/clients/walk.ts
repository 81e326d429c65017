import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { obtain } from '../cluster/cache.ts'
import { capture } from '../cluster/process.ts'
import type { Client } from './clients.ts'
import { check, type Expected } from './expect.ts'
import { type Server, startServer } from './server.ts'

/** What a client's program says of one call: what it returned, or the error that the client raised. */
type Step = { readonly step: string; readonly ok: boolean; readonly detail: unknown }

/** The call returned this. */
export const gave = (detail: Expected): Outcome => ({ ok: true, detail })
/** The client raised this. */
export const raised = (detail: Expected): Outcome => ({ ok: false, detail })

export type Outcome = { readonly ok: boolean; readonly detail: Expected }

/** The steps in the order of the program's calls. */
export type Walk = readonly (readonly [step: string, outcome: Outcome])[]

/**
 * Runs a client's program against a new server, and makes a test of each step: it came, and it came out as expected.
 * One more test says that the program ended well and took no step that isn't in the table.
 */
export function testWalk(name: string, client: Client, walk: Walk): void {
  const skip = client.unable()
  const steps = new Map<string, Step>()
  let server: Server | null = null
  let ending = ''

  before(async () => {
    if (skip !== false) return
    const folder = await obtain(client.artifact())
    server = await startServer()
    const { argv, env } = client.command(folder)
    // Nothing of the developer's own environment: clients read VAULT_TOKEN, ~/.vault-token and proxies.
    const options = { env: { HOME: server.folder, ...env }, cwd: server.folder, timeoutMs: 90_000 }
    const { code, stdout, stderr } = await capture([...argv, server.address, server.folder], options)
    for (const line of stdout.split('\n').filter(Boolean)) {
      const step = JSON.parse(line, exact) as Step
      steps.set(step.step, step)
    }
    ending = code === 0 ? '' : `exit code ${code}: ${stderr}`
  })
  after(() => server?.[Symbol.asyncDispose]())

  test(`${name}: the walk ends, and each of its steps is checked`, { skip }, () => {
    assert.equal(ending, '')
    assert.deepEqual(
      [...steps.keys()],
      walk.map(([step]) => step),
    )
  })
  for (const [step, outcome] of walk) {
    test(`${name}: ${step}`, { skip }, async () => {
      // What a test tells is lost when the process ends before it is through; so many at once are too much.
      await setImmediate()
      const came = steps.get(step)
      assert(came !== undefined, `the client did not get as far as this: ${ending}`)
      assert.equal(came.ok, outcome.ok, JSON.stringify(came.detail))
      check(came.detail, outcome.detail)
    })
  }
}

/** A number that JavaScript can't hold stays the text that it was. */
function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  return typeof value === 'number' && source !== undefined && String(value) !== source ? source : value
}
