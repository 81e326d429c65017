import type { Clock } from '#ground/base/clock.ts'

/**
 * Asks an engine, which has `ms` for it: one that doesn't heed the signal is waited for no longer than one that does.
 * @throws what the engine throws, the signal's reason, and an error that names the time.
 */
export async function asked<R>(
  clock: Pick<Clock, 'after'>,
  signal: AbortSignal,
  ms: number,
  ask: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  signal.throwIfAborted()
  const late = new AbortController()
  using _timer = clock.after(ms, () => late.abort(new Error(`no answer within ${ms / 1000} s`)))
  const within = AbortSignal.any([signal, late.signal])
  const ended = new Promise<never>((_, reject) => {
    within.addEventListener('abort', () => reject(within.reason), { once: true })
  })
  return await Promise.race([ask(within), ended])
}
