import assert from 'node:assert/strict'
import { openTestMount, type TestAnswer, type TestServer } from '#core/testing/mount.ts'
import { kubernetesSecretsWith } from './engine.ts'
import { ScriptedCluster, setUp } from './scripted-cluster.ts'

type House = {
  readonly server: TestServer
  readonly cluster: ScriptedCluster
  creds(body?: object, token?: string): Promise<TestAnswer>
} & AsyncDisposable

/** A server with the engine set up, and the role `app`, by default in its simplest form. */
export async function open(role: object = { service_account_name: 'web' }): Promise<House> {
  const cluster = new ScriptedCluster()
  const engine = kubernetesSecretsWith({ transport: cluster.transport })
  const server = await openTestMount(engine, { services: { environment: {} } })
  cluster.use(server.world.clock)
  await setUp(server, role)
  return {
    server,
    cluster,
    creds: (body = {}, token) =>
      server.ask('POST', 'kubernetes/creds/app', { body: { ...body }, ...(token !== undefined && { token }) }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

type Lease = {
  lease_id: string
  lease_duration: number
  renewable: boolean
  warnings: string[] | null
  data: { service_account_name: string; service_account_namespace: string; service_account_token: string }
}

export function leaseOf(answer: TestAnswer): Lease {
  assert.equal(answer.status, 200, answer.errors.join())
  return answer.body as Lease
}

export const { signal } = new AbortController()
export const revoke = (server: TestServer, lease: string) => server.house.leases.revoke(lease, signal)

export const wrapped = (text: string): string => `1 error occurred:\n\t* ${text}\n\n`
const rules = 'rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]'
export const generated = { generated_role_rules: rules }
export const bound = { kubernetes_role_name: 'viewer' }
