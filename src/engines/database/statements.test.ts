import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Dialect, fillStatements, mysqlDialect, postgresDialect, StatementProblem } from './statements.ts'

const fill = (text: string, name: string, password = 'pw', dialect: Dialect = postgresDialect) =>
  fillStatements(text, { name, username: name, password, expiration: '2026-01-01 00:00:00+0000' }, dialect)

for (const [rule, text, name, want] of [
  ['identifier', 'CREATE ROLE "{{name}}"', 'a"b', ['CREATE ROLE "a""b"']],
  ['literal', "SELECT '{{name}}'", "a'b", ["SELECT 'a''b'"]],
  ['a backslash in a literal is itself', "SELECT '{{name}}'", 'a\\', ["SELECT 'a\\'"]],
  ['and is escaped where it escapes', "SELECT E'{{name}}'", "a\\'b", ["SELECT E'a\\\\''b'"]],
  ['a word without quotes gets them, to stay as it is', 'CREATE ROLE {{name}}', 'v_App', ['CREATE ROLE "v_App"']],
  ['part of a word it stays one', 'CREATE ROLE app_{{name}}_x', 'v_app', ['CREATE ROLE app_v_app_x']],
  ['where code is due a value is none', 'DO $t${{name}}$t$', 'DROP TABLE x', ['DO $t$"DROP TABLE x"$t$']],
  ['a body that is but a value is a text', 'SELECT $t${{name}}$t$', "a'$$;", ["SELECT $t$a'$$;$t$"]],
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
  ['comments lie in comments', 'A /* /* ; */ ; */; B', 'x', ['A /* /* ; */ ; */', 'B']],
  ['a $ in a body is a $', `DO $$ SELECT '{{name}}' $$`, 'a$b', [`DO $$ SELECT 'a$b' $$`]],
  ['a $ in a name begins no body', 'SELECT a$b$ FROM "{{name}}"; B', 'x', ['SELECT a$b$ FROM "x"', 'B']],
  [
    'a body that runs texts takes plain values',
    `DO $$ BEGIN EXECUTE 'DROP ROLE "{{name}}"'; END $$`,
    'v-a-1',
    [`DO $$ BEGIN EXECUTE 'DROP ROLE "v-a-1"'; END $$`],
  ],
  [
    'granting EXECUTE runs no text',
    `DO $$ BEGIN GRANT EXECUTE ON f TO "{{name}}"; A '{{name}}' $$`,
    "a'b",
    [`DO $$ BEGIN GRANT EXECUTE ON f TO "a'b"; A 'a''b' $$`],
  ],
] as const) {
  test(`statements: ${rule}`, () => {
    assert.deepEqual(
      fill(text, name).map(one => one.replace(/ +$/, '')),
      want,
    )
  })
}

for (const [rule, text, name] of [
  ['a value that would end its body', `DO $$ SELECT '{{name}}' $$`, 'a$$b'],
  ['one that would end it with what follows', `DO $t$ SELECT '{{name}}t$ $t$`, '$'],
  ['a quote in a text that is run', `DO $$ BEGIN EXECUTE 'DROP ROLE "{{name}}"'; END $$`, 'a"b'],
  ['a second name in a text that is run', `DO $$ BEGIN EXECUTE 'DROP ROLE {{name}}'; END $$`, 'a,b'],
  ['a quote in a body that is a literal', `DO 'BEGIN DROP ROLE {{name}}; END'`, "a'b"],
  ['a backslash after U&', `SELECT U&'{{name}}'`, 'a\\0027'],
  ['a word that would become a prefix', `SELECT {{name}}'x'`, 'E'],
  ['a word that would become a tag', 'SELECT ${{name}}$', 'a'],
  ['what would need quotes within a word', 'CREATE ROLE app_{{name}}', 'a b'],
  ['a quote in a body of another language', 'DO $$ plpy.execute("DROP ROLE {{name}}") $$ LANGUAGE plpython3u', 'a"b'],
  ['a comment without its end', 'A /* b', 'a'],
  ['a zero character', `SELECT '{{name}}'`, 'a\0b'],
  ['a literal without its end', `SELECT '{{name}}`, 'a'],
  ['a body without its end', 'DO $$ A', 'a'],
] as const) {
  test(`statements: refused is ${rule}`, () => {
    assert.throws(() => fill(text, name), StatementProblem)
  })
}

const mysql = mysqlDialect('STRICT_TRANS_TABLES')
for (const [rule, text, name, want, dialect] of [
  [
    'a literal escapes quotes and backslashes',
    "CREATE USER '{{name}}'@'%'",
    "a'\\b",
    ["CREATE USER 'a''\\\\b'@'%'"],
    mysql,
  ],
  ['so does one in double quotes', 'SELECT "{{name}}"', 'a"\'\\', ['SELECT "a""\'\\\\"'], mysql],
  ['a name stands in backticks', 'DROP USER `{{name}}`', 'a`b"', ['DROP USER `a``b"`'], mysql],
  ['a bare name gets them', "DROP USER {{name}}@'%'", 'a b', ["DROP USER `a b`@'%'"], mysql],
  [
    'ANSI_QUOTES makes double quotes stand around names',
    'DROP USER "{{name}}"',
    'a"\\',
    ['DROP USER "a""\\"'],
    mysqlDialect('ANSI_QUOTES'),
  ],
  [
    'NO_BACKSLASH_ESCAPES leaves backslashes',
    "A '{{name}}'",
    "\\'",
    ["A '\\'''"],
    mysqlDialect('NO_BACKSLASH_ESCAPES'),
  ],
  ['a $ is nothing special', "A $$ ; B '{{name}}'", "x'", ['A $$', "B 'x'''"], mysql],
  ['# begins a comment', "A # ; '{{name}}\n; B", 'x', ["A # ; '", 'B'], mysql],
  ['two hyphens only with a blank after them', "A --1; B -- ;'", 'x', ['A --1', "B -- ;'"], mysql],
  ['comments do not lie in comments', 'A /* /* ; */; B', 'x', ['A /* /* ; */', 'B'], mysql],
] as const) {
  test(`statements of mysql: ${rule}`, () => {
    assert.deepEqual(fill(text, name, 'pw', dialect), want)
  })
}

for (const [rule, text, name] of [
  ['a quote in a text that is prepared', "SET @s = 'DROP USER {{name}}'; PREPARE s FROM @s", "a'b"],
  ['a quote in a comment that is run', 'A /*! DROP USER {{name}} */', "a'b"],
] as const) {
  test(`statements of mysql: refused is ${rule}`, () => {
    assert.throws(() => fill(text, name, 'pw', mysql), StatementProblem)
  })
}

test('statements: what is refused does not show the value', () => {
  assert.throws(
    () => fill(`DO $$ SELECT '{{password}}' $$`, 'a', 's3cr$$t'),
    error => error instanceof StatementProblem && !error.message.includes('s3cr'),
  )
})
