import { anything, bool } from '#ground/fields/kit.ts'
import type { Engine } from '#backend/engine.ts'
import { auditRows } from './audit.ts'
import { capabilityRows } from './capabilities.ts'
import { clientRows } from './clients.ts'
import { counterRows } from './counters.ts'
import { eventRows } from './events.ts'
import { forecastRow } from './forecast.ts'
import { leaseRows } from './leases.ts'
import { lockedUserRows } from './locked-users.ts'
import { metricsRow } from './metrics.ts'
import { mountRows } from './mounts.ts'
import { noticeRows } from './notices.ts'
import { passwordPolicyRows } from './password-policies.ts'
import { policyRows } from './policies.ts'
import { quotaRows } from './quotas.ts'
import { remountRows } from './remount.ts'
import { snapshotRows } from './snapshot.ts'
import { row, type SystemState } from './state.ts'
import { statusRows } from './status.ts'
import { wrappingRows } from './wrapping.ts'
import { builtinVersion } from '#protocol/version.ts'

const openApiRow = row({
  path: 'internal/specs/openapi',
  fields: {
    generic_mount_paths: bool({ description: 'Write mounts as parameters of the paths.' }),
    context: anything({ description: 'Taken and not used.' }),
  },
  operations: {
    read: {
      access: 'optional',
      summary: 'The OpenAPI document of this server.',
      handler: (call, state) => ({
        kind: 'bare',
        status: 200,
        body: state.openApi(call, call.input.generic_mount_paths),
        audited: null,
      }),
    },
    update: {
      access: 'optional',
      summary: 'The OpenAPI document of this server.',
      handler: (call, state) => ({
        kind: 'bare',
        status: 200,
        body: state.openApi(call, call.input.generic_mount_paths),
        audited: null,
      }),
    },
  },
  help: { synopsis: 'The OpenAPI document of this server.', description: 'Made from the tables of all mounts.' },
})

/** Everything below `sys/`. */
export function systemEngine(state: SystemState): Engine<SystemState> {
  return {
    type: 'system',
    kind: 'secret',
    version: builtinVersion,
    description: 'system endpoints used for control, policy and debugging',
    codecs: [],
    rows: [
      ...statusRows,
      ...policyRows,
      ...passwordPolicyRows,
      ...leaseRows,
      forecastRow,
      ...quotaRows,
      ...lockedUserRows,
      ...capabilityRows,
      ...clientRows,
      ...counterRows,
      ...auditRows,
      ...noticeRows,
      ...wrappingRows,
      ...eventRows,
      ...snapshotRows,
      openApiRow,
      ...remountRows,
      metricsRow,
      ...mountRows,
    ],
    open: () => state,
  }
}
