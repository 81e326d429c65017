import assert from 'node:assert/strict'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer, type TestServerOptions } from '#core/testing/mount.ts'
import { approleAuth } from './engine.ts'

export type Body = { readonly [key: string]: Json }
export type SecretIdData = {
  readonly secret_id: string
  readonly secret_id_accessor: string
  readonly secret_id_num_uses: number
  readonly secret_id_ttl: number
}
export type Auth = { readonly [key: string]: Json } & { readonly client_token: string }

/** A server with the method mounted, and what the tests ask of it. */
export class Lab implements AsyncDisposable {
  readonly server: TestServer

  constructor(server: TestServer) {
    this.server = server
  }

  static async open(options: Omit<TestServerOptions, 'catalog'> = {}): Promise<Lab> {
    return new Lab(await openTestMount(approleAuth, options))
  }

  ask(method: string, path: string, body?: Body): Promise<TestAnswer> {
    return this.server.ask(method, `auth/approle/${path}`, body === undefined ? {} : { body })
  }

  post(path: string, body: Body = {}): Promise<TestAnswer> {
    return this.ask('POST', path, body)
  }

  /** Makes a role and returns its role id. */
  async role(name: string, body: Body = {}): Promise<string> {
    const { status, errors } = await this.post(`role/${name}`, body)
    assert.deepEqual([status, errors], [204, []])
    return (await this.data(`role/${name}/role-id`))['role_id'] as string
  }

  async data(path: string): Promise<Body> {
    return (await this.ask('GET', path)).data as Body
  }

  async secretId(name: string, body: Body = {}): Promise<SecretIdData> {
    const { status, errors, data } = await this.post(`role/${name}/secret-id`, body)
    assert.deepEqual([status, errors], [200, []])
    return data as SecretIdData
  }

  login(body: Body, address?: string): Promise<TestAnswer> {
    return this.server.ask('POST', 'auth/approle/login', { body, token: null, ...(address && { address }) })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]()
  }
}

export function authOf(answer: TestAnswer): Auth {
  assert.deepEqual([answer.status, answer.errors], [200, []])
  return (answer.body as { auth: Auth }).auth
}

/** How Go renders a bare error. */
export const bare = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
