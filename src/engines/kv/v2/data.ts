import type { Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { captured, int, object } from '#ground/fields/kit.ts'
import { canonicalJson, type Json, type JsonObject, RawJson } from '#ground/text/json.ts'
import { mergePatch } from '#ground/text/json-merge.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { appended } from './append.ts'
import { readConfig } from './config-entry.ts'
import { isDeleted, type KvConfig, newSecret, type SecretEntry, secretKey, versionKey } from './secret.ts'
import type { Version } from './version.ts'
import { type KvState, row } from './state.ts'

const fields = {
  path: captured('Location of the secret.'),
  version: int({ description: 'Which version; 0 = the current one.', from: 'query' }),
  data: object({ description: 'The secret: a JSON object.', isSecret: true }),
  options: object({ description: '{"cas": N}: write only if N is the current version; 0 = only if there is none.' }),
}

type DataInput = {
  readonly path: string
  readonly version: number
  readonly data: JsonObject | undefined
  readonly options: JsonObject | undefined
}

type VersionCall = Call<Pick<DataInput, 'path' | 'version'>>

/** The five members that every answer about a version has. */
export function versionInfo(version: Version, entry: SecretEntry): { readonly [key: string]: Json } {
  return {
    created_time: formatRfc3339Nano(version.createdAt),
    custom_metadata: entry.customMetadata,
    deletion_time: version.deletedAt === null ? '' : formatRfc3339Nano(version.deletedAt),
    destroyed: version.isDestroyed,
    version: version.version,
  }
}

// The answer of a current version depends on its entry alone, unless it deletes itself some day.
const currentReplies = new WeakMap<SecretEntry, Reply>()

/** A version, or 404: bare for what never was, with the metadata for what was deleted. */
export function read(call: VersionCall, state: KvState): Maybe<Reply> {
  const entry = state.parts.view.get(secretKey(call.input.path))
  return entry instanceof Promise ? entry.then(one => shown(one, call, state)) : shown(entry, call, state)
}

function shown(entry: SecretEntry | null, call: VersionCall, state: KvState): Maybe<Reply> {
  if (entry === null) return missing
  const asked = call.input.version
  if (asked <= 0 || asked === entry.currentVersion) return current(entry, call.now())
  const version = entry.versions.find(one => one.version === asked)
  if (version === undefined) return missing
  if (isDeleted(version, call.now())) return gone(version, entry)
  const text = state.parts.view.get(versionKey(call.input.path, asked))
  return text instanceof Promise ? text.then(one => value(version, entry, one)) : value(version, entry, text)
}

function current(entry: SecretEntry, now: Instant): Reply {
  const kept = currentReplies.get(entry)
  if (kept !== undefined) return kept
  const version = entry.versions.at(-1)
  if (version === undefined || version.version !== entry.currentVersion) return missing
  if (isDeleted(version, now)) return gone(version, entry)
  const reply = value(version, entry, entry.text)
  if (version.deletedAt !== null) return reply
  const lasting: Reply = { ...reply, memo: entry }
  currentReplies.set(entry, lasting)
  return lasting
}

const value = (version: Version, entry: SecretEntry, text: string | null): Reply =>
  text === null ? missing : { kind: 'data', data: { data: new RawJson(text), metadata: versionInfo(version, entry) } }

/** 404, with the metadata: clients tell it from a secret that never was. */
const gone = (version: Version, entry: SecretEntry): Reply => ({
  kind: 'data',
  status: 404,
  data: { data: null, metadata: versionInfo(version, entry) },
})

function readCas(options: JsonObject | undefined): number | null {
  const cas = options !== undefined && Object.hasOwn(options, 'cas') ? options['cas'] : undefined
  if (cas === undefined) return null
  // What Go's weak decoding makes a whole number: null and "" are 0, true is 1, text is read with its base.
  if (cas === null || cas === '') return 0
  const text = typeof cas === 'boolean' ? String(Number(cas)) : typeof cas === 'object' ? '' : String(cas)
  const number = /^[+-]?(?:0x[\da-f]+|0b[01]+|0o?[0-7]*|[1-9]\d*)$/i.test(text) ? goInteger(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw fault('request.invalid', 'error parsing check-and-set parameter')
  return number
}

function goInteger(text: string): number {
  const digits = text.replace(/^[+-]/, '').replace(/^0o?(?=[0-7])/i, '0o')
  return text.startsWith('-') ? -Number(digits) : Number(digits)
}

function checkCas(options: JsonObject | undefined, entry: SecretEntry | null, config: KvConfig): void {
  const cas = readCas(options)
  if (cas === null) {
    if (config.casRequired || entry?.casRequired) {
      throw fault('request.invalid', 'check-and-set parameter required for this call')
    }
    return
  }
  if (cas !== (entry?.currentVersion ?? 0)) {
    throw fault('request.invalid', 'check-and-set parameter did not match the current version')
  }
}

function write(call: Call<DataInput>, state: KvState): Promise<Reply> | Reply {
  const { data, path } = call.input
  if (path === '') throw fault('request.invalid', 'missing path')
  if (data === undefined) throw fault('request.invalid', 'no data provided')
  const config = readConfig(state.parts)
  if (config instanceof Promise) return config.then(one => store(call, state, path, canonicalJson(data), one))
  return store(call, state, path, canonicalJson(data), config)
}

async function store(
  call: Call<DataInput>,
  state: KvState,
  path: string,
  text: string,
  config: KvConfig,
): Promise<Reply> {
  const entry = await state.parts.view.update(secretKey(path), now => {
    checkCas(call.input.options, now, config)
    const next = appended(path, now ?? newSecret(call.now()), text, config, call.now())
    return { ...next, result: next.entry }
  })
  changed(state, 'kv-v2/data-write', `data/${path}`, entry)
  return { kind: 'data', data: versionInfo(entry.versions.at(-1)!, entry) }
}

async function patch(call: Call<DataInput>, state: KvState): Promise<Reply> {
  const { data, path, options } = call.input
  if (data === undefined) throw fault('request.invalid', 'no data provided')
  const config = await readConfig(state.parts)
  const result = await state.parts.view.update<SecretEntry, Reply | SecretEntry>(secretKey(path), now => {
    if (!now) return { result: missing }
    checkCas(options, now, config)
    const version = now.versions.at(-1)
    if (version === undefined) return { result: missing }
    if (isDeleted(version, call.now()) || now.text === null) {
      return { result: { kind: 'data', status: 404, data: versionInfo(version, now) } }
    }
    const merged = canonicalJson(mergePatch(parseJson(now.text), data))
    const next = appended(path, now, merged, config, call.now())
    return { ...next, result: next.entry }
  })
  if ('kind' in result) return result
  changed(state, 'kv-v2/data-patch', `data/${path}`, result)
  return { kind: 'data', data: versionInfo(result.versions.at(-1)!, result) }
}

/** Soft: undelete brings it back. Of a secret that isn't there, nothing. */
async function removeCurrent(call: Call<DataInput>, state: KvState): Promise<Reply> {
  const { path } = call.input
  const entry = await state.parts.view.update<SecretEntry, SecretEntry | null>(secretKey(path), now => {
    const last = now?.versions.at(-1)
    if (!now || last === undefined || isDeleted(last, call.now())) return { result: null }
    const versions = [...now.versions.slice(0, -1), { ...last, deletedAt: call.now() }]
    const next = { ...now, versions, updatedAt: call.now() }
    return { entry: next, result: next }
  })
  if (entry !== null) changed(state, 'kv-v2/data-delete', `data/${path}`, entry)
  return empty
}

/** Tells readers; after the commit. */
export function changed(
  state: KvState,
  type: string,
  path: string,
  entry: Pick<SecretEntry, 'currentVersion' | 'versions'>,
): void {
  const secret = path.slice(path.indexOf('/') + 1)
  state.parts.emit({
    type,
    path,
    dataPath: `data/${secret}`,
    operation: type.slice(type.indexOf('/') + 1),
    modified: true,
    version: entry.currentVersion,
    oldestVersion: entry.versions[0]?.version ?? 0,
  })
}

export const rootWarning = 'Non-listing operations on the root of a K/V v2 mount are not supported.'
const onRoot = (): Reply => ({ kind: 'data', status: 404, data: null, warnings: [rootWarning] })

export const dataRows = [
  row({
    path: 'data/*path',
    fields,
    exists: (call, state) => {
      const entry = state.parts.view.get(secretKey(call.input.path))
      return entry instanceof Promise ? entry.then(one => one !== null) : entry !== null
    },
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a version of a secret.',
        handler: (call, state) => (call.input.path === '' ? onRoot() : read(call, state)),
      },
      update: { access: 'policy', summary: 'Write a new version of a secret.', handler: write },
      patch: { access: 'policy', summary: 'Merge into the current version, as a new one.', handler: patch },
      delete: { access: 'policy', summary: 'Delete the current version; it can be undeleted.', handler: removeCurrent },
    },
    help: {
      synopsis: 'Write, patch, read and delete the values of a secret.',
      description: 'Each write makes a version. A delete can be taken back, until the version is destroyed.',
    },
  }),
]
