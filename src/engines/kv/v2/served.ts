import type { Maybe } from '#ground/base/brand.ts'
import type { Call } from '#backend/call.ts'
import type { Action, Row, RowOperation } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import type { KvState } from './state.ts'
import type { Upgrade } from './upgrade.ts'

type Handler = Action<KvState>['handler']

/** What a request needs of the upgrade before it is handled. */
function ready(upgrade: Upgrade, call: Call): Promise<void> {
  const { path } = call.input as { readonly path?: string }
  const isOne = path !== undefined && path !== '' && call.operation !== 'list' && call.operation !== 'scan'
  return isOne ? upgrade.move(path) : upgrade.ended(call.signal)
}

/** The row, for mounts that are being upgraded, too. */
export function served(row: Row<KvState>): Row<KvState> {
  const operations: { [O in RowOperation]?: Action<KvState> } = {}
  for (const [name, action] of Object.entries(row.operations) as [RowOperation, Action<KvState>][]) {
    const handler: Handler = (call, state): Maybe<Reply> =>
      state.upgrade === null
        ? action.handler(call, state)
        : ready(state.upgrade, call).then(() => action.handler(call, state))
    operations[name] = { ...action, handler }
  }
  return {
    ...row,
    operations,
    ...(row.exists !== undefined && {
      exists: (call: Call<never>, state: KvState): Maybe<boolean> =>
        state.upgrade === null
          ? row.exists!(call, state)
          : ready(state.upgrade, call).then(() => row.exists!(call, state)),
    }),
  }
}
