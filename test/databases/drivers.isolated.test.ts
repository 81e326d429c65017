import { after, before } from 'node:test'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { driverContract } from '#engines/database/driver.contract.ts'
import { mysql } from '#engines/database/drivers/mysql.ts'
import { postgresql } from '#engines/database/drivers/postgresql.ts'
import { redis } from '#engines/database/drivers/redis.ts'
import { debianUnable } from './debian.ts'
import { type MariaDb, startMariaDb } from './mariadb.ts'
import { type Postgres, postgresUnable, startPostgres } from './postgres.ts'
import { type RedisServer, startRedis } from './redis.ts'

// Every driver against its server: one contract.

let postgres: Postgres
let maria: MariaDb
let server: RedisServer
before(async () => {
  if (postgresUnable() === false) {
    postgres = await startPostgres()
    await sql('CREATE TABLE victims (a int)')
  }
  if (debianUnable() === false) {
    maria = await startMariaDb()
    await mariaSql('CREATE DATABASE app', maria.username, maria.password)
    await mariaSql('CREATE TABLE app.victims (a int)', maria.username, maria.password)
    server = await startRedis()
  }
})
after(async () => {
  await postgres?.[Symbol.asyncDispose]()
  await maria?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function sql(text: string, user = 'postgres', password = postgres.password): Promise<number | null> {
  const client = new Client({ host: '127.0.0.1', port: postgres.port, database: 'postgres', user, password })
  await client.connect()
  try {
    return (await client.query(text)).rowCount
  } finally {
    await client.end()
  }
}

async function mariaSql(text: string, user: string, password: string): Promise<unknown> {
  const client = await createConnection({ host: '127.0.0.1', port: maria.port, user, password })
  try {
    return (await client.query(text))[0]
  } finally {
    await client.end()
  }
}

async function redisAsk(username: string, password: string, ...command: readonly string[]): Promise<unknown> {
  const client = new Redis({
    host: '127.0.0.1',
    port: server.port,
    username,
    password,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
  })
  let refused: unknown = null
  client.on('error', (error: unknown) => (refused = error))
  try {
    await client.connect()
    const [name = '', ...args] = command
    return await client.call(name, ...args)
  } catch (error) {
    throw refused ?? error
  } finally {
    client.disconnect()
  }
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )

const sqlNames = [
  `a"; DROP TABLE victims; --`,
  `a'; DROP TABLE victims; --`,
  `a'@'%' IDENTIFIED BY 'x'; DROP TABLE victims; #`,
  'a` b',
  'a\\',
  "a\\'",
  "a\\\\''",
  '$$; x $$',
  '$tag$',
  '/* */ -- #',
  'ünï 😀',
  'a, postgres',
  '{{password}}',
  '%',
]

driverContract({
  name: 'driver postgresql',
  skip: postgresUnable(),
  hostileNames: sqlNames,
  lab: () => ({
    driver: postgresql,
    details: { connection_url: postgres.templatedUrl, username: postgres.username },
    password: postgres.password,
    creation: [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`],
    broken: [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}'; GRANT no_such_role TO "{{name}}"`],
    login: (username, password) => succeeds(sql('SELECT 1', username, password)),
    make: async (username, password) => void (await sql(`CREATE ROLE "${username}" LOGIN PASSWORD '${password}'`)),
    isUntouched: () => succeeds(sql('SELECT * FROM victims')),
    async crash() {
      await postgres.kill()
      await postgres.start()
    },
  }),
})

driverContract({
  name: 'driver mysql on MariaDB',
  skip: debianUnable(),
  hostileNames: sqlNames,
  lab: () => ({
    driver: mysql,
    details: {
      connection_url: `{{username}}:{{password}}@tcp(127.0.0.1:${maria.port})/app`,
      username: maria.username,
    },
    password: maria.password,
    creation: [`CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON app.* TO '{{name}}'@'%'`],
    broken: [`CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT no_such_role TO '{{name}}'@'%'`],
    login: (username, password) => succeeds(mariaSql('SELECT 1', username, password)),
    make: async (username, password) =>
      void (await mariaSql(
        `CREATE USER '${username}'@'%' IDENTIFIED BY '${password}'`,
        maria.username,
        maria.password,
      )),
    isUntouched: () => succeeds(mariaSql('SELECT * FROM app.victims', maria.username, maria.password)),
    async crash() {
      await maria.kill()
      await maria.start()
    },
  }),
})

driverContract({
  name: 'driver redis',
  skip: debianUnable(),
  hostileNames: ['a b', 'a\r\nACL DELUSER manager', '>x', '+@all', 'ünï😀', 'nopass', '{{password}}', 'a\u0001'],
  lab: () => ({
    driver: redis,
    details: { host: '127.0.0.1', port: server.port, username: server.username },
    password: server.password,
    creation: ['~*', '+@read', '+ping'],
    broken: ['~*', '+no-such-command'],
    login: (username, password) => succeeds(redisAsk(username, password, 'PING')),
    make: async (username, password) =>
      void (await redisAsk(
        server.username,
        server.password,
        'ACL',
        'SETUSER',
        username,
        'on',
        `>${password}`,
        '+ping',
      )),
    isUntouched: () => succeeds(redisAsk(server.username, server.password, 'ACL', 'LIST')),
    crash: null,
  }),
})
