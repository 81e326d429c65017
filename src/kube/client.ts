import type { World } from '#ground/base/world.ts'
import { Caller, type CallerOptions, type RawCall } from './caller.ts'
import type { KubeConfig } from './config.ts'
import { isNotFound } from './errors.ts'
import type { KubeList, KubeObject, ListMeta } from './objects.ts'
import { apiVersionOf, pathOfTarget, type Query, queryText, type Target } from './target.ts'

export type CallOptions = {
  readonly signal?: AbortSignal
  /** For the whole call with its repetitions, ms; default 30,000. */
  readonly deadlineMs?: number
}

export type WriteOptions = CallOptions & {
  readonly isDryRun?: boolean
  /** Who owns the fields that are written; default `coffer`. */
  readonly fieldManager?: string
  /** What happens to a field that the server doesn't know; default `Warn`, the server's own. */
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict'
}

export type ListOptions = CallOptions & {
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Objects in a page; default 500. */
  readonly limit?: number
  readonly continueToken?: string
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
  /** Only apiVersion, kind and metadata of each object come over the wire. */
  readonly isMetadataOnly?: boolean
}

export type DeleteOptions = CallOptions & {
  readonly isDryRun?: boolean
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground'
  readonly gracePeriodSeconds?: number
  /** Refused with 409 when the object is another by now. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

export type Patch =
  /** RFC 7396; the only form besides `apply` that custom resources take for whole members. */
  | { readonly type: 'merge'; readonly body: unknown }
  /** RFC 6902. */
  | { readonly type: 'json'; readonly body: readonly unknown[] }
  /** Merge by list keys; built-in kinds only. */
  | { readonly type: 'strategic'; readonly body: unknown }

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const

export const pageLimit = 500
const metadataAs = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`
export const metadataListAccept = metadataAs('PartialObjectMetadataList')
export const metadataAccept = metadataAs('PartialObjectMetadata')

/**
 * Calls to one API server. Every method throws KubeError (see there), KubeConfigError when there is no credential to
 * call with, or the reason of an aborted signal. 429 and, where it does no harm, 5xx and lost connections are
 * repeated until the deadline, five tries at most.
 */
export class KubeClient {
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
  }

  get config(): KubeConfig {
    return this.#caller.config
  }

  get world(): World {
    return this.#caller.world
  }

  /** For what isn't a resource (`/version`, `/readyz`) and for the parts of this room. */
  get caller(): Caller {
    return this.#caller
  }

  get<T extends KubeObject = KubeObject>(target: Target, options: CallOptions = {}): Promise<T> {
    return this.#json({ method: 'GET', path: pathOfTarget(target), ...call(options) })
  }

  /** As `get`; null when there is no such object. */
  async find<T extends KubeObject = KubeObject>(target: Target, options: CallOptions = {}): Promise<T | null> {
    try {
      return await this.get<T>(target, options)
    } catch (error) {
      if (isNotFound(error)) return null
      throw error
    }
  }

  /** One page; `metadata.continue` of the answer asks for the next. */
  list<T extends KubeObject = KubeObject>(target: Target, options: ListOptions = {}): Promise<KubeList<T>> {
    const query: Query = {
      limit: options.limit ?? pageLimit,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      continue: options.continueToken,
      // A page token carries its own version; sending both is refused.
      resourceVersion: options.continueToken === undefined ? options.resourceVersion : undefined,
      resourceVersionMatch: options.continueToken === undefined ? options.resourceVersionMatch : undefined,
    }
    const accept = options.isMetadataOnly ? { accept: metadataListAccept } : {}
    return this.#json({ method: 'GET', path: pathOfTarget(target) + queryText(query), ...accept, ...call(options) })
  }

  /**
   * All objects, page by page, all of one moment.
   * @returns the list's metadata; its `resourceVersion` is where a watch goes on
   * @throws KubeError 410 when it took so long that the server forgot the moment
   */
  async *pages<T extends KubeObject = KubeObject>(
    target: Target,
    options: ListOptions = {},
  ): AsyncGenerator<readonly T[], ListMeta> {
    let continueToken = options.continueToken
    for (;;) {
      const page = await this.list<T>(target, { ...options, ...(continueToken ? { continueToken } : {}) })
      yield page.items ?? []
      continueToken = page.metadata.continue
      if (!continueToken) return page.metadata
    }
  }

  create<T extends KubeObject>(target: Target, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write('POST', target, JSON.stringify(withType(target, object)), options)
  }

  /** The object's `metadata.resourceVersion`, if it has one, must be the current one, else 409. */
  replace<T extends KubeObject>(target: Target, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write('PUT', target, JSON.stringify(withType(target, object)), options)
  }

  patch<T extends KubeObject = KubeObject>(target: Target, patch: Patch, options: WriteOptions = {}): Promise<T> {
    return this.#write('PATCH', target, JSON.stringify(patch.body), options, { contentType: patchTypes[patch.type] })
  }

  /**
   * Server-side apply: makes or changes the object so that the given fields are ours.
   * @param options `isForced` takes fields from other managers; else a field that another owns gives 409.
   */
  apply<T extends KubeObject>(
    target: Target,
    object: T,
    options: WriteOptions & { readonly isForced?: boolean } = {},
  ): Promise<T> {
    return this.#write('PATCH', target, JSON.stringify(withType(target, object)), options, {
      // JSON is YAML.
      contentType: 'application/apply-patch+yaml',
      force: options.isForced ?? false,
      isRepeatable: true,
    })
  }

  /** @returns the object as it was last, or with finalizers as it is now, or a Status. */
  async delete(target: Target, options: DeleteOptions = {}): Promise<KubeObject> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagationPolicy,
      gracePeriodSeconds: options.gracePeriodSeconds,
      preconditions: options.preconditions,
      ...(options.isDryRun ? { dryRun: ['All'] } : {}),
    }
    return this.#json({ method: 'DELETE', path: pathOfTarget(target), body: JSON.stringify(body), ...call(options) })
  }

  /** A POST that asks something and leaves nothing behind (reviews, tokens): it may be repeated. */
  ask<T>(target: Target, object: object, options: CallOptions & Pick<RawCall, 'bearer'> = {}): Promise<T> {
    const bearer = options.bearer ? { bearer: options.bearer } : {}
    const body = JSON.stringify(object)
    return this.#json({
      method: 'POST',
      path: pathOfTarget(target),
      body,
      isRepeatable: true,
      ...bearer,
      ...call(options),
    })
  }

  /** An answer that is JSON but no resource. @param path with its query. */
  read<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#json({ method: 'GET', path, ...call(options) })
  }

  /** Ends running calls and watches and closes the connections. */
  close(): void {
    this.#caller.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #write<T>(
    method: 'POST' | 'PUT' | 'PATCH',
    target: Target,
    body: string,
    options: WriteOptions,
    extra: { contentType?: string; force?: boolean; isRepeatable?: boolean } = {},
  ): Promise<T> {
    const query: Query = {
      fieldManager: options.fieldManager ?? 'coffer',
      dryRun: options.isDryRun ? 'All' : undefined,
      fieldValidation: options.fieldValidation,
      force: extra.force,
    }
    return this.#json({
      method,
      path: pathOfTarget(target) + queryText(query),
      body,
      ...(extra.contentType ? { contentType: extra.contentType } : {}),
      ...(extra.isRepeatable ? { isRepeatable: true } : {}),
      ...call(options),
    })
  }

  async #json<T>(raw: RawCall): Promise<T> {
    const text = await this.#caller.text(raw)
    return (text === '' ? {} : JSON.parse(text)) as T
  }
}

export function createKubeClient(options: CallerOptions): KubeClient {
  return new KubeClient(new Caller(options))
}

function call(options: CallOptions): Pick<RawCall, 'signal' | 'deadlineMs'> {
  return {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
  }
}

// Objects that came out of a list have neither apiVersion nor kind; the first is known from the target.
function withType<T extends KubeObject>(target: Target, object: T): T {
  return object.apiVersion === undefined && target.subresource === undefined
    ? { apiVersion: apiVersionOf(target), ...object }
    : object
}
