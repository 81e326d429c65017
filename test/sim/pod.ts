import assert from 'node:assert/strict'
import { seconds } from '#ground/base/clock.ts'
import { type Entropy, seededEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { Agent, type AgentEnd } from '#apps/agent/agent.ts'
import { type HandoverPlace, takeOver } from '#apps/agent/handover.ts'
import { createApiClient } from '#client/api.ts'
import { ConnectError } from '#client/api-error.ts'
import type { LoginMethod } from '#client/login/login.ts'
import type { Wire } from '#client/wire.ts'
import type { AgentConfig } from '#delivery/agent-config/config.ts'
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

/** One agent, from its start to its end or its kill. */
class Life {
  readonly stop = new AbortController()
  isKilled = false
  /** Requests that wait for their answer. */
  asking = 0
}

const killed = (): ConnectError => new ConnectError('', '', 'whoever asked was killed', { isRetryable: false })

/**
 * A pod's agents, whole but for their files, their processes and the pod's token: one that ends when all is there, the
 * one that stays, and that one's successors.
 */
export class Pod {
  /** Accessors of its tokens, in order. */
  readonly accessors: string[] = []
  readonly #options: PodOptions
  readonly #config: AgentConfig
  readonly #entropy: Entropy
  #handover: string | null = null
  #landed: string | null = null
  #life = new Life()
  #done: Promise<AgentEnd>

  constructor(options: PodOptions) {
    this.#options = options
    this.#entropy = seededEntropy(options.seed)
    this.#config = readAgentConfig([{ name: 'agent.hcl', text: configOf(options) }], true).config
    this.#done = this.#run(true).then(({ code }) => {
      assert.equal(code, 0)
      return this.#run(false)
    })
  }

  async stop(): Promise<AgentEnd> {
    this.#life.stop.abort()
    await new Promise(resolve => setImmediate(resolve))
    await this.#options.weather.clock.advance(seconds(30) * 1000)
    return this.#done
  }

  /** `kill -9`, and another agent after so long. What it asks for just then would be lost: that is waited for. */
  async kill(awayMs: number): Promise<void> {
    const { clock } = this.#options.weather
    const life = this.#life
    for (let step = 0; life.asking > 0; step++) {
      assert.ok(step < 100_000, 'it is never at rest')
      await clock.advance(50)
    }
    life.isKilled = true
    life.stop.abort()
    await clock.advance(awayMs)
    this.#done = this.#run(false)
    // Before time goes on, it waits for something.
    await new Promise(resolve => setImmediate(resolve))
  }

  async #run(exitAfterAuth: boolean): Promise<AgentEnd> {
    const life = new Life()
    this.#life = life
    const world: World = {
      clock: this.#options.weather.clock,
      entropy: this.#entropy,
      log: silentLog,
      signal: life.stop.signal,
    }
    const client = createApiClient({
      address: 'https://coffer:8200',
      world: { ...world, signal: new AbortController().signal },
      openWire: () => this.#wire(life),
    })
    const place = this.#place(life)
    const agent = new Agent({
      world,
      config: this.#config,
      client,
      env: {},
      exitAfterAuth,
      handover: await takeOver(world, place),
      handsOverAt: place,
      login: this.#loginOf(this.#options.login),
      openNotices: this.#options.weather.notices,
      sinkFor: () => ({ land: ({ bytes }) => this.#land(life, Buffer.from(bytes).toString()) }),
    })
    return agent.run()
  }

  #wire(life: Life): Wire {
    const wire = this.#options.weather.wire(this.#entropy)
    return {
      ...wire,
      send: async request => {
        if (life.isKilled) throw killed()
        life.asking++
        try {
          return await wire.send(request)
        } finally {
          life.asking--
        }
      },
    }
  }

  #place(life: Life): HandoverPlace {
    const replace = async (text: string | null): Promise<void> => {
      if (!life.isKilled) this.#handover = text
    }
    return { read: async () => this.#handover, write: replace, remove: () => replace(null) }
  }

  async #land(life: Life, text: string): Promise<'changed' | 'unchanged'> {
    if (life.isKilled || text === this.#landed) return 'unchanged'
    this.#landed = text
    await this.#options.onLanded(text)
    return 'changed'
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
