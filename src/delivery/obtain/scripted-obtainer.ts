import { seconds } from '#ground/base/clock.ts'
import { scriptedClient, type ScriptedAnswer, type SentRequest } from '#client/scripted-wire.ts'
import { Obtainer, type ObtainerOptions, type Order } from './obtainer.ts'

type Server = (request: SentRequest) => ScriptedAnswer

const mounts: ScriptedAnswer = { status: 200, body: '{"data":{"path":"secret/","options":{"version":"2"}}}' }
const other: ScriptedAnswer = { status: 200, body: '{"data":{"path":"database/","options":null}}' }
export const kv = (value: string): ScriptedAnswer => ({
  status: 200,
  body: `{"data":{"data":{"pw":"${value}"},"metadata":{"version":1}}}`,
})
export const lease = (n: number): ScriptedAnswer => ({
  status: 200,
  body: `{"lease_id":"database/creds/app/${n}","lease_duration":3600,"renewable":true,"data":{"username":"u${n}"}}`,
})
export const renewed: ScriptedAnswer = {
  status: 200,
  body: '{"lease_id":"x","lease_duration":3600,"renewable":true,"data":null}',
}
export const gone: ScriptedAnswer = {
  status: 403,
  body: '{"errors":["2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n"]}',
}

/** An obtainer of templates against a scripted server; `texts` is what was delivered, in order. */
export function start(
  server: Server,
  templates: readonly string[],
  options: Partial<ObtainerOptions> & { missingKey?: 'error' } = {},
) {
  const scripted = scriptedClient(request => {
    if (request.target.includes('ui/mounts/secret')) return mounts
    if (request.target.includes('ui/mounts/')) return other
    return server(request)
  })
  const texts: string[] = []
  const failures: string[] = []
  let invalid = 0
  const obtainer = new Obtainer({
    world: scripted.world,
    client: scripted.client.with({ maxRetries: 0 }),
    env: {},
    staticInterval: seconds(300),
    retriesMax: 2,
    onTokenInvalid: () => {
      invalid++
    },
    ...options,
  })
  templates.forEach((text, i) => obtainer.add(order(String(i), text, options.missingKey ?? 'default', texts, failures)))
  const reads = (): string[] =>
    scripted.sent
      .filter(({ target }) => !target.includes('ui/mounts'))
      .map(({ method, target }) => `${method} ${target}`)
  return {
    ...scripted,
    obtainer,
    texts,
    failures,
    reads,
    invalid: () => invalid,
    advance: (ms: number) => scripted.world.clock.advance(ms),
  }
}

export const order = (
  name: string,
  text: string,
  missingKey: 'error' | 'default',
  texts: string[],
  failures: string[],
): Order => ({
  recipe: {
    name,
    sources: [],
    shape: { kind: 'template', name, text, delimiters: ['{{', '}}'], missingKey },
    freshness: { pollEvery: seconds(300), pushed: false },
  },
  sandboxPath: null,
  deliver: async ({ bytes }) => {
    texts.push(Buffer.from(bytes).toString())
  },
  onFailed: error => {
    failures.push((error as Error).message)
  },
})

export const withPw = '{{ with secret "secret/app" }}{{ .Data.data.pw }}{{ end }}'
export const withUser = '{{ with secret "database/creds/app" }}{{ .Data.username }}{{ end }}'
