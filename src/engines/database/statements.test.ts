import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillStatements, postgresDialect, StatementProblem } from './statements.ts'

const fill = (text: string, name: string, password = 'pw') =>
  fillStatements(text, { name, username: name, password, expiration: '2026-01-01 00:00:00+0000' }, postgresDialect)

for (const [rule, text, name, want] of [
  ['identifier', 'CREATE ROLE "{{name}}"', 'a"b', ['CREATE ROLE "a""b"']],
  ['literal', "SELECT '{{name}}'", "a'b", ["SELECT 'a''b'"]],
  ['a backslash in a literal is itself', "SELECT '{{name}}'", 'a\\', ["SELECT 'a\\'"]],
  ['and is escaped where it escapes', "SELECT E'{{name}}'", "a\\'b", ["SELECT E'a\\\\''b'"]],
  ['a word without quotes stays one', 'CREATE ROLE {{name}}', 'v_app', ['CREATE ROLE v_app']],
  [
    'anything else without quotes gets them',
    'CREATE ROLE {{name}}',
    'a; DROP ROLE b',
    ['CREATE ROLE "a; DROP ROLE b"'],
  ],
  ['blanks in the braces', 'CREATE ROLE "{{ name }}"', 'a', ['CREATE ROLE "a"']],
  ['a value is not filled in again', 'CREATE ROLE "{{name}}"', '{{password}}', ['CREATE ROLE "{{password}}"']],
  ['an unknown placeholder stays', 'SELECT {{other}}', 'a', ['SELECT {{other}}']],
  ['semicolons part statements', 'A "{{name}}"; B; ', 'x', ['A "x"', 'B']],
  ['but not in quotes', `A ';' "b;c"`, 'x', [`A ';' "b;c"`]],
  ['nor in a comment', 'A -- one; two\n; B /* ; */', 'x', ['A -- one; two', 'B /* ; */']],
  ['nor in a body', 'DO $$ BEGIN A; B; END $$; C', 'x', ['DO $$ BEGIN A; B; END $$', 'C']],
  ['nor in one with a tag', 'DO $t$ A; $$ B; $t$; C', 'x', ['DO $t$ A; $$ B; $t$', 'C']],
  ['a body is filled in by its own quotes', `DO $$ SELECT '{{name}}' $$`, "a'b", [`DO $$ SELECT 'a''b' $$`]],
  [
    'a function of the SQL standard is one',
    'CREATE FUNCTION f() BEGIN ATOMIC A; B; END',
    'x',
    ['CREATE FUNCTION f() BEGIN ATOMIC A;B;END;'],
  ],
  ['in a comment nothing is filled in', 'A -- {{name}}\n', 'x\nB', ['A --']],
] as const) {
  test(`statements: ${rule}`, () => {
    assert.deepEqual(
      fill(text, name).map(one => one.replace(/ +$/, '')),
      want,
    )
  })
}

for (const [rule, text, name] of [
  ['a $ in a body, which could end it', `DO $$ SELECT '{{name}}' $$`, 'a$$b'],
  ['a zero character', `SELECT '{{name}}'`, 'a\0b'],
  ['a literal without its end', `SELECT '{{name}}`, 'a'],
  ['a body without its end', 'DO $$ A', 'a'],
] as const) {
  test(`statements: refused is ${rule}`, () => {
    assert.throws(() => fill(text, name), StatementProblem)
  })
}

test('statements: what is refused does not show the value', () => {
  assert.throws(
    () => fill(`DO $$ SELECT '{{password}}' $$`, 'a', 's3cr$t'),
    error => error instanceof StatementProblem && !error.message.includes('s3cr$t'),
  )
})
