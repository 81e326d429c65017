import type { View } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import type { DatabaseConnection, DatabaseDriver } from './driver.ts'
import { postgresql } from './drivers/postgresql.ts'
import { type Config, configEntries } from './entries.ts'

/** Every database that this engine knows. */
const drivers: readonly DatabaseDriver[] = [postgresql]

export function driverOf(plugin: string): DatabaseDriver {
  const found = drivers.find(({ plugins }) => plugins.includes(plugin))
  if (found !== undefined) return found
  const names = drivers.flatMap(({ plugins }) => plugins)
  throw fault('request.invalid', `plugin_name "${plugin}" is not supported: this server has ${names.join(', ')}`)
}

type Open = { readonly generation: string; readonly connection: Promise<DatabaseConnection> }

/** Connections in use at once; the one used longest ago is closed beyond. */
const openMax = 64

/** The open connections of a mount, by the name of their configuration: made when first used, anew after a change. */
export class Connections {
  readonly #view: View
  readonly #open = new Map<string, Open>()

  constructor(view: View) {
    this.#view = view
  }

  /** @throws Fault when there is no such configuration, Error when it can't be connected to */
  async of(name: string, signal: AbortSignal): Promise<{ connection: DatabaseConnection; config: Config }> {
    const config = await this.#view.get(configEntries.key(name))
    if (config === null) throw fault('backend.failed', `failed to find entry for connection with name: "${name}"`)
    const known = this.#open.get(name)
    if (known !== undefined) this.#open.delete(name)
    if (known?.generation === config.generation) {
      this.#open.set(name, known)
      return { connection: await known.connection, config }
    }
    if (known !== undefined) void close(known)
    const connection = this.#connect(name, config, signal)
    this.#open.set(name, { generation: config.generation, connection })
    this.#trim()
    try {
      return { connection: await connection, config }
    } catch (error) {
      await this.forget(name)
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

  // A rotation that a crash cut short left two passwords: which of them the database has, it says itself.
  async #connect(name: string, config: Config, signal: AbortSignal): Promise<DatabaseConnection> {
    const driver = driverOf(config.pluginName)
    const { details, password, pendingPassword } = config
    const connection = await driver.connect({ details, password })
    if (pendingPassword === null) return connection
    try {
      await connection.verify(signal)
      await this.#settle(name, config, password)
      return connection
    } catch (error) {
      await connection.close()
      if (!driver.isWrongPassword(error)) throw error
    }
    const other = await driver.connect({ details, password: pendingPassword })
    await other.verify(signal)
    await this.#settle(name, config, pendingPassword)
    return other
  }

  async #settle(name: string, { generation }: Config, password: string): Promise<void> {
    await this.#view.update(configEntries.key(name), now =>
      now?.generation === generation
        ? { entry: { ...now, password, pendingPassword: null }, result: undefined }
        : { result: undefined },
    )
  }
}

async function close({ connection }: Open): Promise<void> {
  try {
    await (await connection).close()
  } catch {
    // It never opened, or is broken: nothing is left to close.
  }
}
