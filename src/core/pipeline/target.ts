import type { HttpRequest } from '#ground/http/message.ts'
import { parseGoBool } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import { fault } from '#protocol/fault.ts'
import { headerNames, mergePatchType } from '#protocol/headers.ts'

/** What verbs and query make of a request, before anything is looked up. */
export type TargetOperation = 'read' | 'update' | 'patch' | 'delete' | 'list' | 'scan' | 'help' | 'header'

export type Target = {
  readonly operation: TargetOperation
  /** Logical path without `/v1/`, decoded and normalised once: router, policies and storage see this one form. */
  readonly path: string
  readonly query: Readonly<Record<string, Json>>
}

const operations: Readonly<Record<string, TargetOperation>> = {
  GET: 'read',
  POST: 'update',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
  LIST: 'list',
  SCAN: 'scan',
  HELP: 'help',
  HEAD: 'header',
}

const noQuery: Readonly<Record<string, Json>> = {}
const apiPrefix = '/v1/'

/** Is it a path of the API? Everything else is the UI's or nobody's. */
export const isApiPath = (path: string): boolean => path.startsWith(apiPrefix)

/**
 * @throws Fault for verbs, paths and query values that can't be meant.
 * @source openbao http/logical.go buildLogicalRequest, http/handler.go
 */
export function readTarget(request: HttpRequest): Target {
  const verb = operations[request.method]
  if (verb === undefined) throw fault('verb.unsupported', 'unsupported verb')
  const path = logicalPath(request.path)
  const query = request.query === '' ? noQuery : readQuery(request.query)
  if (request.query !== '' && (verb === 'read' || verb === 'help')) return readWithQuery(verb, path, query)
  if (verb === 'list' || verb === 'scan') return { operation: verb, path: asFolder(path), query }
  if (verb === 'patch') checkPatchType(request)
  if ((verb === 'update' || verb === 'patch') && path.endsWith('/')) {
    throw fault('request.invalid', "cannot write to a path ending in '/'")
  }
  return { operation: verb, path, query }
}

function readWithQuery(verb: 'read' | 'help', path: string, query: Readonly<Record<string, Json>>): Target {
  const { help, list, scan, ...rest } = query
  if (verb === 'help' || (help !== undefined && help !== '')) return { operation: 'help', path, query: rest }
  const isList = list !== undefined && flag(list)
  const isScan = scan !== undefined && flag(scan)
  if (isList && isScan) throw fault('request.unreadable', 'list and scan exclude each other')
  if (isList || isScan) return { operation: isList ? 'list' : 'scan', path: asFolder(path), query: rest }
  return { operation: 'read', path, query: rest }
}

function flag(value: Json): boolean {
  const parsed = typeof value === 'string' ? parseGoBool(value) : null
  if (parsed === null) throw fault('request.unreadable', 'not a boolean')
  return parsed
}

const asFolder = (path: string): string => (path.endsWith('/') ? path : `${path}/`)

function checkPatchType(request: HttpRequest): void {
  const type = request.headers.get(headerNames.contentType)
  if (type === undefined) throw fault('request.invalid', `PATCH requires a Content-Type header of ${mergePatchType}`)
  if (type.split(';')[0]!.trim().toLowerCase() !== mergePatchType) {
    throw fault('request.unsupported_media_type', `PATCH requires Content-Type of ${mergePatchType}, provided ${type}`)
  }
}

/**
 * The one place where a path is decoded. Dot and empty segments are refused, never cleaned: what a policy was asked
 * about must be what the engine gets.
 */
function logicalPath(raw: string): string {
  let path = raw.slice(apiPrefix.length)
  if (path.includes('%')) {
    try {
      path = decodeURIComponent(path)
    } catch {
      throw fault('request.invalid', 'the path has a broken percent-encoding')
    }
  }
  if (/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\ufeff\ufffd]/.test(path)) {
    throw fault('request.invalid', 'the path holds characters that can not be printed')
  }
  if (path.includes('//') || path.startsWith('/') || hasDotSegment(path)) {
    throw fault('request.invalid', 'relative paths not supported')
  }
  return path
}

function hasDotSegment(path: string): boolean {
  return path.includes('.') && /(?:^|\/)\.\.?(?:\/|$)/.test(path)
}

const queryKeysMax = 1_000

function readQuery(query: string): Readonly<Record<string, Json>> {
  const out: Record<string, Json> = Object.create(null)
  let count = 0
  for (const [name, value] of new URLSearchParams(query)) {
    if (++count > queryKeysMax) throw fault('request.invalid', `the query has more than ${queryKeysMax} parameters`)
    const before = out[name]
    if (before === undefined) out[name] = value
    else out[name] = Array.isArray(before) ? [...before, value] : [before, value]
  }
  return out
}
