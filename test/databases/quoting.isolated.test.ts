import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { array, assert as hold, asyncProperty, constantFrom, string, oneof } from 'fast-check'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { Client } from 'pg'
import {
  type Dialect,
  fillStatements,
  mysqlDialect,
  postgresDialect,
  StatementProblem,
} from '#engines/database/statements.ts'
import { debianUnable } from './debian.ts'
import { type MariaDb, startMariaDb } from './mariadb.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'

// The servers are the judges: whatever value stands in a placeholder, it comes back as that value, in one piece, or it was
// refused before anything was sent.

let postgres: Postgres
let client: Client
let maria: MariaDb
let connection: Connection
before(async () => {
  if (postgresUnable() === false) {
    postgres = await startPostgres()
    client = new Client(postgres.url)
    await client.connect()
    await client.query('CREATE TABLE victims (a int)')
  }
  if (debianUnable() !== false) return
  maria = await startMariaDb()
  const { username: user, password, port } = maria
  connection = await createConnection({ host: '127.0.0.1', port, user, password, multipleStatements: true })
  await connection.query('CREATE DATABASE app; USE app; CREATE TABLE victims (a int)')
})
after(async () => {
  await client?.end()
  await postgres?.[Symbol.asyncDispose]()
  await connection?.end()
  await maria?.[Symbol.asyncDispose]()
})

const texts = [
  `' " \` \\ ; -- # /* */ $$ $ $t$ , ( ) @ % /*! é 😀 a 1 E U& name \\0027 {{password}}`.split(' '),
  ['\n', ' ', '-- ', 'DROP TABLE victims'],
].flat()
const pieces = constantFrom(...texts)
const values = oneof(
  array(pieces, { minLength: 1, maxLength: 10 }).map(parts => parts.join('')),
  string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter(text => text.isWellFormed()),
)

/** Servers keep no blanks at the ends of names, and MariaDB no characters of four bytes. */
const isPlainName = (text: string): boolean => text.trim() === text && !/[\u{10000}-\u{10ffff}]/u.test(text)

/** How many of the values came back; what was refused counts as none. */
async function comesBack(
  template: string,
  dialect: Dialect,
  isName: boolean,
  read: (statement: string) => Promise<unknown>,
): Promise<number> {
  let back = 0
  const bytesMax = isName ? 40 : 1_000
  const whole = asyncProperty(values, async value => {
    if (Buffer.byteLength(value) > bytesMax || (isName && !isPlainName(value))) return
    let statements: readonly string[]
    try {
      statements = fillStatements(template, { name: value, password: value }, dialect)
    } catch (error) {
      if (error instanceof StatementProblem) return
      throw error
    }
    assert.equal(statements.length, 1, 'it became more than one statement')
    assert.equal(await read(statements[0]!), value)
    back++
  })
  await hold(whole, { numRuns: 250, seed: 7 })
  return back
}

const first = (row: Record<string, unknown> | undefined): unknown => Object.values(row ?? {})[0]
const column = async (text: string): Promise<unknown> => (await client.query(text)).fields[0]?.name
const value = async (text: string): Promise<unknown> =>
  first((await client.query<Record<string, unknown>>(text)).rows[0])
const setting = async (text: string): Promise<unknown> => {
  await client.query(text)
  return value("SELECT current_setting('coffer.v')")
}

for (const [rule, template, read] of [
  ['a literal', "SELECT '{{password}}'", value],
  ['a literal with text around', "SELECT replace(replace('<{{password}}>', '<', ''), '>', '')", null],
  ['an escape literal', "SELECT E'{{password}}'", value],
  ['an identifier', 'SELECT 1 AS "{{name}}"', column],
  ['nothing, as a password', 'SELECT {{password}}::text', value],
  ['nothing, as a name', 'SELECT 1 AS {{name}} ', column],
  ['a body', "DO $$ BEGIN PERFORM set_config('coffer.v', '{{password}}', false); END $$", setting],
  ['a text in dollars', 'SELECT $t${{password}}$t$', value],
  ['a body in a body', "DO $a$ BEGIN PERFORM set_config('coffer.v', $b${{password}}$b$, false); END $a$", setting],
  [
    'a body that runs texts',
    "DO $$ BEGIN EXECUTE 'SELECT 1'; PERFORM set_config('coffer.v', '{{password}}', false); END $$",
    setting,
  ],
  ['a body that is a literal', "DO 'BEGIN PERFORM set_config(''coffer.v'', ''{{password}}'', false); END'", setting],
  ['after a comment', "SELECT /* /* '{{password}} */ */ '{{password}}' -- '{{password}}", value],
] as const) {
  test(`quoting on PostgreSQL: a value within ${rule} is itself`, { skip: postgresUnable() }, async () => {
    const reader = read ?? (async text => (await value(text)) as string)
    if (read === null) {
      // Angle brackets in the value itself would go, too.
      const kept = fillStatements(template, { password: `'"\\;--` }, postgresDialect)
      assert.equal(await reader(kept[0]!), `'"\\;--`)
    } else assert.ok((await comesBack(template, postgresDialect, read === column, reader)) > 5)
    assert.equal((await client.query('SELECT * FROM victims')).rowCount, 0)
  })
}

for (const mode of ['', 'ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES', 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES']) {
  for (const [rule, template, reads] of [
    ['a literal', "SELECT '{{password}}'", 'value'],
    ['double quotes', mode.includes('ANSI') ? 'SELECT 1 AS "{{name}}"' : 'SELECT "{{name}}"', 'either'],
    ['backticks', 'SELECT 1 AS `{{name}}`', 'name'],
    ['nothing, as a password', 'SELECT {{password}}', 'value'],
    ['after comments', "SELECT # '{{password}}\n '{{password}}' -- '{{password}}\n", 'value'],
  ] as const) {
    test(`quoting on MariaDB, mode "${mode}": a value within ${rule} is itself`, { skip: debianUnable() }, async () => {
      await connection.query('SET SESSION sql_mode = ?', [mode])
      const isName = reads === 'name' || (reads === 'either' && mode.includes('ANSI'))
      const read = async (text: string): Promise<unknown> => {
        const [rows, fields] = await connection.query<RowDataPacket[]>(text)
        return isName ? fields[0]?.name : String(first(rows[0]))
      }
      assert.ok((await comesBack(template, mysqlDialect(mode), isName, read)) > 5)
      await connection.query('SELECT * FROM victims')
    })
  }
}
