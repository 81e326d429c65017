import { text } from '#ground/fields/kit.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow } from './state.ts'

/** Nothing was counted in the time asked for; a read of nothing would be 404. @source vault vault/logical_system_activity.go */
const nothingCounted: Reply = { kind: 'raw', status: 204, contentType: 'application/json', body: '' }

const help = {
  synopsis: 'How many clients there were.',
  description: 'This server counts no clients: it has no licence to meter. Answers say so in the form of the original.',
}

const activityRow = (path: string): SystemRow =>
  row({
    path,
    fields: {
      start_time: text({ description: 'Taken and not used.', from: 'query' }),
      end_time: text({ description: 'Taken and not used.', from: 'query' }),
    },
    operations: {
      read: {
        access: 'policy',
        namespaces: 'root',
        summary: 'How many clients there were.',
        handler: () => nothingCounted,
      },
    },
    help,
  })

/** `sys/internal/counters` of entities and clients. @source server-core 2.15 */
export const clientRows: readonly SystemRow[] = [
  row({
    path: 'internal/counters/entities',
    fields: {},
    operations: {
      read: {
        access: 'policy',
        namespaces: 'root',
        summary: 'How many entities there are.',
        async handler(_call, state) {
          const total = await state.house().identity.entities.count()
          return { kind: 'data', data: { counters: { entities: { total } } } }
        },
      },
    },
    help: { synopsis: 'How many entities there are.', description: '' },
  }),
  row({
    path: 'internal/counters/requests',
    fields: {},
    operations: {
      read: {
        access: 'policy',
        namespaces: 'root',
        summary: 'Counts no more.',
        handler: () => {
          throw fault('route.unknown', 'The functionality has been removed on this path')
        },
      },
    },
    help: { synopsis: 'Counts no more.', description: 'The original gave it up, too.' },
  }),
  activityRow('internal/counters/activity'),
  activityRow('internal/counters/activity/monthly'),
  row({
    path: 'internal/counters/config',
    fields: {
      enabled: text({ description: 'Not to be changed.' }),
      retention_months: text({ description: 'Not to be changed.' }),
    },
    operations: {
      read: {
        access: 'policy',
        namespaces: 'root',
        summary: 'Whether clients are counted.',
        handler: () => ({
          kind: 'data',
          data: {
            enabled: 'default-disabled',
            retention_months: 48,
            default_report_months: 12,
            queries_available: false,
            reporting_enabled: false,
            billing_start_timestamp: null,
            minimum_retention_months: 0,
          },
        }),
      },
      update: {
        access: 'policy',
        namespaces: 'root',
        summary: 'Refused: clients are not counted.',
        handler: () => {
          throw fault('request.invalid', 'this server counts no clients, and can not be told to')
        },
      },
    },
    help,
  }),
]
