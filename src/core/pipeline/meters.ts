import type { Clock } from '#ground/base/clock.ts'
import type { Metrics, Summary } from '#ground/base/metrics.ts'
import type { Mount } from '#core/mounts/mount.ts'
import type { Operation } from '#protocol/verdict.ts'

/** What requests take, in ms, under Vault's names. @source openbao vault/request_handling.go, vault/routing/router.go */
export class PipelineMeters {
  readonly #metrics: Metrics
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #request: Summary
  readonly #login: Summary
  readonly #routes = new WeakMap<Mount, Map<Operation, Summary>>()
  /** Requests that wait for something. */
  inFlight = 0

  constructor(metrics: Metrics, clock: Pick<Clock, 'monotonic'>) {
    this.#metrics = metrics
    this.#clock = clock
    this.#request = metrics.summary('core.handle_request')
    this.#login = metrics.summary('core.handle_login_request')
    metrics.gauge('core.in_flight_requests', () => this.inFlight)
  }

  now(): number {
    return this.#clock.monotonic()
  }

  /** @param handledAt when its engine was asked; 0 = it wasn't */
  done(began: number, handledAt: number, isLogin: boolean, mount: Mount | null, operation: Operation): void {
    const now = this.#clock.monotonic()
    ;(isLogin ? this.#login : this.#request).add(now - began)
    if (handledAt > 0 && mount !== null) this.#route(mount, operation).add(now - handledAt)
  }

  #route(mount: Mount, operation: Operation): Summary {
    let routes = this.#routes.get(mount)
    if (routes === undefined) {
      routes = new Map()
      this.#routes.set(mount, routes)
    }
    let route = routes.get(operation)
    if (route === undefined) {
      route = this.#metrics.summary(`route.${operation}.${mount.path.replaceAll('/', '-')}`)
      routes.set(operation, route)
    }
    return route
  }
}
