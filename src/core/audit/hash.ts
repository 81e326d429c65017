import { createHmacKey, type HmacKey } from '#ground/crypto/hmac.ts'
import { isJsonObject, type Json, NumberLiteral, RawJson, renderJson, renderJsonString } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { parseRfc3339 } from '#ground/text/time.ts'

const namesMax = 10_000
const namedCharactersMax = 128

/**
 * Replaces what may be secret in an audit line by `hmac-sha256:` and the HMAC under the device's salt, so that whoever
 * has a value and may call `sys/audit-hash` can search for it, and nobody can read it.
 * @source openbao audit/hashstructure.go
 */
export class AuditHasher {
  readonly #key: HmacKey | null
  /** Names that lists showed, and their hashes; emptied when it is full. */
  readonly #names = new Map<string, string>()

  /** @param salt the device's; null writes values as they are (`log_raw`). */
  constructor(salt: string | null) {
    this.#key = salt === null ? null : createHmacKey(Buffer.from(salt))
  }

  /** The hash of one value, or the value under `log_raw`. */
  text(value: string): string {
    return this.#key === null ? value : `hmac-sha256:${this.#key.hex(value)}`
  }

  /** JSON text of an answer to a list: as `json`, and what a name's hash was is known the next time. */
  list(value: Json, exempt: ReadonlySet<string>): string {
    if (this.#key === null || !isJsonObject(value) || exempt.size > 0) return this.json(value, exempt)
    const { keys, ...rest } = value as Readonly<Record<string, Json>>
    if (!Array.isArray(keys) || Object.keys(rest).length > 0) return this.json(value, exempt)
    let out = '{"keys":['
    for (let i = 0; i < keys.length; i++) out += (i === 0 ? '' : ',') + this.#name(keys[i] as Json, exempt)
    return `${out}]}`
  }

  #name(value: Json, exempt: ReadonlySet<string>): string {
    if (typeof value !== 'string' || value.length > namedCharactersMax) return this.#render(value, exempt, false)
    let text = this.#names.get(value)
    if (text === undefined) {
      if (this.#names.size >= namesMax) this.#names.clear()
      text = this.#render(value, exempt, false)
      this.#names.set(value, text)
    }
    return text
  }

  /**
   * JSON text of a tree in which every string value is hashed; keys, numbers and times stay.
   * @param exempt innermost map keys whose values stay: the mount's `audit_non_hmac_*_keys`.
   */
  json(value: Json, exempt: ReadonlySet<string>): string {
    if (this.#key === null) return renderJson(value)
    return this.#render(value, exempt, false)
  }

  #render(value: Json, exempt: ReadonlySet<string>, isExempt: boolean): string {
    if (typeof value === 'string') {
      return renderJsonString(isExempt || looksLikeTime(value) ? value : this.text(value))
    }
    if (value instanceof RawJson) return this.#render(parseJson(value.text), exempt, isExempt)
    if (Array.isArray(value)) {
      let out = '['
      for (let i = 0; i < value.length; i++)
        out += (i === 0 ? '' : ',') + this.#render(value[i] as Json, exempt, isExempt)
      return `${out}]`
    }
    if (value instanceof NumberLiteral || !isJsonObject(value)) return renderJson(value)
    let out = '{'
    for (const key of Object.keys(value)) {
      out += `${out.length === 1 ? '' : ','}${renderJsonString(key)}:${this.#render(value[key]!, exempt, exempt.has(key))}`
    }
    return `${out}}`
  }
}

// Times are left readable, as the original does: they are no secrets, and logs are searched by them.
function looksLikeTime(value: string): boolean {
  return value.length >= 20 && value.length <= 40 && value.charCodeAt(4) === 45 && parseRfc3339(value) !== null
}
