import { isAbsolute, normalize, relative } from 'node:path'
import type { World } from '#ground/base/world.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import { parseGoBool } from '#ground/fields/kit.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Codec } from '#backend/storage.ts'
import type { Keeper } from '#core/storage/keeper.ts'
import { fault } from '#protocol/fault.ts'
import type { AuditBroker, OpenDevice } from './broker.ts'
import { FileDevice } from './file-device.ts'
import { AuditHasher } from './hash.ts'
import { LineWriter } from './line.ts'

/** A device as it is kept. */
export type DeviceEntry = {
  /** Ending in `/`. */
  readonly path: string
  readonly type: string
  readonly description: string
  readonly options: Readonly<Record<string, string>>
  readonly local: boolean
  /** Under this its values are hashed; made once, so that old lines stay searchable. */
  readonly salt: string
}

const deviceCodec: Codec<DeviceEntry> = { prefix: 'audit/', encode: jsonBytes.encode, decode: jsonBytes.decode }
const devicesMax = 32
const knownOptions = new Set([
  'file_path',
  'path',
  'mode',
  'format',
  'hmac_accessor',
  'log_raw',
  'elide_list_responses',
  'prefix',
  'skip_test',
  'rotate_bytes',
  'rotate_max_files',
])

/** The enabled devices: kept, opened at unseal, enabled and disabled by `sys/audit`. */
export class AuditDevices {
  readonly #keeper: Keeper
  readonly #broker: AuditBroker
  readonly #world: World
  readonly #prefix: string
  /** Files may only be below it; null = only `stdout` and `discard` are taken. */
  readonly #directory: string | null
  readonly #entries = new Map<string, DeviceEntry>()

  constructor(parts: { keeper: Keeper; broker: AuditBroker; world: World; prefix: string; directory: string | null }) {
    this.#keeper = parts.keeper
    this.#broker = parts.broker
    this.#world = parts.world
    this.#prefix = parts.prefix
    this.#directory = parts.directory
  }

  /**
   * Opens what is kept. One that can't be opened stays in the list and writes nothing; when none can, nothing may be
   * answered unaudited. @throws the first failure. @source openbao vault/audit.go setupAudits
   */
  async load(): Promise<void> {
    let failure: Error | null = null
    for (const path of await this.#paths('')) {
      const entry = (await this.#keeper.get(this.#key(path), deviceCodec)) as DeviceEntry
      this.#entries.set(entry.path, entry)
      try {
        this.#broker.add(this.#open(entry))
      } catch (error) {
        failure ??= error as Error
        this.#world.log.error('an audit device can not be opened and writes nothing', { path: entry.path, error })
      }
    }
    if (failure !== null && this.#broker.devices.length === 0) throw failure
  }

  // A device `team/file/` lies in a folder of the store.
  async #paths(folder: string): Promise<string[]> {
    const page = await this.#keeper.list(this.#prefix + deviceCodec.prefix + folder, { limit: devicesMax })
    const paths: string[] = []
    for (const name of page.names) {
      if (name.endsWith('/')) paths.push(...(await this.#paths(folder + name)))
      else paths.push(`${folder}${name}/`)
    }
    return paths
  }

  all(): readonly DeviceEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  /** @throws Fault with Vault's texts. @source openbao vault/audit.go enableAudit */
  async enable(asked: Omit<DeviceEntry, 'salt'>): Promise<void> {
    const isTaken = [...this.#entries.keys()].some(path => path.startsWith(asked.path) || asked.path.startsWith(path))
    if (isTaken) throw fault('request.invalid', 'path already in use')
    if (this.#entries.size >= devicesMax)
      throw fault('request.invalid', `more than ${devicesMax} audit devices are not supported`)
    if (asked.type !== 'file') {
      throw fault('request.invalid', `unknown backend type: "${asked.type}"; this server has: file`)
    }
    const entry = { ...asked, salt: this.#world.entropy.uuid() }
    const device = this.#open(entry)
    if (asked.options['skip_test'] !== 'true') this.#probe(device)
    await this.#keeper.commit([{ key: this.#key(entry.path), codec: deviceCodec, entry }])
    this.#broker.add(device)
    this.#entries.set(entry.path, entry)
  }

  /** The log stays. Nothing to do for what isn't there. */
  async disable(path: string): Promise<void> {
    if (!this.#entries.has(path)) return
    await this.#keeper.commit([{ key: this.#key(path), codec: deviceCodec, entry: null }])
    this.#entries.delete(path)
    this.#broker.remove(path)
  }

  /** The hash that a value has in the lines of a device; null when there is no such device. */
  hash(path: string, value: string): string | null {
    return this.#broker.hash(path, value)
  }

  #key(path: string): string {
    return `${this.#prefix}${deviceCodec.prefix}${path.replace(/\/$/, '')}`
  }

  #open(entry: DeviceEntry): OpenDevice {
    const { options } = entry
    for (const name of Object.keys(options)) {
      if (!knownOptions.has(name)) throw fault('request.invalid', `unknown audit option "${name}" for type file`)
    }
    const format = options['format'] ?? 'json'
    if (format !== 'json') throw fault('request.invalid', `unknown format type "${format}": consider switching to json`)
    const hasher = new AuditHasher(flag(options, 'log_raw', false) ? null : entry.salt)
    const lines = new LineWriter(hasher, {
      hmacAccessor: flag(options, 'hmac_accessor', true),
      elideListResponses: flag(options, 'elide_list_responses', false),
      prefix: options['prefix'] ?? '',
    })
    return { path: entry.path, sink: this.#sink(options), lines, hasher }
  }

  #sink(options: Readonly<Record<string, string>>): FileDevice {
    const path = options['file_path'] ?? options['path'] ?? ''
    if (path === '') throw fault('request.invalid', 'file_path is required')
    if (path !== 'stdout' && path !== 'discard') this.#checkPath(path)
    const modeText = options['mode'] ?? '0600'
    if (!/^0?[0-7]{1,4}$/.test(modeText))
      throw fault('request.invalid', `mode "${modeText}" is no octal file mode, like 0600`)
    const mode = Number.parseInt(modeText, 8)
    if (mode & 0o111) throw fault('request.invalid', 'mode with execute bits is refused for an audit file')
    try {
      return new FileDevice({
        path,
        mode,
        rotateBytes: whole(options, 'rotate_bytes'),
        rotateKeep: whole(options, 'rotate_max_files', 5),
      })
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? 'unknown error'
      throw fault('request.invalid', `sanity check failed; unable to open "${path}" for writing: ${why}`)
    }
  }

  // A log that anybody with the right may put anywhere is a way to write files anywhere (CVE-2025-6000).
  #checkPath(path: string): void {
    const directory = this.#directory
    if (directory === null) {
      throw fault('request.invalid', 'audit files are off: set audit_directory in the server configuration')
    }
    const inside = relative(directory, normalize(path))
    if (!isAbsolute(path) || inside === '' || inside.startsWith('..') || isAbsolute(inside)) {
      throw fault('request.invalid', `file_path must be an absolute path below the audit_directory ${directory}`)
    }
  }

  #probe(device: OpenDevice): void {
    const subject = {
      id: this.#world.entropy.uuid(),
      operation: 'update',
      path: 'sys/audit/test',
      namespace: { id: 'root', path: '' },
      remoteAddress: '',
      remotePort: 0,
      data: null,
      mount: null,
      token: null,
      verdict: null,
      wrapTtl: 0,
      headers: null,
      certificateSerial: null,
    }
    try {
      const time = formatRfc3339Nano(this.#world.clock.now())
      device.sink.append(device.lines.request(time, device.lines.shared(subject), null))
      device.sink.flush()
    } catch (error) {
      device.sink.close()
      throw fault('request.invalid', `audit backend failed test message: ${(error as Error).message}`)
    }
  }
}

function flag(options: Readonly<Record<string, string>>, name: string, fallback: boolean): boolean {
  const value = options[name]
  if (value === undefined) return fallback
  const parsed = parseGoBool(value)
  if (parsed === null) throw fault('request.invalid', `audit option "${name}" must be true or false, not "${value}"`)
  return parsed
}

function whole(options: Readonly<Record<string, string>>, name: string, fallback = 0): number {
  const value = options[name]
  if (value === undefined) return fallback
  if (!/^\d{1,12}$/.test(value))
    throw fault('request.invalid', `audit option "${name}" must be a whole number, not "${value}"`)
  return Number(value)
}
