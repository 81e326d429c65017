import type { Clock } from '#ground/base/clock.ts'
import type { ApiClient } from '../api.ts'
import type { CallOptions } from './logical.ts'
import { type KvMount, preflight } from './kv.ts'

/** After so long a mount is asked about again: it may have been upgraded, or another mounted in its place. */
const keptMs = 600_000
const keptMax = 256

/**
 * Which mount a path lies in, asked once for all paths of the mount. Who is refused or finds nothing by what it was told
 * calls `forget`: the mount may be another by now.
 */
export class KvMounts {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #byPrefix = new Map<string, { readonly mount: KvMount; readonly askedAtMs: number }>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** @throws as `preflight`; failures are not kept. */
  async of(client: ApiClient, path: string, options: CallOptions = {}): Promise<KvMount> {
    const kept = this.#kept(path)
    if (kept !== null) return kept
    const mount = await preflight(client, path, options)
    // A mount whose path begins with namespaces that this path leaves out is asked about each time.
    if (mount.path.endsWith('/') && path.startsWith(mount.path)) this.#keep(mount)
    return mount
  }

  /** The next question about a path of this mount goes to the server. */
  forget(mount: KvMount): void {
    this.#byPrefix.delete(mount.path)
  }

  // Mounts don't lie in one another: at most one prefix fits.
  #kept(path: string): KvMount | null {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const prefix = path.slice(0, slash + 1)
      const kept = this.#byPrefix.get(prefix)
      if (kept === undefined) continue
      if (this.#clock.monotonic() - kept.askedAtMs < keptMs) return kept.mount
      this.#byPrefix.delete(prefix)
    }
    return null
  }

  #keep(mount: KvMount): void {
    if (this.#byPrefix.size >= keptMax) {
      const [oldest] = this.#byPrefix.keys()
      if (oldest !== undefined) this.#byPrefix.delete(oldest)
    }
    this.#byPrefix.set(mount.path, { mount, askedAtMs: this.#clock.monotonic() })
  }
}
