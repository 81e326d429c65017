import type { Json, JsonObject } from '#ground/text/json.ts'
import { isTrue, own, textOf, wholeOf } from '#protocol/members.ts'
import { struct } from './documents.ts'
import { type Row, table } from './columns.ts'

/** `sys/seal-status` with what `sys/leader` adds, in the order of the Go client's fields. */
export function sealDocument(status: JsonObject, leader: JsonObject): JsonObject {
  const always = ['type', 'initialized', 'sealed', 't', 'n', 'progress', 'nonce', 'version', 'build_date', 'migration']
  const out: { [key: string]: Json } = {}
  for (const key of always) if (own(status, key) !== undefined) out[key] = own(status, key) ?? null
  for (const key of [
    'commit_date',
    'cluster_name',
    'cluster_id',
    'recovery_seal',
    'recovery_seal_type',
    'storage_type',
  ]) {
    const value = own(status, key)
    if (value !== undefined && (value !== '' || key === 'storage_type')) out[key] = value
  }
  out['ha_enabled'] = isTrue(leader, 'ha_enabled')
  for (const key of ['is_self', 'active_time', 'leader_address', 'leader_cluster_address']) {
    const value = own(leader, key)
    if (value !== undefined && value !== '' && value !== false && !isNoTime(value)) out[key] = value
  }
  return struct(out)
}

const isNoTime = (value: Json): boolean => typeof value === 'string' && value.startsWith('0001-01-01T')

/** The table of `status` and of `operator unseal`. @source openbao command/format.go OutputSealStatusStruct */
export function sealTable(status: JsonObject, leader: JsonObject): string {
  const isSealed = isTrue(status, 'sealed')
  const isRecovery = isTrue(status, 'recovery_seal')
  const threshold = wholeOf(status, 't')
  const text = (label: string, key: string): Row[] => (textOf(status, key) === '' ? [] : [[label, textOf(status, key)]])
  const hasCluster = textOf(status, 'cluster_name') !== '' && textOf(status, 'cluster_id') !== ''
  return table(
    ['Key', 'Value'],
    [
      ['Seal Type', textOf(status, 'type')],
      ...(isRecovery ? [['Recovery Seal Type', textOf(status, 'recovery_seal_type')]] : []),
      ['Initialized', String(isTrue(status, 'initialized'))],
      ['Sealed', String(isSealed)],
      [`Total ${isRecovery ? 'Recovery ' : ''}Shares`, String(wholeOf(status, 'n'))],
      ['Threshold', String(threshold)],
      ...(isSealed ? [['Unseal Progress', `${wholeOf(status, 'progress')}/${threshold}`]] : []),
      ...(isSealed ? [['Unseal Nonce', textOf(status, 'nonce')]] : []),
      ...(isTrue(status, 'migration') ? [['Seal Migration in Progress', 'true']] : []),
      ...text('Version', 'version'),
      ...text('Build Date', 'build_date'),
      ...text('Storage Type', 'storage_type'),
      ...(hasCluster ? [...text('Cluster Name', 'cluster_name'), ...text('Cluster ID', 'cluster_id')] : []),
      ['HA Enabled', String(isTrue(leader, 'ha_enabled'))],
      ...(isTrue(leader, 'ha_enabled') && !isSealed ? haRows(leader) : []),
    ],
  )
}

function haRows(leader: JsonObject): Row[] {
  const isActive = isTrue(leader, 'is_self')
  const activeTime = textOf(leader, 'active_time')
  const address = textOf(leader, 'leader_address')
  return [
    ['HA Cluster', textOf(leader, 'leader_cluster_address')],
    ['HA Mode', isActive ? 'active' : 'standby'],
    ...(isActive && activeTime !== '' && !isNoTime(activeTime) ? [['Active Since', activeTime]] : []),
    ...(!isActive && address !== '' ? [['Active Node Address', address]] : []),
  ]
}
