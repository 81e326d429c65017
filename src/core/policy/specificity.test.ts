import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, constantFrom, property, record, subarray, tuple } from 'fast-check'
import { instant } from '#ground/base/clock.ts'
import { rootNamespace } from '#backend/namespace.ts'
import type { Operation } from '#protocol/verdict.ts'
import { type Acl, compileAcl } from './acl.ts'
import { decide } from './decide.ts'
import { parsePolicy } from './parse.ts'
import { nobody } from './template.ts'

const words = ['create', 'read', 'update', 'patch', 'delete', 'list', 'scan'] as const
const segment = constantFrom('a', 'b', 'ab', '+', 'a+')
const pattern = tuple(array(segment, { minLength: 1, maxLength: 4 }), constantFrom('', '*', '/', '/*', 'a*'))
  .map(([parts, end]) => parts.join('/') + end)
  .filter(text => !text.includes('+*'))
const path = tuple(array(constantFrom('a', 'b', 'ab', ''), { minLength: 1, maxLength: 4 }), constantFrom('', '/')).map(
  ([parts, end]) => (parts.join('/') + end).replace(/^\/+/, ''),
)
const block = record({ pattern, capabilities: subarray([...words]), isDenied: constantFrom(false, false, true) })
type Block = { pattern: string; capabilities: string[]; isDenied: boolean }

const textOf = (blocks: readonly Block[]): string =>
  blocks
    .map(
      one =>
        `path ${JSON.stringify(one.pattern)} { capabilities = ${JSON.stringify(one.isDenied ? ['deny'] : one.capabilities)} }`,
    )
    .join('\n')

function compile(...texts: string[]): Acl {
  const policies = texts.map((text, i) => ({ name: `p${i}`, namespace: rootNamespace, parsed: parsePolicy(text) }))
  return compileAcl({ policies, subject: nobody, rootNamespace, now: instant(0) })
}

const allows = (acl: Acl, operation: Operation, asked: string): boolean =>
  decide(acl, { operation, path: asked, namespacePath: '', values: null, wrapTtl: null }).allowed

// Written apart from the code under test: patterns as regular expressions, the order of the documentation as a list.
function matches(text: string, asked: string): boolean {
  const isPrefix = text.endsWith('*')
  const hasSegments = text === '+' || text.startsWith('+/') || text.includes('/+')
  const body = (isPrefix ? text.slice(0, -1) : text)
    .split('/')
    .map(part => (hasSegments && part === '+' ? '[^/]*' : part.replace(/[+*]/g, '\\$&')))
    .join('/')
  return new RegExp(`^${body}${isPrefix ? '' : '$'}`).test(asked)
}

type Order = readonly (number | string)[]
function orderOf(text: string, asked: string): Order {
  const hasSegments = text === '+' || text.startsWith('+/') || text.includes('/+')
  const isPrefix = text.endsWith('*')
  const bare = isPrefix ? text.slice(0, -1) : text
  if (!hasSegments && !isPrefix) return [1, text === asked ? 1 : 0]
  const first = hasSegments ? text.indexOf('+') : bare.length
  const plus = hasSegments ? bare.split('/').filter(part => part === '+').length : 0
  return [0, first, isPrefix ? 0 : 1, -plus, bare.length, bare]
}

function isAbove(a: Order, b: Order): boolean {
  for (const [i, x] of a.entries()) {
    const y = b[i]
    if (y === undefined) return true
    if (x !== y) return x > y
  }
  return false
}

function oracle(blocks: readonly Block[], operation: Operation, asked: string): boolean {
  const isListing = operation === 'list' || operation === 'scan'
  const readings = isListing && asked.endsWith('/') ? [asked, asked.slice(0, -1)] : [asked]
  const found = blocks.filter(one => readings.some(reading => matches(one.pattern, reading)))
  let best: Block | null = null
  for (const one of found)
    if (best === null || isAbove(orderOf(one.pattern, asked), orderOf(best.pattern, asked))) best = one
  const together = found.filter(one => one.pattern === best?.pattern)
  return !together.some(one => one.isDenied) && together.some(one => one.capabilities.includes(operation))
}

test('policy: the most specific rule decides for every verb, listings with and without their slash included', () => {
  check(
    property(array(block, { minLength: 1, maxLength: 6 }), path, constantFrom(...words), (blocks, asked, operation) => {
      assert.equal(allows(compile(textOf(blocks)), operation, asked), oracle(blocks, operation, asked))
    }),
    { numRuns: 3000 },
  )
})

test('policy: how rules are spread over policies, and in which order, changes nothing', () => {
  check(
    property(array(block, { minLength: 2, maxLength: 6 }), path, constantFrom(...words), (blocks, asked, operation) => {
      const together = allows(compile(textOf(blocks)), operation, asked)
      const apart = compile(...blocks.map(one => textOf([one])).reverse())
      assert.equal(allows(apart, operation, asked), together)
    }),
    { numRuns: 1000 },
  )
})

test('policy: a deny on exactly the path always wins, whatever else is granted', () => {
  check(
    property(
      array(block, { maxLength: 5 }),
      path.filter(text => text !== ''),
      (blocks, asked) => {
        const bare = asked.replace(/\/$/, '')
        const deny = [asked, bare].map(text => ({ pattern: text, capabilities: [], isDenied: true }))
        const acl = compile(textOf(blocks), textOf(deny))
        for (const operation of words) assert.equal(allows(acl, operation, asked), false)
      },
    ),
    { numRuns: 1000 },
  )
})

const listings: readonly (readonly [rule: string, text: string, asked: string, want: boolean])[] = [
  [
    'a deny on one segment holds for its listing',
    'path "s/*" {capabilities=["list"]} path "s/+" {capabilities=["deny"]}',
    's/x/',
    false,
  ],
  [
    'a deny below holds for the listing',
    'path "s/*" {capabilities=["list"]} path "s/x/*" {capabilities=["deny"]}',
    's/x/',
    false,
  ],
  [
    'a deny on the folder without slash holds',
    'path "s/*" {capabilities=["list"]} path "s/x" {capabilities=["deny"]}',
    's/x/',
    false,
  ],
  [
    'a grant on one segment beats a broader deny',
    'path "s/*" {capabilities=["deny"]} path "s/+" {capabilities=["list"]}',
    's/x/',
    true,
  ],
  ['a grant with slash is for listing only', 'path "s/x/" {capabilities=["list","read"]}', 's/x', false],
]
for (const [rule, text, asked, want] of listings) {
  test(`policy: listing, ${rule}`, () => assert.equal(allows(compile(text), 'list', asked), want))
}
