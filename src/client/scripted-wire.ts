import { PassThrough } from 'node:stream'
import type { Clock } from '#ground/base/clock.ts'
import { simWorld, type World } from '#ground/base/world.ts'
import { headersOf } from '#ground/http/headers.ts'
import type { ServerAddress } from '#protocol/address.ts'
import { type ApiClient, type ApiClientOptions, createApiClient } from './api.ts'
import { ConnectError } from './api-error.ts'
import type { Wire, WireAnswer, WireRequest } from './wire.ts'

export type ScriptedAnswer =
  | { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly error: string; readonly isRetryable?: boolean }
  | 'hang'

/** Answers in order, the last one for ever; or by what is asked. */
export type Script = readonly ScriptedAnswer[] | ((request: SentRequest) => ScriptedAnswer)

export type SentRequest = WireRequest & { readonly to: string }

export type ScriptedClient = {
  readonly client: ApiClient
  readonly sent: SentRequest[]
  readonly world: World & { readonly clock: ReturnType<typeof simWorld>['clock'] }
  /** Moves the clock until the work is done; throws when a timer is left behind. */
  readonly settle: <T>(work: Promise<T>) => Promise<T>
}

/** A client for tests whose server is a script, under virtual time. */
export function scriptedClient(script: Script, options: Partial<ApiClientOptions> = {}): ScriptedClient {
  const world = simWorld({ seed: 1 })
  const sent: SentRequest[] = []
  const openWire = (address: ServerAddress): Wire => ({
    send: async request => {
      const asked = { ...request, to: address.text }
      sent.push(asked)
      const answer = typeof script === 'function' ? script(asked) : script[Math.min(sent.length, script.length) - 1]
      return play(answer ?? { error: 'the script is empty' }, request.signal)
    },
    stream: () => Promise.reject(new Error('nothing is streamed')),
    dial: async () => new PassThrough(),
    close: async () => undefined,
  })
  const client = createApiClient({ address: 'https://vault:8200', world, openWire, ...options })
  return { client, sent, world, settle: work => settle(world.clock, work) }
}

async function play(answer: ScriptedAnswer, signal: AbortSignal): Promise<WireAnswer> {
  if (answer === 'hang') {
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    throw signal.reason
  }
  if ('error' in answer) throw new ConnectError('', '', answer.error, { isRetryable: answer.isRetryable ?? true })
  const body = new TextEncoder().encode(answer.body ?? '')
  return { status: answer.status, headers: headersOf(Object.entries(answer.headers ?? {})), body }
}

async function settle<T>(
  clock: Clock & { advance(ms: number): Promise<void>; waiting: number },
  work: Promise<T>,
): Promise<T> {
  const state = { isDone: false }
  const done = work.finally(() => {
    state.isDone = true
  })
  done.catch(() => undefined)
  for (let i = 0; i < 400 && !state.isDone; i++) await clock.advance(250)
  if (clock.waiting !== 0) throw new Error(`${clock.waiting} timers are left behind`)
  return done
}
