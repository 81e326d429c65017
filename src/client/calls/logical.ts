import type { Json, JsonObject } from '#ground/text/json.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { mergePatchType } from '#protocol/headers.ts'
import type { ApiAnswer, ApiClient } from '../api.ts'
import { ApiError } from '../api-error.ts'
import type { Query } from '../path.ts'

export type CallOptions = { readonly signal?: AbortSignal; readonly wrapTtlSeconds?: number }

/**
 * Reads any path. @returns null when there is nothing (404); the data or warnings that a 404 carries otherwise.
 */
export function read(
  client: ApiClient,
  path: string,
  query: Query = {},
  options: CallOptions = {},
): Promise<Envelope | null> {
  return orNothing(client.request({ method: 'GET', path, query, ...options }))
}

/** The keys below a path, or null; sent as `GET ?list=true`. */
export function list(
  client: ApiClient,
  path: string,
  query: Query = {},
  options: CallOptions = {},
): Promise<Envelope | null> {
  return orNothing(client.request({ method: 'GET', path, query: { ...query, list: true }, ...options }))
}

/** Writes (PUT, as the Go client does). @returns null for 204. */
export async function write(
  client: ApiClient,
  path: string,
  body: JsonObject,
  options: CallOptions = {},
): Promise<Envelope | null> {
  return (await client.request({ method: 'PUT', path, body, ...options })).envelope
}

/** JSON merge patch: null removes a key. */
export async function patch(
  client: ApiClient,
  path: string,
  body: JsonObject,
  options: CallOptions = {},
): Promise<Envelope | null> {
  const headers = { 'Content-Type': mergePatchType }
  return (await client.request({ method: 'PATCH', path, body, headers, ...options })).envelope
}

export async function remove(
  client: ApiClient,
  path: string,
  query: Query = {},
  options: CallOptions = {},
): Promise<Envelope | null> {
  return (await client.request({ method: 'DELETE', path, query, ...options })).envelope
}

async function orNothing(work: Promise<ApiAnswer>): Promise<Envelope | null> {
  try {
    return (await work).envelope
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return error.envelope
    throw error
  }
}

/** A list's keys; empty when there are none. */
export function keysOf(envelope: Envelope | null): string[] {
  const keys: Json | undefined = envelope?.data?.['keys']
  return Array.isArray(keys) ? keys.filter(key => typeof key === 'string') : []
}
