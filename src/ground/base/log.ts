/** Levels of hclog, whose two formats are a compatibility surface (Vault and its agent log through it). */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFormat = 'standard' | 'json'

/** What may stand in a log line. An `Error` gives its message; a `Secret` prints as `[secret]`. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A log whose lines carry `name` after this one's, joined by a dot: `agent.auth.handler`. */
  named(name: string): Log
  /** Is a line of this level written? To spare the making of costly fields. */
  isOn(level: LogLevel): boolean
}

export type LogOptions = {
  level: LogLevel
  format: LogFormat
  /** Takes whole lines, each with its line feed. Must not throw. */
  write: (line: string) => void
  now: () => number
  name?: string
}

class HcLog implements Log {
  readonly #options: LogOptions
  readonly #threshold: number

  constructor(options: LogOptions) {
    this.#options = options
    this.#threshold = logLevels.indexOf(options.level)
  }

  trace(message: string, fields?: LogFields): void {
    this.#line('trace', message, fields)
  }
  debug(message: string, fields?: LogFields): void {
    this.#line('debug', message, fields)
  }
  info(message: string, fields?: LogFields): void {
    this.#line('info', message, fields)
  }
  warn(message: string, fields?: LogFields): void {
    this.#line('warn', message, fields)
  }
  error(message: string, fields?: LogFields): void {
    this.#line('error', message, fields)
  }

  named(name: string): Log {
    const outer = this.#options.name
    return new HcLog({ ...this.#options, name: outer ? `${outer}.${name}` : name })
  }

  isOn(level: LogLevel): boolean {
    return logLevels.indexOf(level) >= this.#threshold
  }

  #line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!this.isOn(level)) return
    const { format, write, now, name } = this.#options
    const time = new Date(now()).toISOString()
    if (format === 'json') {
      const line: Record<string, unknown> = { '@level': level, '@message': message }
      if (name) line['@module'] = name
      line['@timestamp'] = time.replace('Z', '000Z')
      for (const [key, value] of Object.entries(fields ?? {})) line[key] = plain(value)
      write(`${JSON.stringify(line)}\n`)
      return
    }
    let line = `${time} [${level.toUpperCase()}]${level.length === 4 ? ' ' : ''} `
    if (name) line += `${name}: `
    line += oneLine(message)
    const entries = Object.entries(fields ?? {})
    if (entries.length > 0) line += ':'
    for (const [key, value] of entries) line += ` ${key}=${quoted(plain(value))}`
    write(`${line}\n`)
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message
  if (value === null || typeof value !== 'object') return value
  return JSON.parse(JSON.stringify(value) ?? 'null')
}

// A line feed in a value would let an outsider forge log lines.
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}

function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  return /^[^\s"=\u0000-\u001f]+$/.test(text) ? text : JSON.stringify(text)
}

export function createLog(options: LogOptions): Log {
  return new HcLog(options)
}

/** Drops every line. */
export const silentLog: Log = createLog({ level: 'off', format: 'standard', write: () => undefined, now: () => 0 })
