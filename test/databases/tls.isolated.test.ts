import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { instant, systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { type IssuedCertificate, issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import type { Json } from '#ground/text/json.ts'
import { openTestMount } from '#core/testing/mount.ts'
import type { DatabaseDriver } from '#engines/database/driver.ts'
import { mysql } from '#engines/database/drivers/mysql.ts'
import { postgresql } from '#engines/database/drivers/postgresql.ts'
import { redis } from '#engines/database/drivers/redis.ts'
import { database } from '#engines/database/engine.ts'
import { debianUnable } from './debian.ts'
import { type MariaDb, startMariaDb } from './mariadb.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'
import { type RedisServer, startRedis } from './redis.ts'

// The servers have certificates for 127.0.0.1; what a connection trusts is its configuration's to say.

const world = { entropy: seededEntropy(5) }
const now = systemClock.now()
const day = 86_400_000
const validity = { notBefore: instant(now - day), notAfter: instant(now + day) }
const authority = issueAuthority(world, { commonName: 'database CA', ...validity })
const stranger = issueAuthority(world, { commonName: 'database CA', ...validity })
const leaf = issueLeaf(world, authority, { commonName: 'db', ipAddresses: ['127.0.0.1'], usage: 'server', ...validity })
const other = issueLeaf(world, authority, { commonName: 'db', dnsNames: ['elsewhere'], usage: 'server', ...validity })
const keyOf = (one: IssuedCertificate): string => one.key.reveal('a server of a test')

const folder = mkdtempSync(join(tmpdir(), 'coffer-tls-'))
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text, { mode: 0o600 })
  return join(folder, name)
}
let postgres: Postgres
let misnamed: Postgres
let maria: MariaDb
let server: RedisServer

const startTls = (one: IssuedCertificate): Promise<Postgres> =>
  startPostgres({
    flags: ['-c', 'ssl=on', '-c', 'ssl_ca_file=ca.crt'],
    files: {
      'ca.crt': authority.certificate,
      'server.crt': one.certificate,
      'server.key': keyOf(one),
      // Only over TLS; who is in `certified` by certificate.
      'pg_hba.conf': 'hostssl all +certified all cert\nhostssl all all all scram-sha-256\n',
    },
  })

before(async () => {
  if (postgresUnable() === false) [postgres, misnamed] = await Promise.all([startTls(leaf), startTls(other)])
  if (debianUnable() !== false) return
  const pem = {
    ca: file('ca.pem', authority.certificate),
    cert: file('cert.pem', leaf.certificate),
    key: file('key.pem', keyOf(leaf)),
  }
  maria = await startMariaDb([`--ssl-ca=${pem.ca}`, `--ssl-cert=${pem.cert}`, `--ssl-key=${pem.key}`])
  const own = ['--tls-cert-file', pem.cert, '--tls-key-file', pem.key, '--tls-ca-cert-file', pem.ca]
  server = await startRedis(['--tls-auth-clients', 'no', ...own], true)
})
after(async () => {
  await postgres?.[Symbol.asyncDispose]()
  await misnamed?.[Symbol.asyncDispose]()
  await maria?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

async function verify(
  driver: DatabaseDriver,
  details: Readonly<Record<string, Json>>,
  password: string,
): Promise<string> {
  const connection = await driver.connect({ details, password }, world)
  try {
    await connection.verify(AbortSignal.timeout(20_000))
    return 'in'
  } catch (error) {
    return (error as Error).message
  } finally {
    await connection.close()
  }
}

const pgUrl = (one: Postgres, mode: string): string =>
  `postgresql://{{username}}:{{password}}@127.0.0.1:${one.port}/postgres${mode && `?sslmode=${mode}`}`
const ca = authority.certificate
for (const [rule, place, mode, details, want] of [
  ['nobody says, and the server has it', 'leaf', '', {}, /^in$/],
  ['it is preferred', 'leaf', 'prefer', {}, /^in$/],
  ['it is off, and the server insists', 'leaf', 'disable', {}, /no pg_hba.conf entry.*no encryption/],
  ['it is required, whoever it is', 'leaf', 'require', {}, /^in$/],
  ['the authority is the right one', 'leaf', 'verify-full', { tls_ca: ca }, /^in$/],
  ['the authority is right and no mode is named', 'leaf', '', { tls_ca: ca }, /^in$/],
  ['the authority is another', 'leaf', 'verify-full', { tls_ca: stranger.certificate }, /certificate/],
  [
    'the authority is another and any name will do',
    'leaf',
    'verify-ca',
    { tls_ca: stranger.certificate },
    /certificate/,
  ],
  ['it must be trusted, and nobody is', 'leaf', 'verify-full', {}, /certificate/],
  ['the name is another', 'other', 'verify-full', { tls_ca: ca }, /IP: 127.0.0.1 is not in the cert's list/],
  ['any name will do', 'other', 'verify-ca', { tls_ca: ca }, /^in$/],
] as const) {
  test(`tls of postgresql: ${rule}`, { skip: postgresUnable() }, async () => {
    const one = place === 'leaf' ? postgres : misnamed
    const all = { connection_url: pgUrl(one, mode), username: one.username, ...details }
    assert.match(await verify(postgresql, all, one.password), want)
  })
}

test('tls of postgresql: preferred, a server without it is used without', { skip: postgresUnable() }, async () => {
  await using plain = await startPostgres()
  const details = { connection_url: pgUrl(plain, ''), username: plain.username }
  assert.equal(await verify(postgresql, details, plain.password), 'in')
  assert.match(await verify(postgresql, { ...details, tls_ca: ca }, plain.password), /does not support SSL/)
})

for (const [rule, query, details, want] of [
  ['nobody asks for it', '', {}, /^in$/],
  ['the authority is the right one', '', { tls_ca: ca }, /^in$/],
  ['the authority is another', '', { tls_ca: stranger.certificate }, /certificate/],
  ['the name is another', '', { tls_ca: ca, tls_server_name: 'elsewhere' }, /elsewhere|altnames/],
  ['nothing is checked', '', { tls_skip_verify: true }, /^in$/],
  ['it must be trusted, and nobody is', '?tls=true', {}, /certificate/],
  ['the URL says that nothing is checked', '?tls=skip-verify', {}, /^in$/],
] as const) {
  test(`tls of mysql: ${rule}`, { skip: debianUnable() }, async () => {
    const connection_url = `{{username}}:{{password}}@tcp(127.0.0.1:${maria.port})/${query}`
    const all = { connection_url, username: maria.username, ...details }
    assert.match(await verify(mysql, all, maria.password), want)
  })
}

for (const [rule, details, want] of [
  ['the authority is the right one', { tls: true, ca_cert: ca }, /^in$/],
  ['the authority is another', { tls: true, ca_cert: stranger.certificate }, /certificate/],
  ['nothing is checked', { tls: 'true', insecure_tls: 'true' }, /^in$/],
] as const) {
  test(`tls of redis: ${rule}`, { skip: debianUnable() }, async () => {
    const all = { host: '127.0.0.1', port: server.port, username: server.username, ...details }
    assert.match(await verify(redis, all, server.password), want)
  })
}

for (const [type, options] of [
  ['rsa', {}],
  ['ec', { key_type: 'ec', key_bits: '384' }],
  ['ed25519', { key_type: 'ed25519' }],
] as const) {
  test(`a client certificate with a key of type ${type} logs in as the account that was made for it`, {
    skip: postgresUnable(),
  }, async () => {
    await using engine = await openTestMount(database, { start: now })
    const post = async (path: string, body: Record<string, Json>): Promise<void> => {
      const { status, errors } = await engine.ask('POST', path, { body })
      assert.ok(status < 300, `${path}: ${errors.join()}`)
    }
    const { username, password } = postgres
    const plugin_name = 'postgresql-database-plugin'
    const connection_url = pgUrl(postgres, 'verify-full')
    await post('database/config/app', {
      plugin_name,
      connection_url,
      username,
      password,
      tls_ca: ca,
      allowed_roles: '*',
    })
    await post('database/roles/app', {
      db_name: 'app',
      creation_statements: [
        'DO $$ BEGIN CREATE ROLE certified; EXCEPTION WHEN duplicate_object THEN NULL; END $$',
        'CREATE ROLE "{{name}}" LOGIN IN ROLE certified',
      ],
      credential_type: 'client_certificate',
      credential_config: {
        common_name_template: 'c-{{.RoleName}}-{{random 8}}',
        ca_cert: ca,
        ca_private_key: keyOf(authority),
        ...options,
      },
    })
    const answer = await engine.ask('GET', 'database/creds/app')
    assert.equal(answer.status, 200, answer.errors.join())
    const made = answer.data as Record<'username' | 'client_certificate' | 'private_key' | 'private_key_type', string>
    assert.match(made.username, /^c-app-\w{8}$/)
    const ssl = { ca, cert: made.client_certificate, key: made.private_key }
    const client = new Client({
      host: '127.0.0.1',
      port: postgres.port,
      database: 'postgres',
      user: made.username,
      ssl,
    })
    await client.connect()
    assert.deepEqual((await client.query('SELECT current_user AS me')).rows, [{ me: made.username }])
    await client.end()
    const role = await engine.ask('GET', 'database/roles/app')
    assert.doesNotMatch(role.text, /PRIVATE KEY/)
    const { lease_id } = answer.body as { lease_id: string }
    await post('sys/leases/revoke', { lease_id, sync: true })
  })
}
