import { PassThrough } from 'node:stream'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { simWorld } from '#ground/base/world.ts'
import type { HttpHandler, HttpResponse } from '#ground/http/message.ts'
import { listen } from '#ground/http/server.ts'
import type { Command, Io } from '#protocol/command.ts'

export type StubAnswer = {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Answers by `METHOD /v1/path?query`; a list is answered in order, its last one for ever. */
export type Stub = Readonly<Record<string, StubAnswer | readonly StubAnswer[]>>

export type StubServer = AsyncDisposable & {
  readonly address: string
  /** `METHOD target body`, in order. */
  readonly asked: string[]
  /** Token of each request. */
  readonly tokens: (string | undefined)[]
}

/** A server of recorded answers, for tests of what the CLI asks and prints. */
export async function startStub(stub: Stub): Promise<StubServer> {
  const asked: string[] = []
  const tokens: (string | undefined)[] = []
  const counts = new Map<string, number>()
  const handler: HttpHandler = async request => {
    const key = `${request.method} ${request.path}${request.query === '' ? '' : `?${request.query}`}`
    const body = Buffer.from(await request.body.bytes(1024 * 1024)).toString()
    asked.push(`${key}${body === '' ? '' : ` ${body}`}`)
    tokens.push(request.headers.get('x-vault-token'))
    const found = stub[key]
    const list = (found === undefined ? [] : [found].flat()) as readonly StubAnswer[]
    const count = counts.get(key) ?? 0
    counts.set(key, count + 1)
    return render(list[Math.min(count, list.length - 1)] ?? { status: 404, body: { errors: [] } })
  }
  const address = { host: '127.0.0.1', port: 0 }
  const server = await listen({ address, handler, clock: systemClock, log: silentLog })
  const port = 'port' in server.address ? server.address.port : 0
  return {
    address: `http://127.0.0.1:${port}`,
    asked,
    tokens,
    [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }),
  }
}

function render(answer: StubAnswer): HttpResponse {
  const { body } = answer
  const text = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
  const headers = Object.entries({ 'Content-Type': 'application/json', ...answer.headers })
  return { status: answer.status ?? (text === null ? 204 : 200), headers, body: text }
}

export type Run = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs a command with an environment and standard input of its own. */
export async function runCommand(
  command: Command,
  argv: readonly string[],
  given: Partial<Io> & { readonly input?: string } = {},
): Promise<Run> {
  let stdout = ''
  let stderr = ''
  const stdin = new PassThrough()
  stdin.end(given.input ?? '')
  const code = await command.run(argv, {
    stdout: text => {
      stdout += typeof text === 'string' ? text : Buffer.from(text).toString()
    },
    stderr: text => {
      stderr += text
    },
    stdin,
    isInputTerminal: false,
    isOutputTerminal: false,
    env: {},
    cwd: '/',
    calledAs: 'coffer',
    world: simWorld({ seed: 1 }),
    ...given,
  })
  return { code, stdout, stderr }
}
