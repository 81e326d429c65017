import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { instant } from '#ground/base/clock.ts'
import { type Json, NumberLiteral } from '#ground/text/json.ts'
import { rootNamespace } from '#backend/namespace.ts'
import type { Operation } from '#protocol/verdict.ts'
import { type Acl, compileAcl } from './acl.ts'
import { capabilitiesOn, decide } from './decide.ts'
import { parsePolicy } from './parse.ts'
import { PolicyError } from './policy.ts'
import { nobody } from './template.ts'

type TableCase = {
  name: string
  policies: string[]
  op: Operation
  path: string
  values?: Record<string, Json>
  wrap?: number
  error?: string
  allowed: boolean
  sudo: boolean
  granting: string[]
  limit?: string
}
type Grid = { policies: string[]; answers: [path: string, allowed: string, capabilities: string][] }

// What OpenBao's policy package answers to these questions (2.6).
const golden = JSON.parse(readFileSync(new URL('./golden/policy.json', import.meta.url), 'utf8')) as {
  table: TableCase[]
  grids: Grid[]
}

// Where Vault 1.21 or our own rule decides otherwise, with what is answered here.
const decidedHere: Readonly<Record<string, { allowed: boolean; why: string }>> = {
  'parameters: allowed, list of listed elements': { allowed: true, why: 'Vault 1.21 compares the elements of lists' },
  'parameters: allowed, comma text of listed elements': { allowed: true, why: 'and of text that becomes a list' },
  'parameters: denied, element of a list': { allowed: false, why: 'one denied element denies' },
  'parameters: denied, element of a comma text': { allowed: false, why: 'one denied element denies' },
}

// What OpenBao takes in silence and makes something else of.
const refusedHere = new Set(['path without a label'])

const operations: readonly Operation[] = [
  'create',
  'read',
  'update',
  'delete',
  'list',
  'scan',
  'patch',
  'renew',
  'help',
  'header',
]

function compile(texts: readonly string[], now = instant(1_790_000_000_000)): Acl {
  const policies = texts.map((text, i) => ({ name: `p${i}`, namespace: rootNamespace, parsed: parsePolicy(text) }))
  return compileAcl({ policies, subject: nobody, rootNamespace, now })
}

// The request's own parser keeps literals; a number here stands for one.
const literal = (value: Json): Json => (typeof value === 'number' ? new NumberLiteral(String(value)) : value)

for (const one of golden.table) {
  if (one.error !== undefined || refusedHere.has(one.name)) {
    test(`policy text is refused: ${one.name}`, () => {
      assert.throws(
        () => parsePolicy(one.policies[0]!),
        (error: unknown) => error instanceof PolicyError && error.message.startsWith('failed to parse policy: '),
      )
    })
    continue
  }
  test(`policy: ${one.name}`, () => {
    const here = decidedHere[one.name]
    const values = one.values && Object.fromEntries(Object.entries(one.values).map(([k, v]) => [k, literal(v)]))
    const verdict = decide(compile(one.policies), {
      operation: one.op,
      path: one.path,
      namespacePath: '',
      values: values ?? {},
      wrapTtl: one.wrap ?? 0,
      enforces: new Set(['mfa_methods', 'control_group']),
    })
    assert.equal(verdict.allowed, here?.allowed ?? one.allowed, verdict.reason)
    assert.equal(verdict.hasSudo, one.op === 'help' ? false : one.sudo)
    if (here === undefined) {
      assert.deepEqual(
        verdict.granting.map(policy => policy.name),
        one.granting,
      )
      assert.equal(verdict.limit, one.limit === undefined ? null : Number(one.limit))
    }
  })
}

test('policy: random rule sets decide as OpenBao decides, but for listings that a more specific rule covers', () => {
  let differing = 0
  for (const { policies, answers } of golden.grids) {
    const acl = compile(policies)
    for (const [path, allowed, capabilities] of answers) {
      const got = operations.filter(
        operation => decide(acl, { operation, path, namespacePath: '', values: null, wrapTtl: null }).allowed,
      )
      const same = got.join(' ') === allowed && capabilitiesOn(acl, path, '').join(' ') === capabilities
      if (same) continue
      // OpenBao takes any match of the path with its slash before it looks at the path without.
      assert.ok(path.endsWith('/'), `${path} of ${policies.join('\n')}: got ${got.join(' ')}, want ${allowed}`)
      const others = (words: string[]): string[] => words.filter(word => word !== 'list' && word !== 'scan')
      assert.deepEqual(others(got), others(allowed.split(' ').filter(word => word !== '')))
      differing++
    }
  }
  assert.ok(differing > 0 && differing < 60, `${differing} listings differ`)
})
