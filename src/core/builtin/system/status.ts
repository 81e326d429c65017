import { bool, int, optionalInt, stringList, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { decodeBase64 } from '#ground/text/base64.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SealStatus, type SystemRow, type SystemState } from './state.ts'

/** What everybody may ask, sealed or not: health, init, seal and its status, leader. Bare bodies, not audited. */

const open = { access: 'unauthenticated', sealed: 'serve', standby: 'local', namespaces: 'root', audit: false } as const

function sealBody(status: SealStatus, state: SystemState): Json {
  const clusterId = state.clusterId()
  return {
    type: status.type,
    initialized: status.isInitialized,
    sealed: status.isSealed,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
    nonce: status.nonce,
    version: state.version,
    build_date: state.buildDate,
    commit_date: state.buildDate,
    migration: false,
    ...(clusterId !== null && { cluster_name: state.clusterName(), cluster_id: clusterId }),
    recovery_seal: status.isRecoverySeal,
    storage_type: status.storageType,
  }
}

const bare = (body: Json, status = 200): Reply => ({ kind: 'bare', status, body })

const healthFields = {
  standbyok: text({ description: 'A standby answers with the code of the active node.', from: 'query' }),
  perfstandbyok: text({ description: 'As standbyok, for performance standbys.', from: 'query' }),
  activecode: text({ description: 'Status of an active node; 200.', from: 'query' }),
  standbycode: text({ description: 'Status of a standby; 429.', from: 'query' }),
  drsecondarycode: text({ description: 'Taken and not used.', from: 'query' }),
  performancestandbycode: text({ description: 'Taken and not used.', from: 'query' }),
  haunhealthycode: text({ description: 'Taken and not used.', from: 'query' }),
  removedcode: text({ description: 'Taken and not used.', from: 'query' }),
  sealedcode: text({ description: 'Status of a sealed node; 503.', from: 'query' }),
  uninitcode: text({ description: 'Status before initialisation; 501.', from: 'query' }),
} as const

function statusCode(value: string, fallback: number): number {
  if (value === '') return fallback
  const code = Number(value)
  if (!/^\d{3}$/.test(value) || code < 200 || code > 599)
    throw fault('request.unreadable', 'a status code has three digits')
  return code
}

/** @source openbao http/sys_health.go: uninitialised, then sealed, then the state in the cluster */
async function health(call: Call<Input<typeof healthFields>>, state: SystemState): Promise<Reply> {
  const { input } = call
  for (const flag of [input.standbyok, input.perfstandbyok]) {
    if (!['', '1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(flag)) {
      throw fault('request.unreadable', 'not a boolean')
    }
  }
  const status = await state.seal.status()
  const codes = {
    active: statusCode(input.activecode, 200),
    sealed: statusCode(input.sealedcode, 503),
    uninit: statusCode(input.uninitcode, 501),
    standby: statusCode(input.standbycode, 429),
  }
  const code = !status.isInitialized ? codes.uninit : status.isSealed ? codes.sealed : codes.active
  const clusterId = state.clusterId()
  return bare(
    {
      initialized: status.isInitialized,
      sealed: status.isSealed,
      standby: status.isSealed,
      performance_standby: false,
      replication_performance_mode: status.isSealed ? 'unknown' : 'disabled',
      replication_dr_mode: status.isSealed ? 'unknown' : 'disabled',
      server_time_utc: Math.floor(call.now() / 1000),
      version: state.version,
      enterprise: false,
      ...(clusterId !== null && { cluster_name: state.clusterName(), cluster_id: clusterId }),
      echo_duration_ms: 0,
      clock_skew_ms: 0,
      replication_primary_canary_age_ms: 0,
    },
    code,
  )
}

const initFields = {
  secret_shares: optionalInt({ description: 'Into how many shares the unseal key is split.' }),
  secret_threshold: optionalInt({ description: 'How many of them unseal.' }),
  stored_shares: int({ description: 'Taken and not used.', isDeprecated: true }),
  recovery_shares: optionalInt({ description: 'Shares of the recovery key, for seals that unseal by themselves.' }),
  recovery_threshold: optionalInt({ description: 'How many of them are needed.' }),
  pgp_keys: stringList({ description: 'Not supported.' }),
  recovery_pgp_keys: stringList({ description: 'Not supported.' }),
  root_token_pgp_key: text({ description: 'Not supported.' }),
} as const

const base64Of = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

async function init(call: Call<Input<typeof initFields>>, state: SystemState): Promise<Reply> {
  const { input, sent } = call
  for (const name of ['pgp_keys', 'recovery_pgp_keys', 'root_token_pgp_key'] as const) {
    const value = input[name]
    if (value.length > 0) throw fault('request.invalid', `"${name}" is not supported: leave it out`)
  }
  const result = await state.seal.init({
    secretShares: input.secret_shares ?? 0,
    secretThreshold: input.secret_threshold ?? 0,
    recoveryShares: input.recovery_shares ?? 0,
    recoveryThreshold: input.recovery_threshold ?? 0,
    sent,
  })
  return bare({
    keys: result.keys,
    keys_base64: result.keys.map(base64Of),
    ...(result.recoveryKeys.length > 0 && {
      recovery_keys: result.recoveryKeys,
      recovery_keys_base64: result.recoveryKeys.map(base64Of),
    }),
    root_token: result.rootToken,
  })
}

const unsealFields = {
  key: text({ description: 'One share of the unseal key, hex or base64.', isSecret: true }),
  reset: bool({ description: 'Forget the shares given so far.' }),
  migrate: bool({ description: 'Not supported.' }),
} as const

async function unseal(call: Call<Input<typeof unsealFields>>, state: SystemState): Promise<Reply> {
  const { input } = call
  if (input.migrate) throw fault('request.invalid', "can't perform a seal migration, no migration seal found")
  if (input.reset) return bare(sealBody(await state.seal.resetUnseal(), state))
  if (input.key === '') {
    throw fault('request.invalid', "'key' must be specified in request body as JSON, or 'reset' set to true")
  }
  return bare(sealBody(await state.seal.unseal(input.key), state))
}

export const statusRows: readonly SystemRow[] = [
  row({
    path: 'health',
    fields: healthFields,
    operations: {
      read: { ...open, summary: 'Is this node up, unsealed and active?', handler: health },
      header: { ...open, summary: 'The same, as a status alone.', handler: health },
    },
    help: { synopsis: 'Health by status code.', description: 'Every code can be replaced by a query parameter.' },
  }),
  row({
    path: 'init',
    fields: initFields,
    operations: {
      read: {
        ...open,
        summary: 'Is it initialised?',
        handler: async (_call, state) => bare({ initialized: (await state.seal.status()).isInitialized }),
      },
      update: { ...open, summary: 'Initialise: makes the keys, shown once.', handler: init },
    },
    help: {
      synopsis: 'Initialise a new server.',
      description: 'Only once in its life; the answer holds keys and root token.',
    },
  }),
  row({
    path: 'seal-status',
    fields: {},
    operations: {
      read: {
        ...open,
        summary: 'The state of the seal.',
        handler: async (_call, state) => bare(sealBody(await state.seal.status(), state)),
      },
    },
    help: { synopsis: 'The state of the seal.', description: 'Shares given so far, type, and whether it is sealed.' },
  }),
  row({
    path: 'unseal',
    fields: unsealFields,
    operations: { update: { ...open, summary: 'Give one share of the unseal key.', handler: unseal } },
    help: {
      synopsis: 'Unseal, share by share.',
      description: 'The last share needed unseals; a wrong set starts again.',
    },
  }),
  row({
    path: 'seal',
    fields: {},
    operations: {
      update: {
        access: 'sudo',
        summary: 'Seal: nothing is answered until it is unsealed.',
        async handler(_call, state) {
          await state.seal.seal()
          return empty
        },
      },
    },
    help: { synopsis: 'Seal this node.', description: 'The keys are wiped from memory.' },
  }),
  row({
    path: 'leader',
    fields: {},
    operations: {
      read: {
        ...open,
        summary: 'Who leads?',
        handler: () =>
          bare({
            ha_enabled: false,
            is_self: false,
            active_time: '0001-01-01T00:00:00Z',
            leader_address: '',
            leader_cluster_address: '',
            performance_standby: false,
            performance_standby_last_remote_wal: 0,
          }),
      },
    },
    help: { synopsis: 'Who leads the cluster?', description: 'A single node has no cluster.' },
  }),
]

/** A share as given: hex if that has a legal length, else base64. @throws Fault @source openbao http/sys_seal.go */
export function readShare(text: string): Uint8Array {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text) && text.length >= 32 && text.length <= 66) return Buffer.from(text, 'hex')
  try {
    return decodeBase64(text)
  } catch {
    throw fault('request.invalid', "'key' must be a valid hex or base64 string")
  }
}
