import { retry } from '#ground/base/retry.ts'
import type { Parts } from '#backend/engine.ts'
import { namesBelow } from '#backend/listing.ts'
import { fault } from '#protocol/fault.ts'
import { plainCodec, type PlainEntry, plainKey } from '../v1/secret.ts'
import { readConfig } from './config-entry.ts'
import { appended } from './append.ts'
import { newSecret, type SecretEntry, secretKey } from './secret.ts'

/** Until all of them are moved, a list would be short: who asks for one waits so long, ms, and is told then. */
const listWaitMsMax = 20_000
const attemptsMax = 1_000
const waits = { attemptsMax, waitMs: 100, waitMsMax: 30_000 }
/** How often one path may be written anew by requests of version 1 while it is moved. */
const looksMax = 16

const unavailable =
  'Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.'

/**
 * A mount of version 1 that was tuned to version 2. Each secret becomes a version of its path, and then its plain entry is
 * removed: a crash at any instant leaves it in one of both places or in both, and the next start goes on. Meanwhile the
 * mount serves: who asks for a path moves it first.
 * @source openbao builtin/logical/kv/upgrade.go, which refuses every request until all is moved.
 */
export class Upgrade {
  readonly #parts: Parts
  readonly #closing = new AbortController()
  readonly #moved: Promise<void>
  readonly #moving = new Map<string, Promise<void>>()

  /** Is there anything of version 1, or may a request that began under it still write such a thing? */
  static async isNeeded({ view, former }: Parts): Promise<boolean> {
    return former !== undefined || (await view.list(plainCodec, '', { limit: 1 })).keys.length > 0
  }

  /** Begins at once. @param onEnd when all is moved. */
  constructor(parts: Parts, onEnd: () => void) {
    this.#parts = parts
    this.#moved = this.#run(onEnd)
    // Whoever waits is told; without anybody the log has it.
    this.#moved.catch(() => {})
  }

  async #run(onEnd: () => void): Promise<void> {
    const { world, former } = this.#parts
    const signal = AbortSignal.any([this.#closing.signal, world.signal])
    const onRetry = (error: unknown): void =>
      world.log.warn('secrets of version 1 could not be moved; trying again', { error })
    await Promise.race([former, aborted(signal)])
    await retry(world, { ...waits, signal, onRetry }, () => this.#moveAll(signal))
    onEnd()
  }

  async #moveAll(signal: AbortSignal): Promise<void> {
    for await (const path of namesBelow(this.#parts.view, plainCodec, '', '')) {
      signal.throwIfAborted()
      await this.move(path)
    }
  }

  /** Nothing to do for a path without a secret of version 1. */
  move(path: string): Promise<void> {
    const underWay = this.#moving.get(path)
    if (underWay !== undefined) return underWay
    const moving = this.#move(path).finally(() => this.#moving.delete(path))
    this.#moving.set(path, moving)
    return moving
  }

  async #move(path: string): Promise<void> {
    const { view } = this.#parts
    for (let look = 0; look < looksMax; look++) {
      const plain = await view.get(plainKey(path))
      if (plain === null) return
      await this.#append(path, plain.text)
      // Only what was copied goes: it may have been written anew meanwhile.
      const isMoved = await view.update<PlainEntry, boolean>(plainKey(path), now =>
        now === null || now.text === plain.text ? { entry: null, result: true } : { result: false },
      )
      if (isMoved) return
    }
    throw fault('request.invalid', unavailable)
  }

  /** Where it is the current version already, a crash came between the copy and the removal. */
  async #append(path: string, text: string): Promise<void> {
    const { view, world } = this.#parts
    const config = await readConfig(this.#parts)
    await view.update<SecretEntry, void>(secretKey(path), now => {
      if (now?.text === text) return { result: undefined }
      const at = world.clock.now()
      return { ...appended(path, now ?? newSecret(at), text, config, at), result: undefined }
    })
  }

  /** @throws Fault when it takes longer than a request should wait. */
  async ended(signal: AbortSignal): Promise<void> {
    const patience = new AbortController()
    const late = this.#parts.world.clock
      .sleep(listWaitMsMax, AbortSignal.any([patience.signal, signal]))
      .then(() => Promise.reject(fault('request.invalid', unavailable)))
    try {
      await Promise.race([this.#moved, late])
    } finally {
      patience.abort()
      late.catch(() => {})
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#moved.catch(() => {})
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
