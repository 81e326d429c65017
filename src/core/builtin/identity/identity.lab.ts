import assert from 'node:assert/strict'
import type { Json } from '#ground/text/json.ts'
import { type Doorkeeper, doorman, notebook } from '#core/testing/engines.ts'
import { openTestMount, type TestServer, type TestServerOptions } from '#core/testing/mount.ts'

export type Body = Readonly<Record<string, Json>>
export type Auth = {
  readonly client_token: string
  readonly entity_id: string
  readonly policies: readonly string[]
  readonly token_policies: readonly string[]
  readonly identity_policies?: readonly string[]
}

/** A server with a method that lets everybody in, at `auth/doorman/`. */
export function openIdentityLab(
  keeper?: Doorkeeper,
  more: Omit<TestServerOptions, 'catalog'> = {},
): Promise<TestServer> {
  return openTestMount(doorman(keeper), { others: [notebook], ...more })
}

/** Asks something of `identity/` that must succeed, and shows `data`. */
export async function ask(server: TestServer, method: string, path: string, body?: Body): Promise<Body> {
  const answer = await server.ask(method, `identity/${path}`, body === undefined ? {} : { body })
  assert.ok(
    answer.status === 200 || answer.status === 204,
    `${method} ${path}: ${answer.status} ${answer.errors.join()}`,
  )
  return (answer.data ?? {}) as Body
}

/** Makes something, and gives its id. */
export const make = async (server: TestServer, path: string, body: Body = {}): Promise<string> =>
  (await ask(server, 'POST', path, body))['id'] as string

/** What a read of something shows. */
export const read = (server: TestServer, path: string): Promise<Body> => ask(server, 'GET', path)

export async function login(server: TestServer, name: string, body: Body = {}, mount = 'doorman'): Promise<Auth> {
  const answer = await server.ask('POST', `auth/${mount}/login`, { token: null, body: { name, ...body } })
  assert.equal(answer.status, 200, answer.errors.join())
  return (answer.body as unknown as { auth: Auth }).auth
}

export async function accessorOf(server: TestServer, mount = 'doorman'): Promise<string> {
  return ((await server.ask('GET', `sys/auth/${mount}`)).data as { accessor: string }).accessor
}

/** The identity policies that a token has now; null: it is refused. */
export async function policiesOf(server: TestServer, { client_token: token }: Auth): Promise<readonly string[] | null> {
  const answer = await server.ask('GET', 'auth/token/lookup-self', { token })
  if (answer.status !== 200) return null
  return ((answer.data as Body)['identity_policies'] as readonly string[] | undefined) ?? []
}
