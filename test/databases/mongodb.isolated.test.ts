import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MongoClient } from 'mongodb'
import { instant, systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { driverContract } from '#engines/database/driver.contract.ts'
import { mongodb } from '#engines/database/drivers/mongodb.ts'
import { type MongoWire, startMongoWire } from './mongo-wire.ts'

let wire: MongoWire
before(async () => {
  wire = await startMongoWire()
})
after(() => wire[Symbol.asyncDispose]())

const url = (): string => `mongodb://{{username}}:{{password}}@127.0.0.1:${wire.port}/admin`

async function asked(username: string, password: string, command: Record<string, unknown>): Promise<boolean> {
  const auth = { username, password }
  const client = new MongoClient(`mongodb://127.0.0.1:${wire.port}/admin`, { auth, serverSelectionTimeoutMS: 5_000 })
  try {
    await client.db('admin').command(command)
    return true
  } catch {
    return false
  } finally {
    await client.close()
  }
}

driverContract({
  name: 'driver mongodb on its wire',
  skip: false,
  hostileNames: [`a"b'c`, '$where', '{"$gt":""}', 'a.b', 'ünï 😀', '{{password}}', 'a,b=c'],
  lab: () => ({
    driver: mongodb,
    details: { connection_url: url(), username: wire.username },
    password: wire.password,
    creation: ['{"db":"admin","roles":[{"role":"readWrite","db":"app"}]}'],
    broken: ['{"roles":["no_such_role"]}'],
    login: (username, password) => asked(username, password, { ping: 1 }),
    make: async (username, password) =>
      void (await asked(wire.username, wire.password, { createUser: username, pwd: password, roles: ['read'] })),
    isUntouched: () => asked(wire.username, wire.password, { ping: 1 }),
    crash: null,
  }),
})

test('mongodb: what is sent is the role’s statement, in its database, with its write concern', async () => {
  const details = { connection_url: url(), username: wire.username, write_concern: '{"w":1,"wtimeout":500}' }
  const connection = await mongodb.connect({ details, password: wire.password }, { entropy: seededEntropy(1) })
  const { signal } = new AbortController()
  const statements = ['{"db":"app","roles":["readWrite",{"role":"read","db":"other"}]}']
  const credential = { kind: 'password', password: 'p' } as const
  const expiresAt = instant(systemClock.now())
  await connection.createUser({ username: 'shown', credential, expiresAt, statements }, signal)
  const sent = wire.commands.find(command => command['createUser'] === 'shown')!
  const { pwd, roles, $db, writeConcern } = sent
  assert.deepEqual(
    { pwd, roles, $db, writeConcern },
    {
      pwd: 'p',
      roles: ['readWrite', { role: 'read', db: 'other' }],
      $db: 'app',
      writeConcern: { w: 1, wtimeout: 500 },
    },
  )
  await connection.dropUser({ username: 'shown', statements: [] }, signal)
  assert.equal(wire.commands.find(command => command['dropUser'] === 'shown')?.['$db'], 'app')
  await connection.close()
})

for (const [rule, statements, text] of [
  ['what is no JSON', ['CREATE'], /creation statement is no JSON/],
  ['no roles', ['{"db":"app"}'], /roles array is required/],
  ['more than one statement', ['{"roles":["read"]}', '{}'], /only one creation statement/],
] as const) {
  test(`mongodb: refused is ${rule}`, async () => {
    const details = { connection_url: url(), username: wire.username }
    const connection = await mongodb.connect({ details, password: wire.password }, { entropy: seededEntropy(1) })
    const credential = { kind: 'password', password: 'p' } as const
    const user = { username: 'x', credential, expiresAt: instant(0), statements }
    await assert.rejects(connection.createUser(user, new AbortController().signal), text)
    await connection.close()
  })
}
