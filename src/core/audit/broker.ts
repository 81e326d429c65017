import type { Clock } from '#ground/base/clock.ts'
import type { Log } from '#ground/base/log.ts'
import type { Metrics } from '#ground/base/metrics.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { FileDevice } from './file-device.ts'
import type { AuditHasher } from './hash.ts'
import type { LineWriter, SharedText } from './line.ts'
import type { AuditedReply, AuditFailure, AuditSubject } from './subject.ts'

/** An enabled device: where lines go and how they look there. */
export type OpenDevice = {
  readonly path: string
  readonly sink: FileDevice
  readonly lines: LineWriter
  readonly hasher: AuditHasher
}

/** One request's way through the audit: the text that both lines share is made once per device. */
export type AuditTrail = {
  readonly subject: AuditSubject
  readonly shared: readonly SharedText[]
  readonly devices: readonly OpenDevice[]
}

/** No device took the lines: nothing may be answered, and nothing done. */
export class AuditBlocked extends Error {
  override readonly name = 'AuditBlocked'
}

/** Under Vault's names: ms that a line takes to make, and how many no device took. */
const auditMeters = (metrics: Metrics) => ({
  request: metrics.summary('audit.log_request'),
  response: metrics.summary('audit.log_response'),
  requestFailure: metrics.counter('audit.log_request_failure'),
  responseFailure: metrics.counter('audit.log_response_failure'),
})

/**
 * All enabled devices. Lines are collected and reach the kernel at `flush`; at least one device has to take them, the
 * failures of the others are only logged. Without any device nothing is audited and nothing blocked.
 * @source openbao vault/audit_broker.go
 */
export class AuditBroker {
  readonly #clock: Clock
  readonly #log: Log
  #devices: readonly OpenDevice[] = []
  readonly #meters: ReturnType<typeof auditMeters>
  /** Lines that haven't reached the kernel. */
  #requests = 0
  #responses = 0

  constructor(world: { clock: Clock; log: Log }, metrics: Metrics) {
    this.#clock = world.clock
    this.#log = world.log
    this.#meters = auditMeters(metrics)
  }

  get devices(): readonly OpenDevice[] {
    return this.#devices
  }

  add(device: OpenDevice): void {
    this.#devices = [...this.#devices, device]
  }

  /** Closes and forgets the device; lines collected for it are written first. */
  remove(path: string): void {
    for (const device of this.#devices) if (device.path === path) device.sink.close()
    this.#devices = this.#devices.filter(device => device.path !== path)
  }

  request(subject: AuditSubject, failure: AuditFailure | null): AuditTrail {
    const devices = this.#devices
    if (devices.length === 0) return { subject, shared: [], devices }
    const began = this.#clock.monotonic()
    const time = formatRfc3339Nano(this.#clock.now())
    const shared = devices.map(device => device.lines.shared(subject))
    for (let i = 0; i < devices.length; i++) {
      devices[i]!.sink.append(devices[i]!.lines.request(time, shared[i]!, failure))
    }
    this.#requests++
    this.#meters.request.add(this.#clock.monotonic() - began)
    return { subject, shared, devices }
  }

  response(trail: AuditTrail, reply: AuditedReply | null, failure: AuditFailure | null): void {
    const { subject, shared, devices } = trail
    if (devices.length === 0) return
    const began = this.#clock.monotonic()
    const time = formatRfc3339Nano(this.#clock.now())
    for (let i = 0; i < devices.length; i++) {
      devices[i]!.sink.append(devices[i]!.lines.response(time, shared[i]!, subject, reply, failure))
    }
    this.#responses++
    this.#meters.response.add(this.#clock.monotonic() - began)
  }

  /**
   * Before any answer of the tick, and before anything leaves for the store or the outside.
   * @throws AuditBlocked when no device took the lines.
   */
  flush(): void {
    const requests = this.#requests
    const responses = this.#responses
    if (requests === 0 && responses === 0) return
    this.#requests = 0
    this.#responses = 0
    let taken = 0
    let last: unknown
    for (const device of this.#devices) {
      try {
        device.sink.flush()
        taken++
      } catch (error) {
        last = error
        this.#log.error('audit device failed to write', { device: device.path, error })
      }
    }
    if (taken > 0 || this.#devices.length === 0) return
    if (requests > 0) this.#meters.requestFailure.add(requests)
    if (responses > 0) this.#meters.responseFailure.add(responses)
    throw new AuditBlocked('no audit device took the entry', { cause: last })
  }

  /** SIGHUP. */
  reopen(): void {
    for (const device of this.#devices) {
      try {
        device.sink.reopen()
      } catch (error) {
        this.#log.error('audit file can not be reopened; the old one is written on', { device: device.path, error })
      }
    }
  }

  /** The hash that a value has in the lines of a device; null when there is no such device. */
  hash(path: string, value: string): string | null {
    const wanted = path.endsWith('/') ? path : `${path}/`
    return this.#devices.find(device => device.path === wanted)?.hasher.text(value) ?? null
  }

  close(): void {
    for (const device of this.#devices) device.sink.close()
    this.#devices = []
  }
}
