import { availableParallelism } from 'node:os'
import type { World } from '#ground/base/world.ts'
import { ComputePool } from '#ground/compute/pool.ts'
import type { Compute } from '#ground/compute/tasks.ts'

/** What engines may ask of this server by name (`needs` of `backend/engine.ts`), in plain sight as `catalog`. */
export type Services = AsyncDisposable & {
  readonly byName: { readonly compute: Compute; readonly environment: Environment }
}

/** Of this process: where a pod's API server is. */
type Environment = Readonly<Record<string, string | undefined>>

/** Nothing of it costs anything until it is used. */
export function openServices({ clock }: Pick<World, 'clock'>, environment: Environment): Services {
  const compute = new ComputePool({
    clock,
    // One core stays with the main thread.
    width: Math.min(4, Math.max(1, availableParallelism() - 1)),
    waitingMax: 256,
    timeoutMs: 10_000,
  })
  return { byName: { compute, environment }, [Symbol.asyncDispose]: () => compute.close() }
}
