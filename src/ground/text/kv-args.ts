import type { Maybe } from '#ground/base/brand.ts'
import { isJsonObject, type Json, setKey } from './json.ts'
import { parseJson } from './json-parse.ts'

/** Where `@file` and `-` read from. `stdin` is null when the command takes none. */
export type KvSources = {
  /** @throws when it can't be read; the message is passed on */
  readonly file: (path: string) => Maybe<string>
  readonly stdin: (() => Maybe<string>) | null
}

/** Arguments that can't be read; says which rule. */
export class KvArgsError extends Error {
  override readonly name = 'KvArgsError'
}

/**
 * Reads the data arguments of `write`, `kv put` and others: `k=v`; `k=@file` and `k=-` take the value from a file or
 * stdin; `k=\@v` is the text `@v`; `@file` and `-` alone are JSON objects whose keys are taken over; a repeated key
 * becomes a list. Empty arguments are skipped.
 * @source hashicorp/go-secure-stdlib kv-builder
 */
export async function readKvArgs(args: readonly string[], sources: KvSources): Promise<{ [key: string]: Json }> {
  const result: { [key: string]: Json } = {}
  let isStdinUsed = false
  const readStdin = async (): Promise<string> => {
    if (!sources.stdin) throw new KvArgsError('stdin is not supported')
    if (isStdinUsed) throw new KvArgsError('stdin already consumed')
    isStdinUsed = true
    return await sources.stdin()
  }
  for (const arg of args) {
    if (arg === '') continue
    const at = arg.indexOf('=')
    if (arg === '-') merge(result, await readStdin())
    else if (at < 0 && arg.startsWith('@')) merge(result, await sources.file(arg.slice(1)))
    else if (at < 0) throw new KvArgsError('format must be key=value')
    else add(result, arg.slice(0, at), await readValue(arg.slice(at + 1), sources, readStdin))
  }
  return result
}

async function readValue(value: string, sources: KvSources, readStdin: () => Promise<string>): Promise<string> {
  if (value === '-') return await readStdin()
  if (value.startsWith('\\@')) return value.slice(1)
  if (!value.startsWith('@')) return value
  try {
    return await sources.file(value.slice(1))
  } catch (error) {
    throw new KvArgsError(`error reading file: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

function merge(result: { [key: string]: Json }, text: string): void {
  const value = parseJson(text, { isTrailingIgnored: true })
  if (!isJsonObject(value)) throw new KvArgsError('the JSON must be an object: {"key": "value"}')
  for (const key of Object.keys(value)) setKey(result, key, value[key]!)
}

function add(result: { [key: string]: Json }, key: string, value: string): void {
  if (!Object.hasOwn(result, key)) {
    setKey(result, key, value)
    return
  }
  const before = result[key]!
  setKey(result, key, [...(Array.isArray(before) ? (before as readonly Json[]) : [before]), value])
}
