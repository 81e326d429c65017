import type { HttpResponse } from '#ground/http/message.ts'
import { isJsonObject, type Json, renderJson, renderJsonString } from '#ground/text/json.ts'
import type { Reply } from '#backend/reply.ts'
import { type Fault, faultTexts } from '#protocol/fault.ts'

type Headers = HttpResponse['headers']

const fixed: Headers = [
  ['Cache-Control', 'no-store'],
  ['Content-Type', 'application/json'],
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
]

/** Every answer: those of the original, and the id under which the reason of a refusal can be asked for. */
export function answerHeaders(id: string, more: Headers = []): Headers {
  if (more.length === 0) return [...fixed, ['X-Coffer-Request-Id', id]]
  // What a handler says of itself stands instead of ours, not beside it.
  const named = new Set(more.map(([name]) => name.toLowerCase()))
  return [...fixed.filter(([name]) => !named.has(name.toLowerCase())), ['X-Coffer-Request-Id', id], ...more]
}

/** The parts of an envelope that vary; JSON text where it is made already. */
export type EnvelopeText = {
  readonly id: string
  readonly leaseId: string
  readonly renewable: boolean
  readonly leaseDuration: number
  /** JSON text. */
  readonly data: string
  readonly warnings: readonly string[]
  /** JSON text. */
  readonly auth: string
  readonly mountType: string
  /** JSON text; absent: null. */
  readonly wrapInfo?: string
  /** Its keys stand beside `data`, too: old hvac and node-vault read them there. */
  readonly topLevel: Json | null
}

/** @source openbao sdk/logical/translate_response.go, hv api-docs: `mount_type` since 1.17 */
export function renderEnvelope(part: EnvelopeText): string {
  const warnings = part.warnings.length === 0 ? 'null' : `[${part.warnings.map(renderJsonString).join(',')}]`
  let out = `{"request_id":"${part.id}","lease_id":${part.leaseId === '' ? '""' : renderJsonString(part.leaseId)}`
  out += `,"renewable":${part.renewable},"lease_duration":${part.leaseDuration},"data":${part.data}`
  out += `,"wrap_info":${part.wrapInfo ?? 'null'},"warnings":${warnings},"auth":${part.auth},"mount_type":"${part.mountType}"`
  if (isJsonObject(part.topLevel ?? undefined)) {
    for (const [key, value] of Object.entries(part.topLevel as Record<string, Json>)) {
      if (!envelopeKeys.has(key)) out += `,${renderJsonString(key)}:${renderJson(value)}`
    }
  }
  return `${out}}\n`
}

const envelopeKeys = new Set([
  'request_id',
  'lease_id',
  'renewable',
  'lease_duration',
  'data',
  'wrap_info',
  'warnings',
  'auth',
  'mount_type',
])

const renderings = new WeakMap<object, string>()

/** The text of a reply's data; kept beside `memo`, which stays the same as long as the data does. */
export function renderData(data: Json | null, memo: object | undefined): string {
  if (data === null) return 'null'
  if (memo === undefined) return renderJson(data)
  const kept = renderings.get(memo)
  if (kept !== undefined) return kept
  const text = renderJson(data)
  renderings.set(memo, text)
  return text
}

/** What a list answers in `data`. */
export function listData(reply: Extract<Reply, { kind: 'list' }>): Json {
  return { keys: reply.keys, ...(reply.keyInfo !== undefined && { key_info: reply.keyInfo }) }
}

/** `{"errors":[…]}`, with `data` where the fault carries some. */
export function faultResponse(id: string, problem: Fault, more: Headers = []): HttpResponse {
  const errors = faultTexts(problem)
  const body = problem.data === undefined ? { errors } : { errors, data: problem.data }
  return { status: problem.status, headers: answerHeaders(id, more), body: `${renderJson(body)}\n` }
}
