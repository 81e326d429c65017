import type { Call } from '#backend/call.ts'
import type { SystemState } from './state.ts'

/** WebSocket close codes (RFC 6455 section 7.4.1). */
export const closeCodes = { normal: 1000, away: 1001, policy: 1008, later: 1013 } as const

/** How often a subscriber's token is looked at again, ms. */
const recheckMs = 5_000

/** Looks after the token of an open connection, until the signal. */
export async function watchToken(
  call: Call,
  state: SystemState,
  signal: AbortSignal,
  onEnd: () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await state.world.clock.sleep(recheckMs, signal)
    } catch {
      return
    }
    if (!(await state.isCallerAlive(call))) {
      onEnd()
      return
    }
  }
}
