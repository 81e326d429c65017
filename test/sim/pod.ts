import { seconds } from '#ground/base/clock.ts'
import { seededEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { Agent, type AgentEnd } from '#apps/agent/agent.ts'
import { createApiClient } from '#client/api.ts'
import type { LoginMethod } from '#client/login/login.ts'
import { readAgentConfig } from '#delivery/agent-config/read.ts'
import type { Weather } from './weather.ts'

export type PodOptions = {
  readonly weather: Weather
  readonly seed: number
  /** The secret of its only template, as in `{{ with secret "…" }}`; it shows `.Data.name`. */
  readonly secret: string
  /** The body of its logins. */
  readonly login: JsonObject
  readonly isRevokedAtEnd: boolean
  /** Bytes landed in its file. */
  readonly onLanded: (text: string) => Promise<void>
}

/** A pod's agent, whole but for its files, its process and its pod's token. */
export class Pod {
  /** Accessors of its tokens, in order. */
  readonly accessors: string[] = []
  readonly #stop = new AbortController()
  readonly #done: Promise<AgentEnd>

  constructor(options: PodOptions) {
    const { weather, seed } = options
    const entropy = seededEntropy(seed)
    const world: World = { clock: weather.clock, entropy, log: silentLog, signal: this.#stop.signal }
    const { config } = readAgentConfig([{ name: 'agent.hcl', text: configOf(options) }], true)
    const client = createApiClient({
      address: 'https://coffer:8200',
      world: { ...world, signal: new AbortController().signal },
      openWire: () => weather.wire(entropy),
    })
    let landed: string | null = null
    const agent = new Agent({
      world,
      config,
      client,
      env: {},
      exitAfterAuth: false,
      handover: null,
      login: this.#loginOf(options.login),
      openNotices: weather.notices,
      sinkFor: () => ({
        async land({ bytes }) {
          const text = Buffer.from(bytes).toString()
          if (text === landed) return 'unchanged'
          landed = text
          await options.onLanded(text)
          return 'changed'
        },
      }),
    })
    this.#done = agent.run()
  }

  async stop(weather: Weather): Promise<AgentEnd> {
    this.#stop.abort()
    await new Promise(resolve => setImmediate(resolve))
    await weather.clock.advance(seconds(30) * 1000)
    return this.#done
  }

  #loginOf(body: JsonObject): LoginMethod {
    return {
      describes: 'a pod',
      login: async (client, options = {}) => {
        const request = { method: 'PUT', path: 'auth/doorman/login', body, ...options }
        const { envelope } = await client.with({ token: null }).request(request)
        if (envelope?.auth) this.accessors.push(envelope.auth.accessor)
        return envelope!
      },
    }
  }
}

function configOf({ secret, isRevokedAtEnd }: PodOptions): string {
  return `
    revoke_on_shutdown = ${isRevokedAtEnd}
    auto_auth { method "token_file" { config = { token_file_path = "none: the pod logs in by itself" } } }
    template {
      contents    = "{{ with secret \\"${secret}\\" }}{{ .Data.name }}{{ end }}"
      destination = "credentials"
    }`
}
