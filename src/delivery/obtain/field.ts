import { nearestWord } from '#ground/text/nearest.ts'
import { isJsonObject, type Json, renderJson } from '#ground/text/json.ts'
import type { Fetched } from './fetch.ts'

/** A secret without the field that was asked for: the text names what is there, never a value. */
export class FieldMissing extends Error {
  override readonly name = 'FieldMissing'
}

/** One value of a secret as text: a text as it is, anything else as JSON. @throws FieldMissing */
export function fieldText({ envelope, fullPath, version }: Fetched, field: string): string {
  const data = isJsonObject(envelope.data ?? undefined) ? (envelope.data as { readonly [key: string]: Json }) : {}
  const inner = version === null ? data : data['data']
  const secret = isJsonObject(inner) ? inner : {}
  if (!Object.hasOwn(secret, field)) {
    const names = Object.keys(secret)
    const near = nearestWord(field, names)
    const there =
      near === null ? (names.length === 0 ? 'it is empty' : `it has ${names.join(', ')}`) : `did you mean "${near}"?`
    throw new FieldMissing(`${fullPath} has no field "${field}": ${there}`)
  }
  const value = secret[field]!
  return typeof value === 'string' ? value : renderJson(value)
}
