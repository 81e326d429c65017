import type { Flags } from '#ground/text/flags.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { ApiError } from '#client/api-error.ts'
import { keysOf } from '#client/calls/logical.ts'
import { own } from '#protocol/members.ts'
import { attempt, type Context } from './context.ts'
import { CliError } from './ui.ts'

/** Prints an answer, or the one field that was asked for. */
export function showEnvelope(c: Context<Flags>, envelope: Envelope): Promise<void> {
  return c.field === '' ? c.ui.envelope(envelope) : c.ui.envelopeField(envelope, c.field)
}

/** Prints what a write answered, or that it succeeded when it answered nothing. */
export async function showWritten(c: Context<Flags>, envelope: Envelope | null, path: string): Promise<void> {
  if (envelope === null) c.ui.success(`Success! Data written to: ${path}`)
  else await showEnvelope(c, envelope)
}

/** As `attempt`, for changes: the data that a 404 carries (a deleted KV version) is shown below the error. */
export async function attemptWrite<T>(c: Context<Flags>, what: string, work: Promise<T>): Promise<T> {
  try {
    return await attempt(what, work)
  } catch (error) {
    const cause = error instanceof CliError ? error.cause : null
    if (!(error instanceof CliError) || !(cause instanceof ApiError) || cause.envelope === null) throw error
    c.ui.error(error.message)
    await c.ui.envelope(cause.envelope)
    throw new CliError(error.exitCode, '', { cause: error })
  }
}

/** Prints a list's keys. @returns the exit code: 2 when there is nothing */
export async function showList(c: Context<Flags>, envelope: Envelope | null, path: string): Promise<number> {
  if (envelope?.wrapInfo) {
    await c.ui.envelope(envelope)
    return 0
  }
  const hasKeys = Array.isArray(own(envelope?.data ?? null, 'keys'))
  if (!c.ui.isTable && !hasKeys) {
    await c.ui.document({})
    return 2
  }
  if (envelope === null) throw new CliError(2, `No value found at ${path}`)
  if (envelope.data === null) {
    await c.ui.envelope(envelope)
    return 0
  }
  if (!hasKeys) throw new CliError(2, `No entries found at ${path}`)
  await c.ui.keys(envelope, keysOf(envelope))
  return 0
}
