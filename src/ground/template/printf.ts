import { type Flags, noFlags } from './field.ts'
import { formatValue } from './fmt.ts'
import { Int, typeName, type Value } from './value.ts'

/** Widths and precisions beyond this are refused. @source Go fmt/print.go tooLarge */
const sizeMax = 1_000_000

class Printf {
  readonly #format: string
  readonly #values: readonly Value[]
  #at = 0
  #argument = 0
  #isReordered = false
  #isGood = true
  #afterIndex = false
  #out = ''

  constructor(format: string, values: readonly Value[]) {
    this.#format = format
    this.#values = values
  }

  run(): string {
    const format = this.#format
    while (this.#at < format.length) {
      const percent = format.indexOf('%', this.#at)
      if (percent < 0) {
        this.#out += format.slice(this.#at)
        break
      }
      this.#out += format.slice(this.#at, percent)
      this.#at = percent + 1
      this.#verb()
    }
    if (!this.#isReordered && this.#argument < this.#values.length) this.#extra()
    return this.#out
  }

  #verb(): void {
    this.#isGood = true
    this.#afterIndex = false
    const flags = noFlags()
    this.#flags(flags)
    this.#index()
    this.#width(flags)
    this.#precision(flags)
    if (!this.#afterIndex) this.#index()
    const code = this.#format.codePointAt(this.#at)
    if (code === undefined) {
      this.#out += '%!(NOVERB)'
      return
    }
    const verb = String.fromCodePoint(code)
    this.#at += verb.length
    if (verb === '%') this.#out += '%'
    else if (!this.#isGood) this.#out += `%!${verb}(BADINDEX)`
    else if (this.#argument >= this.#values.length) this.#out += `%!${verb}(MISSING)`
    else this.#out += this.#value(verb, flags)
  }

  #value(verb: string, flags: Flags): string {
    if (verb === 'v') {
      flags.sharpV = flags.sharp
      flags.sharp = false
      flags.plusV = flags.plus
      flags.plus = false
    }
    return formatValue(this.#values[this.#argument++], verb, flags)
  }

  #flags(flags: Flags): void {
    for (; ; this.#at++) {
      const char = this.#format[this.#at]
      if (char === '#') flags.sharp = true
      else if (char === '0') flags.zero = true
      else if (char === '+') flags.plus = true
      else if (char === '-') flags.minus = true
      else if (char === ' ') flags.space = true
      else return
    }
  }

  /** An explicit index, `[2]`. */
  #index(): void {
    this.#afterIndex = false
    if (this.#format[this.#at] !== '[') return
    this.#isReordered = true
    const close = this.#format.indexOf(']', this.#at)
    const inside = close < 0 ? '' : this.#format.slice(this.#at + 1, close)
    this.#at = close < 0 ? this.#at + 1 : close + 1
    const number = /^[0-9]{1,6}$/.test(inside) ? Number(inside) : null
    this.#afterIndex = number !== null
    if (number !== null && number >= 1 && number <= this.#values.length) this.#argument = number - 1
    else this.#isGood = false
  }

  #width(flags: Flags): void {
    if (this.#format[this.#at] === '*') {
      this.#at++
      const width = this.#star()
      if (width === null) this.#out += '%!(BADWIDTH)'
      flags.width = width === null ? null : Math.abs(width)
      if (width !== null && width < 0) {
        flags.minus = true
        flags.zero = false
      }
      this.#afterIndex = false
      return
    }
    flags.width = this.#number()
    if (this.#afterIndex && flags.width !== null) this.#isGood = false
  }

  #precision(flags: Flags): void {
    if (this.#format[this.#at] !== '.' || this.#at + 1 >= this.#format.length) return
    this.#at++
    if (this.#afterIndex) this.#isGood = false
    this.#index()
    if (this.#format[this.#at] !== '*') {
      flags.precision = this.#number() ?? 0
      return
    }
    this.#at++
    const precision = this.#star()
    flags.precision = precision !== null && precision >= 0 ? precision : null
    if (flags.precision === null) this.#out += '%!(BADPREC)'
    this.#afterIndex = false
  }

  /** The next operand as a width or precision. */
  #star(): number | null {
    if (this.#argument >= this.#values.length) return null
    const value = this.#values[this.#argument++]
    const number = typeof value === 'bigint' ? value : value instanceof Int ? value.value : null
    return number !== null && number >= -sizeMax && number <= sizeMax ? Number(number) : null
  }

  #number(): number | null {
    const digits = /^[0-9]+/.exec(this.#format.slice(this.#at, this.#at + 12))
    if (!digits) return null
    if (Number(digits[0]) > sizeMax) {
      this.#at = this.#format.length
      return null
    }
    this.#at += digits[0].length
    return Number(digits[0])
  }

  #extra(): void {
    const shown = this.#values.slice(this.#argument).map(value => {
      if (value === undefined || value === null) return '<nil>'
      return `${typeName(value)}=${formatValue(value, 'v', noFlags())}`
    })
    this.#out += `%!(EXTRA ${shown.join(', ')})`
  }
}

/**
 * Go's `fmt.Sprintf`. Never fails: what doesn't fit shows in the text as `%!d(string=x)`.
 * @source Go fmt/print.go doPrintf
 */
export function printf(format: string, values: readonly Value[]): string {
  return new Printf(format, values).run()
}
