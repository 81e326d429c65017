import type { World } from '#ground/base/world.ts'
import type { ApiClient } from '#client/api.ts'
import { followNotices, type OpenNotices, pathsMax } from '#client/notices.ts'

/** A server without notices is polled by the templates' own interval; this only asks it again now and then. */
const pollMs = 600_000

/** Templates learn of their paths one after the other: one connection serves all. */
const gatherMs = 50

// An agent without templates, or of a server without notices, has no use for the library.
const openLate: OpenNotices = async (client, signal) =>
  (await import('#client/notice-socket.ts')).openNoticeSocket(client, signal)

/**
 * Follows the changes of the paths that templates read; the connection is made anew when paths or token change.
 */
export class Pushed {
  readonly #world: World
  readonly #signal: AbortSignal
  readonly #open: OpenNotices
  readonly #onChange: (path: string | null) => void
  readonly #onRefused: () => void
  #client: ApiClient
  #paths = ''
  #isGathering = false
  #current = new AbortController()

  constructor(options: {
    world: World
    client: ApiClient
    signal: AbortSignal
    onChange: (path: string | null) => void
    /** No notices for this token: the server may have none, or the token may be known to nobody any more. */
    onRefused: () => void
    /** How to connect; a test has its own. */
    open?: OpenNotices
  }) {
    this.#world = options.world
    this.#client = options.client
    this.#signal = options.signal
    this.#open = options.open ?? openLate
    this.#onChange = options.onChange
    this.#onRefused = options.onRefused
  }

  watch(paths: ReadonlySet<string>): void {
    const key = [...paths].sort().join('\n')
    if (key === this.#paths) return
    this.#paths = key
    if (this.#isGathering) return
    this.#isGathering = true
    this.#world.clock.after(gatherMs, () => {
      this.#isGathering = false
      this.#restart()
    })
  }

  setClient(client: ApiClient): void {
    this.#client = client
    this.#restart()
  }

  #restart(): void {
    this.#current.abort()
    this.#current = new AbortController()
    if (this.#paths === '' || this.#signal.aborted) return
    const signal = AbortSignal.any([this.#signal, this.#current.signal])
    // Beyond what a server takes, the rest is polled.
    void this.#follow(this.#paths.split('\n').slice(0, pathsMax), signal)
  }

  async #follow(paths: readonly string[], signal: AbortSignal): Promise<void> {
    const { log } = this.#world
    let isPolled = false
    let wasPushed = false
    const notices = followNotices(this.#world, this.#client, {
      paths,
      pollMs,
      signal,
      open: this.#open,
      onMode: (mode, reason) => {
        if (mode === 'polled' && !isPolled) {
          this.#onRefused()
          if (wasPushed) this.#onChange(null)
        }
        wasPushed ||= mode === 'pushed'
        isPolled = mode === 'polled'
        log.debug('changes are followed', { mode, ...(reason instanceof Error && { reason }) })
      },
    })
    for await (const notice of notices) {
      if (notice.kind === 'changed') this.#onChange(notice.path)
      else if (!isPolled) this.#onChange(null)
    }
  }
}
