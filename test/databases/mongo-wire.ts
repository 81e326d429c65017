import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { BSON } from 'mongodb'

// MongoDB can't be had here (its licence keeps it out of the registries). This speaks its wire protocol as far as accounts
// go, to the real driver: OP_MSG, logins by SCRAM-SHA-256, createUser, updateUser, dropUser, usersInfo.

type Document = Record<string, unknown>
type User = {
  readonly user: string
  readonly db: string
  readonly password: string
  readonly roles: readonly unknown[]
}
type Login = { user: User | null; nonce: string; salt: Buffer; first: string }

const iterations = 4096
const opReply = 1
const opQuery = 2004
const opMessage = 2013
const headerBytes = 16

export type MongoWire = AsyncDisposable & {
  readonly port: number
  readonly username: string
  readonly password: string
  /** Every command but logins and greetings. */
  readonly commands: readonly Document[]
}

export async function startMongoWire(): Promise<MongoWire> {
  const [username, password] = ['manager', 'root-of-the-test']
  const users: User[] = [{ user: username, db: 'admin', password, roles: ['root'] }]
  const commands: Document[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    serve(socket, users, commands)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    username,
    password,
    commands,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function serve(socket: Socket, users: User[], commands: Document[]): void {
  let pending = Buffer.alloc(0)
  const session = { isIn: false, login: null as Login | null }
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= headerBytes && pending.length >= pending.readInt32LE(0)) {
      const message = pending.subarray(0, pending.readInt32LE(0))
      pending = pending.subarray(message.length)
      socket.write(answered(message, command => dispatch(command, session, users, commands)))
    }
  })
}

/** @source MongoDB wire protocol: message header, OP_QUERY (the first greeting), OP_MSG with a section of kind 0 */
function answered(message: Buffer, dispatchOne: (command: Document) => Document): Buffer {
  const id = message.readInt32LE(4)
  const isQuery = message.readInt32LE(12) === opQuery
  const start = isQuery ? message.indexOf(0, headerBytes + 4) + 1 + 8 : headerBytes + 5
  const body = BSON.serialize(dispatchOne(BSON.deserialize(message.subarray(start))))
  // OP_REPLY: flags, cursor, first, count. OP_MSG: flags, kind of the section.
  const lead = isQuery ? Buffer.alloc(20) : Buffer.alloc(5)
  if (isQuery) lead.writeInt32LE(1, 16)
  const header = Buffer.alloc(headerBytes)
  header.writeInt32LE(headerBytes + lead.length + body.length, 0)
  header.writeInt32LE(id, 8)
  header.writeInt32LE(isQuery ? opReply : opMessage, 12)
  return Buffer.concat([header, lead, body])
}

const refused = (code: number, codeName: string, errmsg: string): Document => ({ ok: 0, code, codeName, errmsg })
const greeting: Document = {
  ok: 1,
  isWritablePrimary: true,
  ismaster: true,
  helloOk: true,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
  saslSupportedMechs: ['SCRAM-SHA-256'],
}

type Session = { isIn: boolean; login: Login | null }

function dispatch(command: Document, session: Session, users: User[], commands: Document[]): Document {
  const [name = ''] = Object.keys(command)
  if (['hello', 'ismaster', 'isMaster'].includes(name)) return greeting
  if (name === 'endSessions') return { ok: 1 }
  if (name === 'saslStart') return saslStart(command, session, users)
  if (name === 'saslContinue') return saslContinue(command, session)
  if (!session.isIn) return refused(13, 'Unauthorized', `command ${name} requires authentication`)
  commands.push(command)
  return name === 'ping' ? { ok: 1 } : ofAccounts(name, command, users)
}

function ofAccounts(name: string, command: Document, users: User[]): Document {
  const db = command['$db'] as string
  const user = String(command[name])
  const at = users.findIndex(one => one.user === user && one.db === db)
  switch (name) {
    case 'createUser': {
      if (at >= 0) return refused(51_003, 'Location51003', `User "${user}@${db}" already exists`)
      const roles = command['roles'] as unknown[]
      if (JSON.stringify(roles).includes('no_such_role')) return refused(31, 'RoleNotFound', 'Could not find role')
      users.push({ user, db, password: command['pwd'] as string, roles })
      return { ok: 1 }
    }
    case 'updateUser':
      if (at < 0) return refused(11, 'UserNotFound', `Could not find user "${user}" for db "${db}"`)
      users[at] = { ...users[at]!, password: command['pwd'] as string }
      return { ok: 1 }
    case 'dropUser':
      if (at < 0) return refused(11, 'UserNotFound', `User '${user}@${db}' not found`)
      users.splice(at, 1)
      return { ok: 1 }
    case 'usersInfo': {
      const asked = (command['filter'] as { user: string }).user
      return { ok: 1, users: users.filter(one => one.user === asked).map(one => ({ user: one.user, db: one.db })) }
    }
    default:
      return refused(59, 'CommandNotFound', `no such command: '${name}'`)
  }
}

const payloadOf = (command: Document): string =>
  (command['payload'] as { toString(encoding: string): string }).toString('utf8')
const bytes = (text: string): BSON.Binary => new BSON.Binary(Buffer.from(text))

/** @source RFC 5802, RFC 7677 */
function saslStart(command: Document, session: Session, users: User[]): Document {
  if (command['mechanism'] !== 'SCRAM-SHA-256') return refused(334, 'MechanismUnavailable', 'no such mechanism')
  const first = payloadOf(command).replace(/^n,,/, '')
  const [, name = '', nonce = ''] = /^n=([^,]*),r=(.*)$/.exec(first) ?? []
  const username = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  const user = users.find(one => one.user === username && one.db === command['$db']) ?? null
  const salt = randomBytes(28)
  const login = { user, nonce: nonce + randomBytes(12).toString('base64'), salt, first }
  session.login = login
  const payload = `r=${login.nonce},s=${salt.toString('base64')},i=${iterations}`
  return { ok: 1, conversationId: 1, done: false, payload: bytes(payload) }
}

function saslContinue(command: Document, session: Session): Document {
  const final = payloadOf(command)
  if (session.isIn) return { ok: 1, conversationId: 1, done: true, payload: bytes('') }
  const { user, nonce, salt, first } = session.login!
  const failed = refused(18, 'AuthenticationFailed', 'Authentication failed.')
  const [, without = '', proof = ''] = /^(c=biws,r=[^,]*),p=(.*)$/.exec(final) ?? []
  if (user === null || !without.endsWith(nonce)) return failed
  const salted = pbkdf2Sync(user.password.normalize('NFKC'), salt, iterations, 32, 'sha256')
  const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const clientKey = hmac(salted, 'Client Key')
  const stored = createHash('sha256').update(clientKey).digest()
  const message = `${first},r=${nonce},s=${salt.toString('base64')},i=${iterations},${without}`
  const signature = hmac(stored, message)
  const wanted = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!))
  if (!wanted.equals(Buffer.from(proof, 'base64'))) return failed
  session.isIn = true
  const server = hmac(hmac(salted, 'Server Key'), message).toString('base64')
  return { ok: 1, conversationId: 1, done: false, payload: bytes(`v=${server}`) }
}
