/**
 * States what must be so. A failure is our bug, never the caller's mistake (those are faults, `protocol/fault.ts`).
 * @throws AssertionError always stays on in production.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The end of a switch over a closed set: a new member fails to compile here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}
