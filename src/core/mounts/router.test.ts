import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Row } from '#backend/engine.ts'
import { Router } from './router.ts'

const row = (path: string, more: Partial<Row<unknown>> = {}): Row<unknown> => ({
  path,
  fields: {},
  operations: {},
  help: { synopsis: '', description: '' },
  ...more,
})

const table = new Router([
  row('config'),
  row('role'),
  row('role/:name'),
  row('role/:name/secret-id'),
  row('role/special'),
  row('mail/:who@'),
  row('cert/:serial+/raw'),
  row('data/*path'),
  row('data/*path/never'),
  row('login/:name', { foldCase: true }),
  row('a.b/:x'),
  row(':any/tail'),
  row('*rest'),
])

const captures = (found: ReturnType<Router['match']>) => found && { ...found.captures }

for (const [rule, path, want, captured] of [
  ['a literal path', 'config', 'config', {}],
  ['a literal path beats a pattern that stands before it', 'role/special', 'role/special', {}],
  ['a name', 'role/app', 'role/:name', { name: 'app' }],
  ['a name may hold dots and dashes', 'role/a.b-c_d', 'role/:name', { name: 'a.b-c_d' }],
  ['a name does not end in a dot', 'role/app.', '*rest', { rest: 'role/app.' }],
  ['a name is one segment', 'role/app/secret-id', 'role/:name/secret-id', { name: 'app' }],
  ['no @ in a name', 'role/a@b', '*rest', { rest: 'role/a@b' }],
  ['an @ where it is allowed', 'mail/a@b.c', 'mail/:who@', { who: 'a@b.c' }],
  ['a segment of any characters', 'cert/0a:1b:2c/raw', 'cert/:serial+/raw', { serial: '0a:1b:2c' }],
  ['which is one segment', 'cert/0a/1b/raw', '*rest', { rest: 'cert/0a/1b/raw' }],
  ['the rest, with slashes', 'data/a/b/c', 'data/*path', { path: 'a/b/c' }],
  ['the rest may be empty', 'data/', 'data/*path', { path: '' }],
  ['the rest may span lines', 'data/a\nb', 'data/*path', { path: 'a\nb' }],
  ['the first of two that fit', 'data/a/never', 'data/*path', { path: 'a/never' }],
  ['case is kept', 'role/App', 'role/:name', { name: 'App' }],
  ['case is folded where the row says so', 'login/App', 'login/:name', { name: 'app' }],
  ['a dot means a dot', 'aXb/c', '*rest', { rest: 'aXb/c' }],
  ['a row that begins with its first segment beats one that begins with a name', 'a.b/tail', 'a.b/:x', { x: 'tail' }],
  ['a row that begins with a name', 'x/tail', ':any/tail', { any: 'x' }],
  ['what nothing else takes', 'x/y/z', '*rest', { rest: 'x/y/z' }],
  ['a slash at the end counts when it is no listing', 'config/', '*rest', { rest: 'config/' }],
] as const) {
  test(`router: ${rule}`, () => {
    const found = table.match(path, false)
    assert.equal(found?.row.path, want)
    assert.deepEqual(captures(found), captured)
  })
}

for (const [rule, path, want, captured] of [
  ['a literal path with a slash', 'role/', 'role', {}],
  ['a name with a slash', 'role/app/', 'role/:name', { name: 'app' }],
  ['a rest keeps its slash: it names the folder', 'data/a/', 'data/*path', { path: 'a/' }],
] as const) {
  test(`router, listing: ${rule}`, () => {
    const found = table.match(path, true)
    assert.equal(found?.row.path, want)
    assert.deepEqual(captures(found), captured)
  })
}

test('router: without a row for the rest, what fits nothing is null', () => {
  const small = new Router([row('config'), row('role/:name')])
  for (const path of ['', 'conf', 'config/x', 'role/', 'role/a/b', 'other/a'])
    assert.equal(small.match(path, false), null)
})
