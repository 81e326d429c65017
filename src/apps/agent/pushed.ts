import type { World } from '#ground/base/world.ts'
import type { ApiClient } from '#client/api.ts'
import { openNoticeSocket } from '#client/notice-socket.ts'
import { followNotices, pathsMax } from '#client/notices.ts'

/** A server without notices is polled by the templates' own interval; this only asks it again now and then. */
const pollMs = 600_000

/**
 * Follows the changes of the paths that templates read; the connection is made anew when paths or token change.
 */
export class Pushed {
  readonly #world: World
  readonly #signal: AbortSignal
  readonly #onChange: (path: string | null) => void
  #client: ApiClient
  #paths = ''
  #current = new AbortController()

  constructor(options: {
    world: World
    client: ApiClient
    signal: AbortSignal
    onChange: (path: string | null) => void
  }) {
    this.#world = options.world
    this.#client = options.client
    this.#signal = options.signal
    this.#onChange = options.onChange
  }

  watch(paths: ReadonlySet<string>): void {
    const key = [...paths].sort().join('\n')
    if (key === this.#paths) return
    this.#paths = key
    this.#restart()
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
    const notices = followNotices(this.#world, this.#client, {
      paths,
      pollMs,
      signal,
      open: openNoticeSocket,
      onMode: (mode, reason) => {
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
