import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { simWorld } from '#ground/base/world.ts'
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
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const key = `${request.method} ${request.url}`
      const body = Buffer.concat(chunks).toString()
      asked.push(`${key}${body === '' ? '' : ` ${body}`}`)
      tokens.push(request.headers['x-vault-token'] as string | undefined)
      const found = stub[key]
      const list = (found === undefined ? [] : [found].flat()) as readonly StubAnswer[]
      const count = counts.get(key) ?? 0
      counts.set(key, count + 1)
      const answer = list[Math.min(count, list.length - 1)] ?? { status: 404, body: { errors: [] } }
      const text =
        answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      response.writeHead(answer.status ?? (text === '' ? 204 : 200), {
        'Content-Type': 'application/json',
        ...answer.headers,
      })
      response.end(text)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    address: `http://127.0.0.1:${port}`,
    asked,
    tokens,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections()
      return new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
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
