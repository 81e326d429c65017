/** Decimal digits of a number: 0.DIGITS × 10^point. */
type Decimal = { digits: string; point: number }

/** The fewest digits that read back as the same number. */
function shortest(value: number): Decimal {
  const [mantissa, exponent] = value.toExponential().split('e')
  const digits = mantissa!.replace('.', '')
  return value === 0 ? { digits: '', point: 0 } : { digits, point: Number(exponent) + 1 }
}

/** All digits of a double, which are finitely many. */
function exact(value: number): Decimal {
  if (value === 0) return { digits: '', point: 0 }
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const raw = bits.getBigUint64(0)
  const biased = Number((raw >> 52n) & 0x7ffn)
  const mantissa = (raw & 0xfffffffffffffn) | (biased === 0 ? 0n : 1n << 52n)
  const power = (biased === 0 ? 1 : biased) - 1075
  const digits = power >= 0 ? `${mantissa << BigInt(power)}` : `${mantissa * 5n ** BigInt(-power)}`
  return { digits, point: digits.length + (power >= 0 ? 0 : power) }
}

/** Keeps `count` digits, ties to even (IEEE 754 section 4.3.1). */
function rounded(decimal: Decimal, count: number): Decimal {
  const { digits, point } = decimal
  if (count >= digits.length) return decimal
  if (count < 0) return { digits: '', point: 0 }
  const rest = digits.slice(count)
  const kept = BigInt(digits.slice(0, count) || '0')
  const half = /^50*$/.test(rest)
  const isUp = half ? kept % 2n === 1n : rest[0]! >= '5'
  const text = (isUp ? kept + 1n : kept).toString()
  if (text === '0') return { digits: '', point: 0 }
  return { digits: text, point: point + Math.max(0, text.length - count) }
}

function fixed({ digits, point }: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0'
  if (precision === 0) return whole
  const fraction = (point >= 0 ? digits.slice(point) : `${'0'.repeat(-point)}${digits}`).slice(0, precision)
  return `${whole}.${fraction.padEnd(precision, '0')}`
}

function scientific({ digits, point }: Decimal, precision: number, letter: string): string {
  const exponent = digits === '' ? 0 : point - 1
  const first = digits[0] ?? '0'
  const rest = digits.slice(1).padEnd(precision, '0')
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${first}${precision > 0 ? `.${rest}` : ''}${letter}${exponent < 0 ? '-' : '+'}${size}`
}

function general(value: number, precision: number, letter: string): string {
  const isShortest = precision < 0
  const wanted = precision === 0 ? 1 : precision
  const decimal = isShortest ? shortest(value) : rounded(exact(value), wanted)
  const digits = decimal.digits.replace(/0+$/, '')
  const trimmed = { digits, point: digits === '' ? 0 : decimal.point }
  let limit = isShortest ? 6 : wanted
  if (!isShortest && limit > decimal.digits.length && decimal.digits.length >= decimal.point) {
    limit = decimal.digits.length
  }
  const exponent = digits === '' ? -1 : trimmed.point - 1
  if (exponent < -4 || exponent >= limit) return scientific(trimmed, Math.max(0, digits.length - 1), letter)
  return fixed(trimmed, Math.max(0, digits.length - Math.max(trimmed.point, 0) + Math.max(0, -trimmed.point)))
}

/** `%x`: hexadecimal mantissa, binary exponent. */
function hexadecimal(value: number, precision: number): string {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const raw = bits.getBigUint64(0)
  let exponent = Number((raw >> 52n) & 0x7ffn) - 1023
  let mantissa = raw & 0xfffffffffffffn
  if (exponent === -1023) exponent = value === 0 ? 0 : -1022
  else mantissa |= 1n << 52n
  while (mantissa !== 0n && mantissa < 1n << 52n) {
    mantissa <<= 1n
    exponent--
  }
  if (precision >= 0 && precision < 13) {
    const drop = BigInt(52 - 4 * precision)
    const extra = mantissa & ((1n << drop) - 1n)
    mantissa >>= drop
    const half = 1n << (drop - 1n)
    if (extra > half || (extra === half && mantissa % 2n === 1n)) mantissa++
    mantissa <<= drop
    if (mantissa >= 1n << 53n) {
      mantissa >>= 1n
      exponent++
    }
  }
  const fraction = (mantissa & 0xfffffffffffffn).toString(16).padStart(13, '0')
  const shown = precision < 0 ? fraction.replace(/0+$/, '') : fraction.slice(0, precision).padEnd(precision, '0')
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `0x${mantissa >> 52n}${shown === '' ? '' : `.${shown}`}p${exponent < 0 ? '-' : '+'}${size}`
}

function binary(value: number): string {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const raw = bits.getBigUint64(0)
  const biased = Number((raw >> 52n) & 0x7ffn)
  const mantissa = (raw & 0xfffffffffffffn) | (biased === 0 ? 0n : 1n << 52n)
  const exponent = (biased === 0 ? 1 : biased) - 1075
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

/**
 * A float64 as text, like Go's `strconv.FormatFloat`; the sign is there only when it is negative.
 * @param verb `e E f g G x X b`. @param precision digits, -1 for the fewest that read back the same.
 */
export function formatFloat(value: number, verb: string, precision: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  switch (verb) {
    case 'e':
    case 'E': {
      const decimal = precision < 0 ? shortest(size) : rounded(exact(size), precision + 1)
      return sign + scientific(decimal, precision < 0 ? Math.max(0, decimal.digits.length - 1) : precision, verb)
    }
    case 'f': {
      if (precision < 0) {
        const decimal = shortest(size)
        return sign + fixed(decimal, Math.max(0, decimal.digits.length - decimal.point))
      }
      const decimal = exact(size)
      return sign + fixed(rounded(decimal, decimal.point + precision), precision)
    }
    case 'g':
    case 'G':
      return sign + general(size, precision, verb === 'g' ? 'e' : 'E')
    case 'b':
      return sign + binary(size)
    default: {
      const text = hexadecimal(size, precision)
      return sign + (verb === 'X' ? text.toUpperCase() : text)
    }
  }
}
