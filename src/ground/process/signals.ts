/**
 * Calls `handler` for each of the signals until disposed; then they do again what they do by default. A handler must
 * not throw: nobody could catch it.
 */
export function onSignals(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals) => void): Disposable {
  for (const name of names) process.on(name, handler)
  return {
    [Symbol.dispose]() {
      for (const name of names) process.off(name, handler)
    },
  }
}

/** An abort signal for an orderly end. The second signal ends the process at once: the handler is gone by then. */
export function endingSignal(names: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']): Disposable & {
  readonly signal: AbortSignal
} {
  const ending = new AbortController()
  const wired = onSignals(names, name => {
    wired[Symbol.dispose]()
    ending.abort(new Error(`ended by ${name}`))
  })
  return { signal: ending.signal, [Symbol.dispose]: () => wired[Symbol.dispose]() }
}
