import type { KubeClient, ListOptions } from './client.ts'
import { metadataAccept } from './client.ts'
import { Deadline } from './deadline.ts'
import { errorOfStatus, KubeError, type KubeStatus } from './errors.ts'
import type { KubeObject } from './objects.ts'
import { pathOfTarget, queryText, type Target } from './target.ts'

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing changed up to here. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export type WatchOptions = Pick<ListOptions, 'labelSelector' | 'fieldSelector' | 'isMetadataOnly'> & {
  /** Where a list or an earlier watch stood. */
  readonly resourceVersion: string
  /** The server ends the watch after this; default 240 to 300, so that clients don't come back together. */
  readonly timeoutSeconds?: number
  /** Ends the watch when nothing came for so long, ms; default 130,000: bookmarks come each minute. */
  readonly idleMsMax?: number
  readonly signal: AbortSignal
}

/** An object has at most 1.5 MiB in etcd, and a line holds one. */
const lineBytesMax = 16 * 1024 * 1024

/**
 * The changes since `resourceVersion`, over one connection. Ends without an error when the server has ended it or
 * nothing came for `idleMsMax` (a connection that died without a word looks so); the caller watches again from the
 * last version it saw.
 * @throws KubeError 410 when the version is too old: list again. Code 0 when the connection broke.
 */
export async function* watch<T extends KubeObject = KubeObject>(
  client: KubeClient,
  target: Target,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { clock, entropy } = client.world
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion: options.resourceVersion,
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    timeoutSeconds: options.timeoutSeconds ?? 240 + entropy.below(61),
  }
  const path = pathOfTarget(target)
  const idleMs = options.idleMsMax ?? 130_000
  const idle = new Deadline(clock, idleMs, [options.signal])
  try {
    const bytes = await client.caller.stream({
      method: 'GET',
      path: path + queryText(query),
      ...(options.isMetadataOnly ? { accept: metadataAccept } : {}),
      signal: idle.signal,
    })
    for await (const line of linesOf(bytes, `GET ${path}`)) {
      idle.extend(idleMs)
      yield eventOf<T>(line, `GET ${path}`)
    }
  } catch (error) {
    if (!idle.isOver) throw error
  } finally {
    idle[Symbol.dispose]()
  }
}

function eventOf<T extends KubeObject>(line: string, operation: string): WatchEvent<T> {
  const event = JSON.parse(line) as { type: string; object: T & KubeStatus }
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object: event.object }
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: event.object.metadata?.resourceVersion ?? '' }
    case 'ERROR':
      throw errorOfStatus(operation, event.object)
    default: {
      const message = `the watch sent an event of unknown type ${JSON.stringify(event.type)}`
      throw new KubeError({ code: 0, reason: 'Unknown', message, operation })
    }
  }
}

/** Whole lines, without their line feed; empty ones are left out. A rest without line feed is dropped: it is cut off. */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  operation: string,
  limit: number = lineBytesMax,
): AsyncGenerator<string> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end))
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      length = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    if (length > limit) {
      const message = `a watch event is larger than ${limit} bytes`
      throw new KubeError({ code: 0, reason: 'TooLarge', message, operation })
    }
  }
}
