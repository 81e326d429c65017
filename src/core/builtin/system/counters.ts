import { row, type SystemRow } from './state.ts'

/** How many there are, for those who size a server. @source openbao vault/logical_system.go pathInternalCountersTokens */
export const counterRows: readonly SystemRow[] = [
  row({
    path: 'internal/counters/tokens',
    fields: {},
    operations: {
      read: {
        access: 'policy',
        summary: 'How many service tokens there are.',
        handler: async (_call, state) => ({
          kind: 'data',
          data: { counters: { service_tokens: { total: await state.house().tokenCount.total() } } },
        }),
      },
    },
    help: {
      synopsis: 'How many service tokens there are.',
      description: 'Batch tokens are kept nowhere, and so not counted. The first answer after a start takes a walk.',
    },
  }),
]
