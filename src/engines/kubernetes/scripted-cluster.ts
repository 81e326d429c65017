import type { Clock } from '#ground/base/clock.ts'
import type { KubeObject, Labels } from '#kube/objects.ts'
import { type ApiAnswer, type ApiAsk, scriptedTransport } from '#kube/scripted-transport.ts'

type Spec = { readonly expirationSeconds: number; readonly audiences?: readonly string[] }

const failure = (status: number, reason: string, message: string): ApiAnswer => ({
  status,
  body: { kind: 'Status', status: 'Failure', reason, message, code: status },
})

/** An API server as far as the engine asks it: objects by their path, tokens, labels of namespaces. */
export class ScriptedCluster {
  readonly asked: ApiAsk[] = []
  /** `/api/v1/namespaces/shop/serviceaccounts/app` → the object. */
  readonly objects = new Map<string, KubeObject>()
  labels: Readonly<Record<string, Labels>> = {}
  /** In place of what it would do, by `POST rolebindings`. */
  readonly failures = new Map<string, ApiAnswer>()
  /** Called before it does what it is asked, by `POST rolebindings`. */
  readonly before = new Map<string, () => void>()
  /** In place of the seconds that are asked for. */
  tokenSeconds: number | null = null
  /** In place of a token that tells its times. */
  token: string | null = null
  #clock: Pick<Clock, 'now'> = { now: () => 1_767_225_600_000 as never }
  #uids = 0

  readonly transport = scriptedTransport(ask => {
    this.asked.push(ask)
    const path = ask.path.split('?')[0]!
    const what = `${ask.method} ${resourceOf(ask.method, path)}`
    this.before.get(what)?.()
    const failed = this.failures.get(what)
    if (failed === 'lost') this.#answerTo(ask.method, path, ask.body)
    return failed ?? this.#answerTo(ask.method, path, ask.body)
  })

  /** Tokens begin by this clock. */
  use(clock: Pick<Clock, 'now'>): void {
    this.#clock = clock
  }

  /** `ServiceAccount shop/app`, in the order of their making. */
  get names(): readonly string[] {
    return [...this.objects.values()].map(({ kind, metadata }) =>
      metadata?.namespace === undefined
        ? `${kind} ${metadata?.name}`
        : `${kind} ${metadata.namespace}/${metadata.name}`,
    )
  }

  /** What was asked, without namespaces and names: `POST rolebindings`. */
  get steps(): readonly string[] {
    return this.asked.map(({ method, path }) => `${method} ${resourceOf(method, path.split('?')[0]!)}`)
  }

  put(path: string, object: KubeObject): void {
    this.objects.set(path, { ...object, metadata: { ...object.metadata, uid: `uid-${++this.#uids}` } })
  }

  #answerTo(method: string, path: string, body: unknown): ApiAnswer {
    if (path.endsWith('/token')) return this.#token((body as { spec: Spec }).spec)
    const [, namespace = ''] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path) ?? []
    if (namespace !== '') return this.#namespace(namespace)
    if (method === 'POST') return this.#create(path, body as KubeObject)
    const found = this.objects.get(path)
    if (found === undefined) return failure(404, 'NotFound', `${path} not found`)
    if (method === 'GET') return { status: 200, body: found }
    const { preconditions } = body as { preconditions?: { uid: string } }
    if (preconditions !== undefined && preconditions.uid !== found.metadata?.uid) {
      return failure(409, 'Conflict', 'Precondition failed: UID in precondition')
    }
    this.objects.delete(path)
    return { status: 200, body: { kind: 'Status', status: 'Success' } }
  }

  #namespace(name: string): ApiAnswer {
    const labels = this.labels[name]
    if (labels !== undefined) return { status: 200, body: { metadata: { name, labels } } }
    return failure(404, 'NotFound', `namespaces "${name}" not found`)
  }

  #create(path: string, object: KubeObject): ApiAnswer {
    const place = `${path}/${object.metadata?.name}`
    if (this.objects.has(place)) return failure(409, 'AlreadyExists', `"${object.metadata?.name}" already exists`)
    this.put(place, object)
    return { status: 201, body: this.objects.get(place) }
  }

  #token({ expirationSeconds, audiences = [] }: Spec): ApiAnswer {
    const iat = Math.floor(this.#clock.now() / 1000)
    const claims = { iat, exp: iat + (this.tokenSeconds ?? expirationSeconds), aud: audiences }
    const token = this.token ?? `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
    return { status: 201, body: { status: { token } } }
  }
}

function resourceOf(method: string, path: string): string {
  const parts = path.split('/')
  if (path.endsWith('/token')) return 'token'
  return parts.at(method === 'POST' ? -1 : -2)!
}

type Asker = {
  ask(method: string, path: string, ask: { body: never }): Promise<{ status: number; errors: readonly string[] }>
}

/** Sets the engine up for the cluster, and writes the role `app` anew, for the namespace `shop`. */
export async function setUp(server: Asker, role: object): Promise<void> {
  const write = async (path: string, body: object): Promise<void> => {
    const { status, errors } = await server.ask('POST', `kubernetes/${path}`, { body: body as never })
    if (status !== 204) throw new Error(`${path}: ${errors.join('; ')}`)
  }
  const config = { kubernetes_host: 'https://api.test:6443', service_account_jwt: 'jwt', disable_local_ca_jwt: true }
  await write('config', config)
  await write('roles/app', { allowed_kubernetes_namespaces: 'shop', ...role })
}
