import { createLog, type Log, type LogFields, type LogLevel, type LogOptions } from '#ground/base/log.ts'

type Base = { log: Log; readonly options: Omit<LogOptions, 'level'> }

/** A log whose level can be changed while the parts that were given it run. */
export class LevelLog implements Log {
  readonly #base: Base
  readonly #name: string
  // Made for one base; made anew when the level has changed.
  #mine: { readonly of: Log; readonly log: Log }

  private constructor(base: Base, name: string) {
    this.#base = base
    this.#name = name
    this.#mine = { of: base.log, log: name === '' ? base.log : base.log.named(name) }
  }

  static create(level: LogLevel, options: Omit<LogOptions, 'level'>): LevelLog {
    return new LevelLog({ log: createLog({ ...options, level }), options }, '')
  }

  /** For this log and all that were named from it. */
  setLevel(level: LogLevel): void {
    this.#base.log = createLog({ ...this.#base.options, level })
  }

  get #log(): Log {
    const { log } = this.#base
    if (this.#mine.of !== log) this.#mine = { of: log, log: this.#name === '' ? log : log.named(this.#name) }
    return this.#mine.log
  }

  trace(message: string, fields?: LogFields): void {
    this.#log.trace(message, fields)
  }
  debug(message: string, fields?: LogFields): void {
    this.#log.debug(message, fields)
  }
  info(message: string, fields?: LogFields): void {
    this.#log.info(message, fields)
  }
  warn(message: string, fields?: LogFields): void {
    this.#log.warn(message, fields)
  }
  error(message: string, fields?: LogFields): void {
    this.#log.error(message, fields)
  }

  named(name: string): Log {
    return new LevelLog(this.#base, this.#name === '' ? name : `${this.#name}.${name}`)
  }

  isOn(level: LogLevel): boolean {
    return this.#log.isOn(level)
  }
}
