import type { Maybe } from '#ground/base/brand.ts'
import type { Seconds } from '#ground/base/clock.ts'
import { captured, durationSeconds, object, optionalBool, optionalInt } from '#ground/fields/kit.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import { type Json, type JsonObject, NumberLiteral } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { fault, multiError } from '#protocol/fault.ts'
import { asFolder, listOf, pagingFields, scanOf } from '#backend/listing.ts'
import { changed } from './data.ts'
import {
  type KvConfig,
  newSecret,
  type SecretEntry,
  secretCodec,
  secretKey,
  versionCodec,
  versionsFolder,
} from './secret.ts'
import { readConfig } from './config-entry.ts'
import { type KvState, row } from './state.ts'

const fields = {
  path: captured('Location of the secret, or of a folder.'),
  max_versions: optionalInt({ description: 'Versions kept; 0 = as the mount says.' }),
  cas_required: optionalBool({ description: 'Every write must say which version it replaces.' }),
  delete_version_after: durationSeconds({ description: 'Versions delete themselves after this.' }),
  custom_metadata: object({ description: 'Up to 64 texts of your own; replaced as a whole.' }),
  metadata_cas: optionalInt({
    description: 'Write only if this is the current metadata version; 0 = only if there is none.',
  }),
  metadata_cas_required: optionalBool({ description: 'Every write of metadata must say which one it replaces.' }),
  ...pagingFields,
}

type MetadataInput = {
  readonly path: string
  readonly max_versions: number | undefined
  readonly cas_required: boolean | undefined
  readonly delete_version_after: Seconds
  readonly custom_metadata: JsonObject | undefined
  readonly metadata_cas: number | undefined
  readonly metadata_cas_required: boolean | undefined
  readonly after: string
  readonly limit: number
}
type MetadataCall = Call<MetadataInput>

// By the entry, which every write replaces. The memo is not the entry itself: that stands for the answer of `data/`.
const replies = new WeakMap<SecretEntry, Reply>()

function read(call: MetadataCall, state: KvState): Maybe<Reply> {
  const entry = state.parts.view.get(secretKey(call.input.path))
  return entry instanceof Promise ? entry.then(shown) : shown(entry)
}

function shown(entry: SecretEntry | null): Reply {
  if (entry === null) return missing
  const kept = replies.get(entry)
  if (kept !== undefined) return kept
  const data = metadataInfo(entry)
  const reply: Reply = { kind: 'data', data, memo: data }
  replies.set(entry, reply)
  return reply
}

export function metadataInfo(entry: SecretEntry): JsonObject {
  const versions: Record<string, Json> = {}
  for (const { version, createdAt, deletedAt, isDestroyed } of entry.versions) {
    versions[version] = {
      created_time: formatRfc3339Nano(createdAt),
      deletion_time: deletedAt === null ? '' : formatRfc3339Nano(deletedAt),
      destroyed: isDestroyed,
    }
  }
  return {
    cas_required: entry.casRequired,
    created_time: formatRfc3339Nano(entry.createdAt),
    current_metadata_version: entry.metadataVersion,
    current_version: entry.currentVersion,
    custom_metadata: entry.customMetadata,
    delete_version_after: formatGoDuration(Math.max(0, entry.deleteVersionAfter)),
    max_versions: entry.maxVersions,
    metadata_cas_required: entry.metadataCasRequired,
    oldest_version: entry.versions[0]?.version ?? 0,
    updated_time: formatRfc3339Nano(entry.updatedAt),
    versions,
  }
}

const textMax = 512
const keyMax = 128
const keysMax = 64
// Go's unicode.IsPrint: of the spaces only the plain one.
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u
const refused = 'custom_metadata validation failed'

/** All that is wrong with them, in one text. @source openbao builtin/logical/kv/path_metadata.go validateCustomMetadata */
function checkCustom(entries: readonly (readonly [key: string, value: string])[]): void {
  const problems =
    entries.length > keysMax
      ? [`payload must contain at most ${keysMax} keys, provided ${entries.length}`]
      : entries.flatMap(([key, value]) => entryProblems(key, value))
  if (problems.length === 0) return
  throw fault('request.invalid', multiError(problems.map(problem => `${refused}: ${problem}`)))
}

function entryProblems(key: string, value: string): string[] {
  const problems: string[] = []
  const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)]
  const shown = JSON.stringify(key.slice(0, 2 * keyMax))
  if (keyBytes === 0 || keyBytes > keyMax)
    problems.push(`length of key ${shown} is ${keyBytes} but must be 0 < len(key) <= ${keyMax}`)
  if (valueBytes === 0 || valueBytes > textMax)
    problems.push(`length of value for key ${shown} is ${valueBytes} but must be 0 < len(value) <= ${textMax}`)
  if (!printable.test(key)) problems.push(`key ${shown} contains unprintable characters`)
  if (!printable.test(value)) problems.push(`value for key ${shown} contains unprintable characters`)
  return problems
}

type Changes = Partial<
  Pick<SecretEntry, 'maxVersions' | 'casRequired' | 'deleteVersionAfter' | 'customMetadata' | 'metadataCasRequired'>
>

function sentChanges({ input, sent }: MetadataCall): Changes {
  if (input.max_versions !== undefined && input.max_versions < 0)
    throw fault('request.invalid', 'max_versions cannot be negative')
  return {
    ...(input.max_versions !== undefined && { maxVersions: input.max_versions }),
    ...(input.cas_required !== undefined && { casRequired: input.cas_required }),
    ...(sent.has('delete_version_after') && { deleteVersionAfter: input.delete_version_after }),
    ...(input.metadata_cas_required !== undefined && { metadataCasRequired: input.metadata_cas_required }),
  }
}

/** @source openbao builtin/logical/kv/path_metadata.go */
function checkMetadataCas({ input }: MetadataCall, now: SecretEntry | null, config: KvConfig): void {
  const { metadata_cas: cas } = input
  if (cas === undefined) {
    if (!config.metadataCasRequired && !now?.metadataCasRequired) return
    throw fault('request.invalid', 'metadata check-and-set parameter required for this call')
  }
  if (now === null && cas !== 0) {
    throw fault('request.invalid', 'metadata_cas must be 0 when creating new metadata')
  }
  if (now !== null && cas !== now.metadataVersion) {
    throw fault('request.invalid', 'metadata check-and-set parameter does not match the current version')
  }
}

const rewritten = (now: SecretEntry, changes: Changes, call: MetadataCall): SecretEntry => ({
  ...now,
  ...changes,
  metadataVersion: now.metadataVersion + 1,
  updatedAt: call.now(),
})

/** Without a known field nothing is made. */
async function write(call: MetadataCall, state: KvState): Promise<Reply> {
  const { path, custom_metadata: custom } = call.input
  if (path === '') throw fault('request.invalid', 'missing path')
  const changes: Changes = {
    ...sentChanges(call),
    ...(custom !== undefined && { customMetadata: customTexts(custom) }),
  }
  if (Object.keys(changes).length === 0) return empty
  const config = await readConfig(state.parts)
  const entry = await state.parts.view.update<SecretEntry, SecretEntry>(secretKey(path), now => {
    checkMetadataCas(call, now, config)
    const next = rewritten(now ?? newSecret(call.now()), changes, call)
    return { entry: next, result: next }
  })
  changed(state, 'kv-v2/metadata-write', `metadata/${path}`, entry)
  return withCasWarnings(call, config)
}

function withCasWarnings({ input }: MetadataCall, config: KvConfig): Reply {
  const ignored = [
    ...(input.cas_required === false && config.casRequired ? ['cas_required'] : []),
    ...(input.metadata_cas_required === false && config.metadataCasRequired ? ['metadata_cas_required'] : []),
  ]
  if (ignored.length === 0) return empty
  const warnings = ignored.map(
    name => `"${name}" set to false, but is mandated by backend config. This value will be ignored.`,
  )
  return { kind: 'empty', warnings }
}

const resets: Readonly<Record<string, Changes>> = {
  max_versions: { maxVersions: 0 },
  cas_required: { casRequired: false },
  delete_version_after: { deleteVersionAfter: 0 as Seconds },
  custom_metadata: { customMetadata: null },
  metadata_cas_required: { metadataCasRequired: false },
}

/** A merge: null resets a field, and inside custom_metadata removes a key. */
async function patch(call: MetadataCall, state: KvState): Promise<Reply> {
  const { path, custom_metadata: custom } = call.input
  if (path === '') throw fault('request.invalid', 'missing path')
  let changes = sentChanges(call)
  for (const name of call.nulls) changes = { ...changes, ...resets[name] }
  const config = await readConfig(state.parts)
  const entry = await state.parts.view.update<SecretEntry, SecretEntry | null>(secretKey(path), now => {
    if (!now) return { result: null }
    checkMetadataCas(call, now, config)
    const merged = custom === undefined ? {} : { customMetadata: mergedTexts(now.customMetadata, custom) }
    const next = rewritten(now, { ...changes, ...merged }, call)
    return { entry: next, result: next }
  })
  if (entry === null) return missing
  changed(state, 'kv-v2/metadata-patch', `metadata/${path}`, entry)
  return withCasWarnings(call, config)
}

/** As Go's weak decoding makes texts: null is empty, and so refused; true is 1. */
function customTexts(sent: JsonObject): SecretEntry['customMetadata'] {
  const texts = new Map(Object.entries(sent).map(([key, value]) => [key, textOf(key, value)]))
  return checkedTexts(texts)
}

/** Texts over texts; null takes a key away. */
function mergedTexts(before: SecretEntry['customMetadata'], sent: JsonObject): SecretEntry['customMetadata'] {
  const merged = new Map(Object.entries(before ?? {}))
  for (const [key, value] of Object.entries(sent)) {
    if (value === null) merged.delete(key)
    else merged.set(key, textOf(key, value))
  }
  return checkedTexts(merged)
}

// None is null, never `{}`, and keys stand in order: that is what clients are shown.
function checkedTexts(texts: ReadonlyMap<string, string>): SecretEntry['customMetadata'] {
  checkCustom([...texts])
  const sorted = [...texts].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.length === 0 ? null : Object.fromEntries(sorted)
}

function textOf(key: string, value: Json): string {
  if (value === null) return ''
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (value instanceof NumberLiteral) return value.text
  if (typeof value !== 'object') return String(value)
  throw fault('request.invalid', `${refused}: the value of ${JSON.stringify(key)} is not a string`)
}

/** Every version and the metadata, for good. */
async function remove(call: MetadataCall, state: KvState): Promise<Reply> {
  const { view } = state.parts
  const { path } = call.input
  const entry = await view.update<SecretEntry, SecretEntry | null>(secretKey(path), now =>
    now === null ? { result: null } : { entry: null, result: now },
  )
  if (entry === null) return empty
  await view.purge(versionCodec, versionsFolder(path))
  changed(state, 'kv-v2/metadata-delete', `metadata/${path}`, entry)
  return empty
}

export const metadataRows = [
  row({
    path: 'metadata/*path',
    fields,
    exists: async (call, state) => (await state.parts.view.get(secretKey(call.input.path))) !== null,
    operations: {
      read: { access: 'policy', summary: 'The versions of a secret, without values.', handler: read },
      update: { access: 'policy', summary: 'Set what is kept of a secret beside its values.', handler: write },
      patch: { access: 'policy', summary: 'Merge into that; null resets.', handler: patch },
      delete: { access: 'policy', summary: 'Remove a secret with all its versions, for good.', handler: remove },
      list: {
        access: 'policy',
        summary: 'The secrets and folders below a path.',
        handler: (call, state) => listOf(state.parts.view, secretCodec, asFolder(call.input.path), call),
      },
      scan: {
        access: 'policy',
        summary: 'All secrets below a path, at any depth.',
        handler: (call, state) => scanOf(state.parts.view, secretCodec, asFolder(call.input.path), call),
      },
    },
    help: {
      synopsis: 'Metadata of secrets.',
      description: 'Versions, settings of one secret, texts of your own; listing.',
    },
  }),
  row({
    path: 'metadata',
    fields: pagingFields,
    operations: {
      list: {
        access: 'policy',
        summary: 'The secrets and folders of the mount.',
        handler: (call, state) => listOf(state.parts.view, secretCodec, '', call),
      },
      scan: {
        access: 'policy',
        summary: 'All secrets of the mount.',
        handler: (call, state) => scanOf(state.parts.view, secretCodec, '', call),
      },
    },
    help: { synopsis: 'The secrets and folders of the mount.', description: '' },
  }),
]
