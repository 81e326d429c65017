import type { Readable } from 'node:stream'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Flags, FlagValues } from '#ground/text/flags.ts'
import { KvArgsError, readKvArgs } from '#ground/text/kv-args.ts'
import { JsonError } from '#ground/text/json-parse.ts'
import { isJsonObject, type Json, renderJson } from '#ground/text/json.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Io } from '#protocol/command.ts'
import type { AuthBlock } from '#protocol/envelope.ts'
import type { ApiClient } from '#client/api.ts'
import type { Settings } from './settings.ts'
import { CliError, type Ui } from './ui.ts'

const inputBytesMax = 32 * 1024 * 1024

/** What a command's `run` is given. */
export class Context<F extends Flags> {
  readonly io: Io
  readonly ui: Ui
  readonly flags: FlagValues<F>
  /** Flags that stood on the command line. */
  readonly given: ReadonlySet<string>
  readonly args: readonly string[]
  /** Of `-field`; empty when it wasn't given. */
  readonly field: string
  readonly isInteractive: boolean
  readonly settings: Settings
  /** Asks the server as the user; with `-output-curl-string` its first request ends the command. */
  readonly client: ApiClient
  /** For what must be known before the real request (preflight): always sent, never wrapped. */
  readonly probe: ApiClient
  /** The first request is printed instead of being sent. */
  readonly isDryRun: boolean
  /** For what must be undone though the user has ended the command: short, and without a second try. */
  readonly parting: ApiClient
  /** The login that was made for this command alone. */
  readonly session: AuthBlock | null
  #isInputRead = false

  constructor(parts: {
    io: Io
    ui: Ui
    flags: FlagValues<F>
    given: ReadonlySet<string>
    args: readonly string[]
    field: string
    isInteractive: boolean
    settings: Settings
    client: ApiClient
    probe: ApiClient
    isDryRun: boolean
    parting: ApiClient
    session: AuthBlock | null
  }) {
    this.io = parts.io
    this.ui = parts.ui
    this.flags = parts.flags
    this.given = parts.given
    this.args = parts.args
    this.field = parts.field
    this.isInteractive = parts.isInteractive
    this.settings = parts.settings
    this.client = parts.client
    this.probe = parts.probe
    this.isDryRun = parts.isDryRun
    this.parting = parts.parting
    this.session = parts.session
  }

  /** An argument that the row's `args` promises. */
  arg(index: number): string {
    return (this.args[index] ?? '').trim()
  }

  /** `k=v`, `k=@file`, `k=-`, `@file`, `-` into an object. @throws CliError 1 */
  async data(args: readonly string[], failure = 'Failed to parse K=V data'): Promise<{ [key: string]: Json }> {
    try {
      return await readKvArgs(args, {
        file: path => readFile(resolve(this.io.cwd, path), 'utf8'),
        stdin: () => this.input(),
      })
    } catch (error) {
      if (!(error instanceof KvArgsError || error instanceof JsonError || isSystemError(error))) throw error
      // The argument itself may be the secret: name the rule, not the value.
      throw new CliError(1, `${failure}: ${error.message}`, { cause: error })
    }
  }

  /** As `data`, for what takes only texts: other scalars of a JSON object become one. @throws CliError 1 */
  async texts(args: readonly string[], failure = 'Failed to parse K=V data'): Promise<Record<string, string>> {
    const data = await this.data(args, failure)
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => {
        const text = scalarText(value)
        if (text !== null) return [key, text]
        const why = `failed to convert values to strings: ${goQuote(key)} is a list or an object`
        throw new CliError(1, `${failure}: ${why}`)
      }),
    )
  }

  /** All of stdin; nothing with `-non-interactive`. */
  async input(): Promise<string> {
    if (!this.isInteractive || this.#isInputRead) return ''
    this.#isInputRead = true
    return readAll(this.io.stdin)
  }

  /** A file or, for `-`, stdin. @throws CliError 2 */
  async fileOrInput(path: string, what: string): Promise<string> {
    if (path === '-') return this.input()
    try {
      return await readFile(resolve(this.io.cwd, path), 'utf8')
    } catch (error) {
      throw new CliError(2, `${what}: ${(error as Error).message}`, { cause: error })
    }
  }
}

/** Runs `work`; its failure becomes `<what>: <reason>` with exit code 2. */
export async function attempt<T>(what: string, work: Promise<T>, exitCode = 2): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof CliError || !(error instanceof Error) || error.name === 'DryRun') throw error
    throw new CliError(exitCode, `${what}: ${error.message}`, { cause: error })
  }
}

/** A scalar as text, `true` as `1`; null for a list or an object. @source mitchellh/mapstructure WeakDecode */
function scalarText(value: Json): string | null {
  if (typeof value === 'string') return value
  if (value === null) return ''
  if (typeof value === 'boolean') return value ? '1' : '0'
  return Array.isArray(value) || isJsonObject(value) ? null : renderJson(value)
}

async function readAll(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > inputBytesMax) throw new CliError(1, `stdin is larger than ${inputBytesMax} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && 'syscall' in error
}
