import { AuditBlocked } from '#core/audit/broker.ts'
import { KeyProblem } from '#core/storage/view.ts'
import { Fault, fault } from '#protocol/fault.ts'
import { StoreError } from '#stores/store.ts'
import { BodyError } from '#ground/http/message.ts'
import { bodyFault } from './body.ts'

const noRoom = "the disk of the server's storage is full: nothing was written. Make room; no restart is needed"

/**
 * What a request is answered when something was thrown. What isn't the client's doing goes into the log.
 * @param options `isGone`: the client left before its answer; then nothing is broken.
 */
export function problemOf(
  error: unknown,
  { isGone, log }: { readonly isGone: boolean; readonly log: (message: string, about: object) => void },
): Fault {
  if (error instanceof Fault) {
    if (error.cause !== undefined) log('a request failed', { error, stack: stackOf(error) })
    return error
  }
  if (error instanceof BodyError) return bodyFault(error)
  if (error instanceof KeyProblem) return fault('request.invalid', error.message)
  if (error instanceof AuditBlocked) return fault('internal', 'internal error')
  // The store told it in the log, once.
  if (error instanceof StoreError && error.code === 'full') return fault('storage.full', noRoom)
  if (isGone) return fault('internal', 'the client went away')
  log('a request met an error of ours', { error, stack: stackOf(error) })
  return fault('internal', 'internal error')
}

const stackOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error.cause instanceof Error ? error.cause.stack : error.stack) : undefined
