import type { Maybe } from '#ground/base/brand.ts'
import { BodyError, type HttpHandler, type HttpRequest, type HttpResponse } from '#ground/http/message.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { KubeObject } from './objects.ts'

export type GroupVersionKind = { readonly group?: string; readonly version?: string; readonly kind?: string }
export type GroupVersionResource = { readonly group?: string; readonly version?: string; readonly resource?: string }

/** `request` of an AdmissionReview. Nothing in it is sure but what the API server always sends. */
export type AdmissionRequest<T extends KubeObject = KubeObject> = {
  readonly uid?: string
  readonly kind?: GroupVersionKind
  readonly resource?: GroupVersionResource
  readonly subResource?: string
  /** Empty for an object that gets its name from `generateName`. */
  readonly name?: string
  readonly namespace?: string
  readonly operation?: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  readonly userInfo?: { readonly username?: string; readonly uid?: string; readonly groups?: readonly string[] }
  readonly object?: T | null
  readonly oldObject?: T | null
  readonly dryRun?: boolean
}

/** A review as received; apiVersion and kind go back as they came. */
export type AdmissionReview<T extends KubeObject = KubeObject> = {
  readonly apiVersion: string
  readonly kind: string
  readonly request: AdmissionRequest<T>
}

/** RFC 6902, in the order in which it is to be applied. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string }

export type AdmissionAnswer = {
  /** Shown by kubectl as `Warning: …`; short lines, no line feeds. */
  readonly warnings?: readonly string[]
  readonly auditAnnotations?: Readonly<Record<string, string>>
} & (
  | { readonly isAllowed: true; readonly patch?: readonly PatchOperation[] }
  /** `code` and `reason` are left out unless given, as vault-k8s does; the API server then says 400. */
  | { readonly isAllowed: false; readonly message: string; readonly code?: number; readonly reason?: string }
)

/** Why a body is no review: the HTTP status and text to answer with. */
export class AdmissionError extends Error {
  override readonly name = 'AdmissionError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** An object may have 3 MiB on its way in, and an update carries two. */
export const reviewBytesMax = 8 * 1024 * 1024
/** Go's JSON reader stops there. */
const depthMax = 10_000

/**
 * Reads an AdmissionReview of v1 or v1beta1. Any apiVersion and kind is taken; absent ones are v1's.
 * @throws AdmissionError 400 for an empty body, 500 for one that can't be read
 * @source vault-k8s agent-inject/handler.go
 */
export function parseAdmissionReview<T extends KubeObject = KubeObject>(body: Uint8Array): AdmissionReview<T> {
  if (body.length === 0) throw new AdmissionError(400, 'Empty request body')
  const refuse = (why: string): AdmissionError => new AdmissionError(500, `error decoding admission request: ${why}`)
  let value: unknown
  try {
    // The decoder takes a byte order mark away.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    if (isDeeper(text, depthMax)) throw refuse('exceeded max depth')
    value = JSON.parse(text)
  } catch (error) {
    throw error instanceof AdmissionError ? error : refuse((error as Error).message)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('not an AdmissionReview')
  const { apiVersion, kind, request } = value as Record<string, unknown>
  if (typeof request !== 'object' || request === null || Array.isArray(request)) throw refuse('request is missing')
  return {
    apiVersion: typeof apiVersion === 'string' && apiVersion !== '' ? apiVersion : 'admission.k8s.io/v1',
    kind: typeof kind === 'string' && kind !== '' ? kind : 'AdmissionReview',
    request: request as AdmissionRequest<T>,
  }
}

/** The AdmissionReview that answers `review`. A patch without operations is left out. */
export function answerReview(review: AdmissionReview, answer: AdmissionAnswer): string {
  const response: Record<string, unknown> = { uid: review.request.uid ?? '', allowed: answer.isAllowed }
  if (answer.isAllowed) {
    if (answer.patch && answer.patch.length > 0) {
      response['patch'] = Buffer.from(JSON.stringify(answer.patch)).toString('base64')
      response['patchType'] = 'JSONPatch'
    }
  } else {
    response['status'] = { message: answer.message, code: answer.code, reason: answer.reason }
  }
  if (answer.warnings && answer.warnings.length > 0) response['warnings'] = answer.warnings.map(oneLine)
  if (answer.auditAnnotations) response['auditAnnotations'] = answer.auditAnnotations
  return JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response })
}

export type AdmissionRoutes = Readonly<
  Record<string, (review: AdmissionReview, signal: AbortSignal) => Maybe<AdmissionAnswer>>
>

/**
 * Serves reviews: the key of `routes` is the path, whatever the query (the API server adds `?timeout=5s`). A request
 * that is no review is answered in plain text, and so is one whose route throws: 500, and the webhook's failurePolicy
 * decides.
 * @param onError told of what a route threw
 * @returns null for another path: it is somebody else's
 */
export function admissionHandler(
  routes: AdmissionRoutes,
  onError: (error: unknown) => void,
): (request: HttpRequest) => Promise<HttpResponse> | null {
  return request => {
    const route = Object.hasOwn(routes, request.path) ? routes[request.path] : undefined
    return route ? serve(request, route, onError) : null
  }
}

/** Tries each part in order; what none takes is 404. */
export function firstOf(...parts: readonly ((request: HttpRequest) => ReturnType<HttpHandler> | null)[]): HttpHandler {
  return request => {
    for (const part of parts) {
      const answer = part(request)
      if (answer !== null) return answer
    }
    return plain(404, '404 page not found')
  }
}

async function serve(
  request: HttpRequest,
  route: AdmissionRoutes[string],
  onError: (error: unknown) => void,
): Promise<HttpResponse> {
  try {
    const contentType = request.headers.get('content-type') ?? ''
    if (contentType !== 'application/json') {
      throw new AdmissionError(400, `Invalid content-type: ${goQuote(contentType)}`)
    }
    const review = parseAdmissionReview(await request.body.bytes(reviewBytesMax))
    const body = answerReview(review, await route(review, request.signal))
    return { status: 200, headers: [['Content-Type', 'application/json']], body }
  } catch (error) {
    if (error instanceof AdmissionError) return plain(error.status, error.message)
    if (error instanceof BodyError) return plain(error.code === 'too-large' ? 413 : 400, error.message)
    onError(error)
    return plain(500, 'internal error')
  }
}

function plain(status: number, text: string): HttpResponse {
  return { status, headers: [['Content-Type', 'text/plain; charset=utf-8']], body: `${text}\n` }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ')
}

// JSON.parse has no bound of its own, and whoever walks the value later would run out of stack.
function isDeeper(text: string, limit: number): boolean {
  let depth = 0
  let isInString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (isInString) {
      if (code === 0x5c) i++
      else if (code === 0x22) isInString = false
    } else if (code === 0x22) isInString = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > limit) return true
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return false
}
