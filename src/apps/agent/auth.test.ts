import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import { simWorld } from '#ground/base/world.ts'
import { ServerReturn } from '#client/server-return.ts'
import { type ScriptedAnswer, type SentRequest, scriptedClient } from '#client/scripted-wire.ts'
import { AuthLoop, type AuthOptions, type Held, LoginRefused } from './auth.ts'

const login = (token: string, ttl = 3600): ScriptedAnswer => ({
  status: 200,
  body: `{"auth":{"client_token":"${token}","lease_duration":${ttl},"renewable":true}}`,
})
const refused = (status: number, text: string): ScriptedAnswer => ({ status, body: `{"errors":["${text}"]}` })
const isLogin = (request: SentRequest): boolean => request.target === '/v1/auth/kubernetes/login'

const kubernetesMethod = {
  type: 'kubernetes',
  mountPath: 'auth/kubernetes',
  role: 'app',
  namespace: null,
  minBackoff: seconds(1),
  maxBackoff: seconds(300),
  exitOnErr: false,
} as const

/** A loop whose kubernetes logins are answered in order, the last answer for ever; renewals by `renew`. */
function start(
  t: TestContext,
  logins: readonly ScriptedAnswer[],
  {
    renew,
    renewal,
    ...options
  }: Partial<AuthOptions> & { renew?: ScriptedAnswer; renewal?: () => ScriptedAnswer } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-auth-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const tokenPath = join(folder, 'jwt')
  writeFileSync(tokenPath, 'a.b.c\n')
  let count = 0
  const scripted = scriptedClient(request =>
    isLogin(request) ? logins[Math.min(count++, logins.length - 1)]! : (renewal?.() ?? renew ?? login('t1')),
  )
  const tokens: string[] = []
  let held = new Secret('none')
  const loop = new AuthLoop({
    world: scripted.world,
    client: scripted.client.with({ maxRetries: 0 }),
    method: { ...kubernetesMethod, tokenPath },
    serverReturn: new ServerReturn(scripted.world, scripted.client),
    refusalsMax: null,
    handedOver: null,
    onToken: async ({ token }) => {
      held = token
      tokens.push(token.reveal('a test'))
    },
    onRenewed: () => undefined,
    ...options,
  })
  const stop = new AbortController()
  const state: { error: unknown; isDone: boolean } = { error: null, isDone: false }
  const done = loop.run(stop.signal).then(
    () => {
      state.isDone = true
    },
    (error: unknown) => {
      state.error = error
      state.isDone = true
    },
  )
  // Reading the token file is real: virtual time waits until the loop waits for it.
  const { clock } = scripted.world
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 100_000 && clock.waiting === 0 && !state.isDone; i++) {
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const advance = async (ms: number): Promise<void> => {
    await settled()
    await clock.advance(ms)
    await settled()
  }
  const end = (): Promise<void> => {
    stop.abort()
    return done
  }
  const { sent } = scripted
  return { loop, tokens, held: () => held, state, advance, end, logins: () => sent.filter(isLogin).length, sent }
}

test('three refusals in a row end an agent that was to end after its login, and the reason says where to look', async t => {
  const run = start(t, [refused(400, 'invalid role name \\"nope\\"')], { refusalsMax: 3 })
  for (let i = 0; i < 6; i++) await run.advance(5000)
  assert.equal(run.logins(), 3)
  assert.ok(run.state.error instanceof LoginRefused)
  assert.match(
    run.state.error.message,
    /login refused 3 times: kubernetes role "app".*Code: 400.*invalid role name "nope".*annotation/,
  )
  await run.end()
})

for (const [rule, between] of [
  ['an answer of 503', refused(503, 'Vault is sealed')],
  ['no answer', { error: 'connection refused' }],
] as const) {
  test(`refusals are counted anew after ${rule}`, async t => {
    const no = refused(403, 'permission denied')
    const run = start(t, [no, no, between, no, no, login('t1')], { refusalsMax: 3 })
    for (let i = 0; i < 12; i++) await run.advance(40_000)
    assert.deepEqual(run.tokens, ['t1'])
    assert.equal(run.logins(), 6)
    await run.end()
  })
}

test('an agent that stays never gives up: the wait doubles, less 0 to 25 %', async t => {
  const run = start(t, [refused(400, 'invalid role name')])
  await run.advance(0)
  assert.equal(run.logins(), 1)
  await run.advance(740)
  assert.equal(run.logins(), 1)
  await run.advance(260)
  assert.equal(run.logins(), 2)
  await run.advance(1240)
  assert.equal(run.logins(), 2)
  await run.advance(800)
  assert.equal(run.logins(), 3)
  await run.end()
})

test('exit_on_err ends with the first failure', async t => {
  const method = {
    type: 'token_file' as const,
    path: '/nonexistent/token',
    mountPath: 'auth/token_file',
    namespace: null,
    minBackoff: seconds(1),
    maxBackoff: seconds(2),
    exitOnErr: true,
  }
  const run = start(t, [login('t1')], { method })
  await run.advance(0)
  assert.match(String(run.state.error), /token file \/nonexistent\/token can't be read/)
  await run.end()
})

test('a token that is refused is replaced by another login at once', async t => {
  const run = start(t, [login('t1'), login('t2')])
  await run.advance(5000)
  run.loop.tokenInvalid(new Secret('t0'))
  await run.advance(1000)
  assert.deepEqual(run.tokens, ['t1'], 'a late answer about the token before says nothing of this one')
  run.loop.tokenInvalid(run.held())
  await run.advance(0)
  assert.deepEqual(run.tokens, ['t1', 't2'])
  await run.end()
})

test('tokens that are refused right after each login wait before the next one', async t => {
  const run = start(t, [login('t1')], { renew: refused(403, 'permission denied') })
  for (let i = 0; i < 10; i++) await run.advance(100)
  assert.ok(run.logins() <= 3, `${run.logins()} logins in a second`)
  await run.end()
})

test('renewals that fail do not spin', async t => {
  const run = start(t, [login('t1')], { renew: refused(500, 'internal error') })
  for (let i = 0; i < 60; i++) await run.advance(1000)
  assert.equal(run.logins(), 1)
  assert.ok(run.sent.length < 12, `${run.sent.length} requests in a minute`)
  await run.end()
})

test('batch tokens are never renewed: another login comes in time, each time', async t => {
  const batch = (token: string): ScriptedAnswer => ({
    status: 200,
    body: `{"auth":{"client_token":"${token}","lease_duration":600,"renewable":false,"token_type":"batch"}}`,
  })
  const run = start(t, [batch('hvb.1'), batch('hvb.2'), batch('hvb.3')])
  for (let minute = 0; minute < 20; minute++) {
    assert.ok(run.tokens.length <= minute / 3.3 + 1, `${run.tokens.length} logins in ${minute} minutes`)
    await run.advance(60_000)
  }
  assert.deepEqual(run.tokens.slice(0, 3), ['hvb.1', 'hvb.2', 'hvb.3'])
  assert.equal(run.sent.length, run.logins())
  await run.end()
})

test('a token that was handed over is used and renewed without a login', async t => {
  const handedOver: Held = {
    token: new Secret('t0'),
    expiresAtMs: simWorld({ seed: 1 }).clock.now() + 3_600_000,
    isRenewable: true,
  }
  const run = start(t, [login('t1')], { handedOver })
  await run.advance(2000)
  assert.deepEqual(run.tokens, ['t0'])
  assert.equal(run.logins(), 0)
  assert.ok(run.sent.some(({ target }) => target === '/v1/auth/token/renew-self'))
  await run.end()
})

test('a token that was handed over and is gone leads to a login', async t => {
  const handedOver: Held = {
    token: new Secret('t0'),
    expiresAtMs: simWorld({ seed: 1 }).clock.now() + 3_600_000,
    isRenewable: true,
  }
  let renewals = 0
  const run = start(t, [login('t1')], { handedOver, renew: refused(403, 'permission denied') })
  await run.advance(0)
  renewals = run.sent.length
  assert.deepEqual(run.tokens.slice(0, 2), ['t0', 't1'])
  assert.ok(renewals > 0)
  await run.end()
})

test('a token that is to live longer is renewed, and where that is not enough and helps, replaced by another login', async t => {
  let granted = 3600
  const run = start(t, [login('t1'), login('t2'), login('t3')], {
    renewal: () => login('t1', granted),
  })
  await run.advance(0)
  const now = simWorld({ seed: 1 }).clock.now()
  const outlive = async (ms: number): Promise<void> => {
    const done = run.loop.outlive(now + ms, new AbortController().signal)
    await run.advance(0)
    await run.advance(0)
    await done
  }
  await outlive(3_000_000)
  assert.deepEqual(run.tokens, ['t1'], 'it lives long enough')
  granted = 600
  await run.advance(1_000)
  await outlive(7_200_000)
  assert.deepEqual(run.tokens, ['t1'], 'no login would help')
  await outlive(3_000_000)
  assert.deepEqual(run.tokens, ['t1', 't2'])
  await run.end()
})

test('a login that fails is tried again before the token that is held has ended, and each half a minute after that', async t => {
  let isFailing = false
  const run = start(t, [login('t1'), ...Array.from({ length: 40 }, () => refused(502, 'bad gateway'))], {
    renewal: () => (isFailing ? refused(502, 'bad gateway') : login('t1')),
  })
  await run.advance(0)
  isFailing = true
  // The token ends after an hour; the wait would have grown to five minutes before.
  let atMs = 0
  const triesIn = async (untilMs: number): Promise<number> => {
    const before = run.logins()
    for (; atMs < untilMs; atMs += 1000) await run.advance(1000)
    return run.logins() - before
  }
  await triesIn(3_600_000)
  const tries = await triesIn(3_720_000)
  assert.ok(tries >= 4 && tries <= 6, `${tries} logins in two minutes without a token`)
  await run.end()
})
