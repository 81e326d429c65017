import type { World } from '#ground/base/world.ts'
import type { View } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { type DatabaseConnection, type DatabaseDriver, DatabaseFailure } from './driver.ts'
import { type Config, configEntries } from './entries.ts'

type Open = { readonly generation: string; readonly connection: Promise<DatabaseConnection> }
export type InUse = {
  readonly connection: DatabaseConnection
  readonly config: Config
  readonly driver: DatabaseDriver
}

export type ConnectionsOptions = {
  readonly view: View
  readonly world: Pick<World, 'entropy'>
  readonly driverOf: (plugin: string) => DatabaseDriver
}

/** Connections in use at once; the one used longest ago is closed beyond. */
const openMax = 64

/** The open connections of a mount, by the name of their configuration: made when first used, anew after a change. */
export class Connections {
  readonly #options: ConnectionsOptions
  readonly #open = new Map<string, Open>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /**
   * Does something with a connection. Refused for its password, it is made anew once, since a rotation that was cut short
   * may have been done late.
   * @throws Fault when there is no such configuration, DatabaseFailure
   */
  async use<R>(name: string, signal: AbortSignal, work: (use: InUse) => Promise<R>): Promise<R> {
    const use = await this.#of(name, signal)
    try {
      return await work(use)
    } catch (error) {
      const isRefused = error instanceof DatabaseFailure && error.kind === 'wrong-password'
      if (!isRefused || use.config.pendingPassword === null) throw error
      await this.forget(name)
      return work(await this.#of(name, signal))
    }
  }

  async #of(name: string, signal: AbortSignal): Promise<InUse> {
    const { view, driverOf } = this.#options
    const config = await view.get(configEntries.key(name))
    if (config === null) throw fault('backend.failed', `failed to find entry for connection with name: "${name}"`)
    const driver = driverOf(config.pluginName)
    const known = this.#open.get(name)
    this.#open.delete(name)
    if (known?.generation === config.generation) {
      this.#open.set(name, known)
      return { connection: await known.connection, config, driver }
    }
    if (known !== undefined) void close(known)
    const connection = this.#connect(name, config, signal)
    this.#open.set(name, { generation: config.generation, connection })
    this.#trim()
    try {
      return { connection: await connection, config, driver }
    } catch (error) {
      if (this.#open.get(name)?.connection === connection) this.#open.delete(name)
      throw error
    }
  }

  /** Closes what is open under the name; the next use connects anew. */
  async forget(name: string): Promise<void> {
    const known = this.#open.get(name)
    this.#open.delete(name)
    if (known !== undefined) await close(known)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map(name => this.forget(name)))
  }

  #trim(): void {
    if (this.#open.size <= openMax) return
    const [oldest] = this.#open.keys()
    if (oldest !== undefined) void this.forget(oldest)
  }

  // A rotation that was cut short left two passwords: which of them the database has, it says itself.
  async #connect(name: string, config: Config, signal: AbortSignal): Promise<DatabaseConnection> {
    const { view, world, driverOf } = this.#options
    const driver = driverOf(config.pluginName)
    const { details, password, pendingPassword } = config
    const connection = await driver.connect({ details, password }, world)
    if (pendingPassword === null) return connection
    try {
      await connection.verify(signal)
      return connection
    } catch (error) {
      await connection.close()
      if (!(error instanceof DatabaseFailure) || error.kind !== 'wrong-password') throw error
    }
    const other = await driver.connect({ details, password: pendingPassword }, world)
    try {
      await other.verify(signal)
      // From now on the old one is wrong for good.
      await view.update(configEntries.key(name), now =>
        now?.pendingPassword === pendingPassword && now.generation === config.generation
          ? { entry: { ...now, password: pendingPassword, pendingPassword: null }, result: undefined }
          : { result: undefined },
      )
      return other
    } catch (error) {
      await other.close()
      throw error
    }
  }
}

async function close({ connection }: Open): Promise<void> {
  try {
    await (await connection).close()
  } catch {
    // It never opened, or is broken: nothing is left to close.
  }
}
