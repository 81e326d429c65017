import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { accessorEntries, accessorKey } from './entries.ts'
import { expire } from './secret-ids.ts'
import { type ApproleState, row } from './state.ts'

const pageSize = 500

/** All secret ids whose end has come. Each has an alarm that removes it by itself: this finds what one missed. */
async function tidy(state: ApproleState): Promise<void> {
  const { log } = state.parts.world
  let removed = 0
  try {
    for await (const folder of names(state, '')) {
      const uid = folder.replace(/\/$/, '')
      for await (const accessor of names(state, folder)) {
        const hmac = (await state.parts.view.get(accessorKey({ uid }, accessor)))?.hmac
        if (hmac !== undefined && (await expire(state, { uid }, hmac))) removed++
      }
    }
    log.info('secret ids are tidied', { removed })
  } catch (error) {
    if (!state.closing.signal.aborted) log.error('secret ids could not be tidied', { removed, error })
  } finally {
    state.tidying = null
  }
}

async function* names({ parts: { view }, closing }: ApproleState, folder: string): AsyncGenerator<string> {
  let last: string | undefined
  for (;;) {
    closing.signal.throwIfAborted()
    const page = await view.list(accessorEntries, folder, {
      ...(last !== undefined && { after: last }),
      limit: pageSize,
    })
    yield* page.keys
    if (!page.more) return
    last = page.keys.at(-1)!
  }
}

function start(_call: Call, state: ApproleState): Reply {
  const isRunning = state.tidying !== null
  state.tidying ??= tidy(state)
  const said = isRunning
    ? 'Tidy operation already in progress.'
    : "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."
  return { kind: 'data', status: 202, data: null, warnings: [said] }
}

export const tidyRow = row({
  path: 'tidy/secret-id',
  fields: {},
  operations: {
    update: { access: 'policy', summary: 'Remove secret ids whose end has come, in the background.', handler: start },
  },
  help: { synopsis: 'Remove secret ids that are over.', description: 'They are of no use any more without that, too.' },
})
