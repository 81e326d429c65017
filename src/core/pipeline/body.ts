import type { Bytes } from '#ground/base/brand.ts'
import type { BodyError } from '#ground/http/message.ts'
import { isJsonObject, type Json, setKey } from '#ground/text/json.ts'
import { JsonError, type JsonLimits, parseJson } from '#ground/text/json-parse.ts'
import { type Fault, fault } from '#protocol/fault.ts'

const nothing: Readonly<Record<string, Json>> = {}
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/**
 * A body as named values. JSON whatever the Content-Type says: curl sends JSON as a form by default. A form only when
 * the header says so and the first byte that isn't blank begins no JSON.
 * @throws Fault @source openbao http/logical.go isForm, http/json.go
 */
export function readValues(
  body: Bytes,
  contentType: string | undefined,
  limits: JsonLimits,
): Readonly<Record<string, Json>> {
  if (body.length === 0) return nothing
  const text = decoder.decode(body)
  if (contentType?.startsWith('application/x-www-form-urlencoded') && !/^\s*[{[]/.test(text.slice(0, 512)))
    return readForm(text)
  let value: Json
  try {
    value = parseJson(text, { limits, isTrailingIgnored: true })
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'syntax' && text.trim() === '') return nothing
    const lead = error.code === 'limit' ? 'refused JSON input due to high complexity' : 'failed to decode JSON input'
    throw fault('request.invalid', `${lead}: ${error.message}`)
  }
  if (value === null) return nothing
  if (!isJsonObject(value))
    throw fault('request.invalid', 'failed to decode JSON input: the body must be a JSON object')
  return value
}

function readForm(text: string): Readonly<Record<string, Json>> {
  const out: Record<string, Json> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const before = Object.hasOwn(out, name) ? out[name] : undefined
    setKey(out, name, typeof before === 'string' ? `${before},${value}` : value)
  }
  return out
}

/** What a body that couldn't be read is answered with; null when the client has gone. */
export function bodyFault(error: BodyError): Fault {
  switch (error.code) {
    case 'too-large':
      return fault('request.too_large', 'http: request body too large')
    case 'timeout':
      return fault('request.invalid', 'the request body did not arrive in time')
    case 'aborted':
      return fault('request.invalid', 'the request body ended early')
    case 'malformed':
      return fault('request.invalid', `the request body is malformed: ${error.message}`)
  }
}
