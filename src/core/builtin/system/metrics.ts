import { text } from '#ground/fields/kit.ts'
import { row, type SystemRow } from './state.ts'

/** `sys/metrics`. @source server-core 2.17 */
export const metricsRow: SystemRow = row({
  path: 'metrics',
  fields: {
    format: text({
      description: 'prometheus; empty: JSON, unless the Accept header asks for the other.',
      from: 'query',
    }),
  },
  operations: {
    read: {
      access: 'policy',
      standby: 'local',
      namespaces: 'root',
      summary: 'What the server counts.',
      handler: (call, state) => ({ kind: 'raw', ...state.metrics(call.input.format, call.headers.all('accept')) }),
    },
  },
  help: {
    synopsis: 'What the server counts.',
    description: 'In the text format of Prometheus, or that of go-metrics.',
  },
})
