import { formatGoDuration, parseDurationSeconds } from './duration.ts'
import { goQuote } from './quote.ts'

/** Where a flag's value comes from when a shell completes it: fixed words, files, or nothing known. */
export type Completion = readonly string[] | 'files' | null

export type FlagOptions<T> = {
  /** One paragraph for the help; line breaks in it don't matter. */
  readonly usage: string
  /** The value when neither flag nor environment sets it. */
  readonly default?: T
  /** Environment variable that sets it when the flag isn't given. */
  readonly env?: string
  /** Other names, without the dash. */
  readonly aliases?: readonly string[]
  /** Works, but isn't shown. */
  readonly isHidden?: boolean
  readonly completion?: Completion
}

/** One flag: how its text is read, and what the help says of it. Made by the functions below. */
export type Flag<T> = FlagOptions<T> & {
  readonly default: T
  /** What the help shows after the name, `string` in `-field=<string>`; empty for a boolean. */
  readonly example: string
  /** A boolean never takes the next argument as its value. */
  readonly isBoolean: boolean
  /** The default as the help tells it; empty when there is nothing to tell. */
  readonly defaultText: string
  // A method, so that a Flag<string> is a Flag<unknown> and flags of all types fit into one table.
  /** Reads one occurrence. @param so the value of the occurrences before, null at the first. @throws Error with the reason */
  read(text: string, so: T | null): T
}

/** Flags by name, without the dash. */
export type Flags = { readonly [name: string]: Flag<unknown> }
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never }

export type ParsedFlags<F extends Flags> = {
  readonly values: FlagValues<F>
  /** Names that the command line set; the environment doesn't count. */
  readonly given: ReadonlySet<string>
  /** What follows the flags. */
  readonly rest: readonly string[]
}

/** A command line that can't be read; `help` when it asks for help by `-h` or `-help`. Texts are Go's own. */
export class FlagError extends Error {
  override readonly name = 'FlagError'
  readonly code: 'help' | 'usage'

  constructor(code: FlagError['code'], message: string) {
    super(message)
    this.code = code
  }
}

function make<T>(base: FlagOptions<T>, rest: Omit<Flag<T>, keyof FlagOptions<T>> & { default: T }): Flag<T> {
  return { ...base, ...rest }
}

export function boolFlag(options: FlagOptions<boolean>): Flag<boolean> {
  const value = options.default ?? false
  const defaultText = options.default === undefined ? '' : String(value)
  return make(options, { default: value, example: '', isBoolean: true, defaultText, read: parseGoBool })
}

export function stringFlag(options: FlagOptions<string> & { readonly example?: string }): Flag<string> {
  const value = options.default ?? ''
  return make(options, {
    default: value,
    example: options.example ?? 'string',
    isBoolean: false,
    defaultText: value,
    read: text => text,
  })
}

/** A whole number, up to 2^53; `0x1f`, `017` and `1_000` are read as Go reads them. */
export function intFlag(options: FlagOptions<number>): Flag<number> {
  const value = options.default ?? 0
  const defaultText = value === 0 ? '' : String(value)
  return make(options, { default: value, example: 'int', isBoolean: false, defaultText, read: parseGoInt })
}

/** A duration; the value is in seconds, with a fraction where the text has one. A bare number is seconds. */
export function durationFlag(options: FlagOptions<number>): Flag<number> {
  const value = options.default ?? 0
  const defaultText = value === 0 ? '' : formatGoDuration(value)
  return make(options, {
    default: value,
    example: 'duration',
    isBoolean: false,
    defaultText,
    read: parseDurationSeconds,
  })
}

/** May be given several times; each is one element, without outer blanks. */
export function stringListFlag(options: FlagOptions<readonly string[]>): Flag<readonly string[]> {
  const value = options.default ?? []
  return make(options, {
    default: value,
    example: 'string',
    isBoolean: false,
    defaultText: value.join(','),
    read: (text, so) => [...(so ?? []), text.trim()],
  })
}

/** `-metadata=key=value`, may be given several times; the last of one key wins. */
export function stringMapFlag(options: FlagOptions<ReadonlyMap<string, string>>): Flag<ReadonlyMap<string, string>> {
  const value = options.default ?? new Map<string, string>()
  return make(options, {
    default: value,
    example: 'key=value',
    isBoolean: false,
    defaultText: [...value].map(([k, v]) => `${k}=${v}`).join(','),
    read: (text, so) => {
      const at = text.indexOf('=')
      if (at < 0) throw new Error(`missing = in KV pair: ${goQuote(text)}`)
      return new Map([...(so ?? []), [text.slice(0, at), text.slice(at + 1)]])
    },
  })
}

/** @source Go strconv.ParseBool */
export function parseGoBool(text: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false
  throw new Error(`strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax`)
}

/** @source Go strconv.ParseInt with base 0 */
export function parseGoInt(text: string): number {
  const plain = /^([+-]?)(?:(0[xX](?:_?[0-9a-fA-F])+)|(0[oO]?(?:_?[0-7])+)|(0[bB](?:_?[01])+)|(\d(?:_?\d)*))$/.exec(
    text,
  )
  const decimal = plain?.[5]
  if (!plain || (decimal !== undefined && decimal.length > 1 && decimal.startsWith('0'))) {
    throw new Error(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`)
  }
  const octal = plain[3]?.replace(/^0[oO]?/, '0o')
  const value = Number((plain[2] ?? octal ?? plain[4] ?? decimal)!.replaceAll('_', ''))
  if (!Number.isSafeInteger(value)) {
    throw new Error(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`)
  }
  return plain[1] === '-' ? -value || 0 : value
}

/**
 * Reads a command line as Go's `flag` package does: `-x`, `--x`, `-x=v`, `-x v`; flags end at `--` or at the first
 * argument that is none.
 * @param env looks up an environment variable, in whatever names the caller treats as the same
 * @throws FlagError
 */
export function parseFlags<F extends Flags>(
  flags: F,
  argv: readonly string[],
  env: (name: string) => string | undefined = () => undefined,
): ParsedFlags<F> {
  const names = new Map<string, string>()
  for (const [name, flag] of Object.entries(flags)) for (const n of [name, ...(flag.aliases ?? [])]) names.set(n, name)
  const values = new Map<string, unknown>()
  let at = 0
  for (; at < argv.length; at++) {
    const arg = argv[at]!
    if (arg.length < 2 || arg[0] !== '-') break
    if (arg === '--') {
      at++
      break
    }
    const [, written, attached] = splitFlag(arg)
    const name = names.get(written)
    if (name === undefined) {
      if (written === 'help' || written === 'h') throw new FlagError('help', 'flag: help requested')
      throw new FlagError('usage', `flag provided but not defined: -${written}`)
    }
    const flag = flags[name]!
    let text = attached
    if (text === null && flag.isBoolean) text = 'true'
    if (text === null && at + 1 < argv.length) text = argv[++at]!
    if (text === null) throw new FlagError('usage', `flag needs an argument: -${written}`)
    values.set(name, readFlag(flag, written, text, values.get(name) ?? null))
  }
  const given = new Set(values.keys())
  for (const [name, flag] of Object.entries(flags)) {
    if (!values.has(name)) values.set(name, fromEnvironment(flag, env))
  }
  return { values: Object.fromEntries(values) as FlagValues<F>, given, rest: argv.slice(at) }
}

function splitFlag(arg: string): [dashes: string, name: string, value: string | null] {
  const dashes = arg.startsWith('--') ? '--' : '-'
  const body = arg.slice(dashes.length)
  if (body === '' || body[0] === '-' || body[0] === '=') throw new FlagError('usage', `bad flag syntax: ${arg}`)
  const at = body.indexOf('=')
  return at < 0 ? [dashes, body, null] : [dashes, body.slice(0, at), body.slice(at + 1)]
}

function readFlag<T>(flag: Flag<T>, written: string, text: string, so: T | null): T {
  try {
    return flag.read(text, so)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const what = flag.isBoolean ? 'boolean value' : 'value'
    const where = flag.isBoolean ? `-${written}` : `flag -${written}`
    throw new FlagError('usage', `invalid ${what} ${goQuote(text)} for ${where}: ${reason}`)
  }
}

function fromEnvironment<T>(flag: Flag<T>, env: (name: string) => string | undefined): T {
  const text = flag.env === undefined ? undefined : env(flag.env)
  if (text === undefined || (text === '' && flag.example !== 'string')) return flag.default
  try {
    return flag.read(text, null)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new FlagError('usage', `invalid value in environment variable ${flag.env}: ${reason}`)
  }
}

/**
 * The arguments that look like flags but stand after the first positional one, where they aren't read. `globals` are
 * names that are read anywhere.
 * @source Vault command/base_helpers.go generateFlagWarnings
 */
export function misplacedFlags(rest: readonly string[], globals: readonly string[] = []): string[] {
  return rest.filter(arg => {
    if (!arg.startsWith('-') || arg === '-') return false
    return !globals.includes(arg.replace(/^-+/, '').split('=', 1)[0]!)
  })
}

/** What to tell a user about them, or null when there are none. */
export function misplacedFlagsHint(rest: readonly string[], globals: readonly string[] = []): string | null {
  const found = misplacedFlags(rest, globals)
  if (found.length === 0) return null
  return `Command flags must be provided before positional arguments. The following arguments will not be parsed as flags: [${found.join(',')}]`
}
