import type { PoolClient } from 'pg'

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/**
 * What a role was granted is taken back, schema by schema, since a role that has rights can't be dropped.
 * @source openbao plugins/database/postgresql defaultDeleteUser
 */
export async function dropStatements(client: PoolClient, username: string): Promise<readonly string[]> {
  const name = quoted(username)
  const found = await client.query<{ schema: string }>(
    `SELECT DISTINCT table_schema AS schema FROM information_schema.role_column_grants WHERE grantee = $1
     UNION SELECT nspname FROM pg_catalog.pg_namespace
       WHERE has_schema_privilege($1, nspname, 'USAGE') AND nspname !~ '^pg_' AND nspname <> 'information_schema'`,
    [username],
  )
  const database = await client.query<{ name: string }>('SELECT current_database() AS name')
  const statements: string[] = []
  for (const { schema } of found.rows) {
    const at = quoted(schema)
    for (const what of ['TABLES', 'SEQUENCES', 'FUNCTIONS']) {
      statements.push(`REVOKE ALL PRIVILEGES ON ALL ${what} IN SCHEMA ${at} FROM ${name}`)
    }
    statements.push(`REVOKE ALL PRIVILEGES ON SCHEMA ${at} FROM ${name}`)
  }
  statements.push(`REVOKE ALL PRIVILEGES ON DATABASE ${quoted(database.rows[0]!.name)} FROM ${name}`)
  statements.push(`DROP ROLE IF EXISTS ${name}`)
  return statements
}
