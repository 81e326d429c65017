import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simWorld } from '#ground/base/world.ts'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { createHttpClient } from '#ground/http/client.ts'
import type { HttpResponse } from '#ground/http/message.ts'
import { listen } from '#ground/http/server.ts'
import { createApiClient } from '../api.ts'
import { oidcLogin } from './oidc.ts'

const json = (status: number, body: unknown): HttpResponse => ({
  status,
  headers: [['Content-Type', 'application/json']],
  body: JSON.stringify(body),
})

type Stage = AsyncDisposable & {
  readonly world: ReturnType<typeof simWorld>
  readonly asked: string[]
  /** The end of the login. */
  readonly done: Promise<string>
  /** Where the browser comes back to, once it was sent out. */
  readonly back: Promise<string>
  /** @returns what the browser shows. */
  visit(query: string, path?: string): Promise<{ readonly status: number; readonly text: string }>
}

type Callback = Parameters<typeof oidcLogin>[0]['callback']

/** A server that begins and ends logins as it is told. */
async function open(
  answers: { readonly begin?: unknown; readonly end?: HttpResponse } = {},
  callback: Callback = { scheme: 'http', host: '127.0.0.1', port: 0 },
): Promise<Stage> {
  const world = simWorld({ seed: 1 })
  const asked: string[] = []
  const back = Promise.withResolvers<string>()
  const handler = async (request: {
    method: string
    path: string
    query: string
    body: { bytes(max: number): unknown }
  }) => {
    const body = Buffer.from((await request.body.bytes(65_536)) as Uint8Array).toString()
    asked.push(`${request.method} ${request.path}${request.query === '' ? '' : `?${request.query}`}`)
    if (request.path.endsWith('/auth_url')) {
      back.resolve((JSON.parse(body) as { redirect_uri: string }).redirect_uri)
      return json(200, { data: answers.begin ?? { auth_url: 'https://login.example/?state=st_1' } })
    }
    return answers.end ?? json(200, { auth: { client_token: 'hvs.bob', accessor: 'a', policies: [] } })
  }
  const server = await listen({ address: { host: '127.0.0.1', port: 0 }, handler, clock: systemClock, log: silentLog })
  const port = 'port' in server.address ? server.address.port : 0
  const client = createApiClient({ address: `http://127.0.0.1:${port}`, maxRetries: 0, world })
  const shown = Promise.withResolvers<string>()
  const login = oidcLogin({
    role: 'dev',
    listen: { host: '127.0.0.1', port: 0 },
    callback,
    timeoutMs: 300_000,
    world,
    show: shown.resolve,
  }).login(client)
  const done = login.then(
    ({ auth }) => auth?.clientToken.reveal('a test') ?? '',
    (error: Error) => error.message,
  )
  const http = createHttpClient({ clock: systemClock })
  return {
    world,
    asked,
    done,
    back: shown.promise.then(() => back.promise),
    async visit(query, path) {
      const url = new URL(await back.promise)
      if (path !== undefined) url.pathname = path
      url.search = query
      const answer = await http.request({ method: 'GET', url })
      return { status: answer.status, text: Buffer.from(answer.body).toString() }
    },
    async [Symbol.asyncDispose]() {
      http.close()
      await client.close()
      await server.close({ graceMs: 0 })
    },
  }
}

test('oidc login: the visit with our state ends it, others do not', async () => {
  await using stage = await open()
  await stage.back
  assert.equal((await stage.visit('state=st_1', '/other')).status, 404)
  assert.equal((await stage.visit('state=st_2&code=c')).status, 400)
  assert.equal((await stage.visit('code=c')).status, 400)
  assert.equal((await stage.visit('state=st_1&code=c1')).status, 200)
  assert.equal(await stage.done, 'hvs.bob')
  assert.equal(stage.asked.length, 2)
  assert.match(stage.asked[1]!, /^GET \/v1\/auth\/oidc\/oidc\/callback\?client_nonce=\w{32}&code=c1&state=st_1$/)
})

test('oidc login: the browser may come back by another host and port than those that are listened on', async () => {
  await using stage = await open({ begin: { auth_url: '' } }, { scheme: 'https', host: 'jump.example', port: 8443 })
  assert.match(await stage.done, /with redirect_uri "https:\/\/jump\.example:8443\/oidc\/callback"/)
})

test('oidc login: a refusal is told on the terminal, and not in the browser', async () => {
  await using stage = await open({ end: json(400, { errors: ['Vault login failed. <b>no</b>'] }) })
  await stage.back
  const { status, text } = await stage.visit('state=st_1&error=access_denied')
  assert.equal(status, 400)
  assert.ok(!text.includes('<b>'))
  assert.match(await stage.done, /Vault login failed/)
})

test('oidc login: without an address at the provider it says what was asked for', async () => {
  await using stage = await open({ begin: { auth_url: '' } })
  assert.match(
    await stage.done,
    /^Unable to authorize role "dev" with redirect_uri "http:\/\/127\.0\.0\.1:\d+\/oidc\/callback"\. Check Vault logs/,
  )
})

test('oidc login: nobody comes, and it ends', async () => {
  await using stage = await open()
  await stage.back
  await stage.world.clock.advance(300_000)
  assert.equal(await stage.done, 'Timed out waiting for response from provider')
})
