import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instant, systemClock } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { type DatabaseConnection, type DatabaseDriver, DatabaseFailure, type FailureKind } from './driver.ts'

/** A real server, as the contract needs it. */
export type DriverLab = {
  readonly driver: DatabaseDriver
  /** Of an account that may make others. */
  readonly details: Readonly<Record<string, string | number>>
  readonly password: string
  /** Each makes an account that may log in. */
  readonly creation: readonly string[]
  /** Makes an account and then fails, in the server's words. */
  readonly broken: readonly string[]
  readonly login: (username: string, password: string) => Promise<boolean>
  /** Makes an account by other means. */
  readonly make: (username: string, password: string) => Promise<void>
  /** Does all that a hostile value could have done lie untouched? */
  readonly isUntouched: () => Promise<boolean>
  /** SIGKILL and a start on the same data; null where nothing is kept. */
  readonly crash: (() => Promise<void>) | null
}

export type DriverSuite = {
  readonly name: string
  readonly skip: string | false
  /** Names that would end a literal, an identifier, a body or a statement, if they could. */
  readonly hostileNames: readonly string[]
  readonly lab: () => DriverLab
}

const signal = new AbortController().signal
const expiresAt = instant(systemClock.now() + 3_600_000)
const world = { entropy: seededEntropy(1) }
const passwords = [
  'plain-1',
  `quote'"\``,
  'back\\slash\\',
  `'; DROP TABLE victims; --`,
  '"; DROP TABLE victims; --',
  '$$; DROP TABLE victims; $$',
  '/* */ {{name}} ${x} %s ? :a',
  'ünï-é blank',
  ' >nopass ',
]

const failure =
  (...kinds: readonly FailureKind[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DatabaseFailure, String(error))
    assert.ok(kinds.includes(error.kind), `${error.kind}: ${error.message}`)
    return true
  }

/** What every driver keeps, shown on the server itself. */
export function driverContract(suite: DriverSuite): void {
  const { name, skip } = suite
  const within = (rule: string, body: (lab: DriverLab, connection: DatabaseConnection) => Promise<void>): void => {
    test(`${name}: ${rule}`, { skip }, async () => {
      const lab = suite.lab()
      const connection = await lab.driver.connect({ details: lab.details, password: lab.password }, world)
      try {
        await body(lab, connection)
        assert.ok(await lab.isUntouched())
      } finally {
        await connection.close()
      }
    })
  }
  const newUser = (lab: DriverLab, username: string, password: string) => ({
    username,
    credential: { kind: 'password', password } as const,
    expiresAt,
    statements: lab.creation,
  })

  within('an account logs in from its making to its end', async (lab, connection) => {
    await connection.verify(signal)
    assert.equal(await connection.exists('contract_user', signal), false)
    await connection.createUser(newUser(lab, 'contract_user', 'first'), signal)
    assert.equal(await connection.exists('contract_user', signal), true)
    assert.deepEqual([await lab.login('contract_user', 'first'), await lab.login('contract_user', 'x')], [true, false])
    await connection.extendUser({ username: 'contract_user', expiresAt, statements: [] }, signal)
    await connection.dropUser({ username: 'contract_user', statements: [] }, signal)
    assert.equal(await connection.exists('contract_user', signal), false)
    assert.equal(await lab.login('contract_user', 'first'), false)
  })

  within('of an account that is not there nothing is left to do', async (_lab, connection) => {
    await connection.dropUser({ username: 'contract_nobody', statements: [] }, signal)
  })

  within(
    'another credential ends the one before, and an account that is not there has none',
    async (lab, connection) => {
      await lab.make('contract_steady', 'old')
      const set = (username: string, password: string) =>
        connection.setCredential({ username, credential: { kind: 'password', password }, statements: [] }, signal)
      await set('contract_steady', 'new')
      await set('contract_steady', 'new')
      assert.deepEqual(
        [await lab.login('contract_steady', 'old'), await lab.login('contract_steady', 'new')],
        [false, true],
      )
      await assert.rejects(set('contract_nobody', 'x'), failure('refused'))
      await connection.dropUser({ username: 'contract_steady', statements: [] }, signal)
    },
  )

  within('what fails half way is refused, and can be removed', async (lab, connection) => {
    const user = { ...newUser(lab, 'contract_broken', 's3cret-in-a-statement'), statements: lab.broken }
    await assert.rejects(connection.createUser(user, signal), error => {
      assert.doesNotMatch(String(error), /s3cret-in-a-statement/)
      return failure('refused')(error)
    })
    await connection.dropUser({ username: 'contract_broken', statements: [] }, signal)
    assert.equal(await connection.exists('contract_broken', signal), false)
  })

  within('many at once are made and removed', async (lab, connection) => {
    const names = Array.from({ length: 12 }, (_, i) => `contract_many_${i}`)
    await Promise.all(names.map(username => connection.createUser(newUser(lab, username, 'p'), signal)))
    assert.equal(await lab.login('contract_many_11', 'p'), true)
    await Promise.all(names.map(username => connection.dropUser({ username, statements: [] }, signal)))
    assert.equal(await connection.exists('contract_many_11', signal), false)
  })

  passwords.forEach((password, index) => {
    within(`a hostile password is a password: ${JSON.stringify(password)}`, async (lab, connection) => {
      const username = `contract_pw_${index}`
      await connection.createUser(newUser(lab, username, password), signal)
      assert.equal(await lab.login(username, password), true)
      const other = `${password}2`
      await connection.setCredential(
        { username, credential: { kind: 'password', password: other }, statements: [] },
        signal,
      )
      assert.deepEqual([await lab.login(username, password), await lab.login(username, other)], [false, true])
      await connection.dropUser({ username, statements: [] }, signal)
    })
  })

  for (const username of suite.hostileNames) {
    within(`a hostile name is a name, or refused: ${JSON.stringify(username)}`, async (lab, connection) => {
      try {
        await connection.createUser(newUser(lab, username, 'p'), signal)
      } catch (error) {
        failure('refused')(error)
        assert.equal(await connection.exists(username, signal).catch(() => false), false)
        return
      }
      assert.equal(await connection.exists(username, signal), true)
      assert.equal(await lab.login(username, 'p'), true)
      await connection.dropUser({ username, statements: [] }, signal)
      assert.equal(await connection.exists(username, signal), false)
    })
  }

  test(`${name}: a wrong password is told from a server that is away`, { skip }, async () => {
    const { driver, details } = suite.lab()
    const wrong = await driver.connect({ details, password: 'wr0ng-password' }, world)
    await assert.rejects(wrong.verify(signal), error => {
      assert.doesNotMatch(String(error), /wr0ng-password/)
      return failure('wrong-password')(error)
    })
    await wrong.close()
  })

  within('a call that was given up is not begun', async (lab, connection) => {
    const gone = AbortSignal.abort(new Error('gone'))
    await assert.rejects(connection.createUser(newUser(lab, 'contract_gone', 'p'), gone), /gone/)
    assert.equal(await connection.exists('contract_gone', signal), false)
  })

  within('after a crash of the server the next call is answered', async (lab, connection) => {
    await connection.verify(signal)
    if (lab.crash === null) return
    await lab.crash()
    // What was open is found broken once.
    await connection.verify(signal).catch(failure('unknown', 'unreachable'))
    await connection.verify(signal)
  })
}
