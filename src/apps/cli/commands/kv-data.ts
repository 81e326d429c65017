import { intFlag, stringFlag, stringListFlag } from '#ground/text/flags.ts'
import type { Flags } from '#ground/text/flags.ts'
import { isJsonObject, type Json, type JsonObject } from '#ground/text/json.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { isTrue, objectOf, own, textOf } from '#protocol/members.ts'
import type { ApiClient } from '#client/api.ts'
import { ApiError } from '#client/api-error.ts'
import { patch, read, write } from '#client/calls/logical.ts'
import { attempt, type Context } from '../context.ts'
import { heading, headingOver } from '../render/heading.ts'
import { objectTable } from '../render/secret.ts'
import { type Row, row } from '../row.ts'
import { attemptWrite, showEnvelope } from '../show.ts'
import { CliError } from '../ui.ts'
import { kvTarget, kvV2Target, mountFlag } from './kv-target.ts'

const title = 'Common Options'

function showPath(c: Context<Flags>, path: string, name: string): void {
  c.ui.output(heading(name, Buffer.byteLength(path)))
  c.ui.output(path)
  c.ui.output('')
}

/** A section of `kv get`'s table output. */
export function showSection(c: Context<Flags>, name: string, data: JsonObject): void {
  c.ui.output(headingOver(name, data))
  const text = objectTable(data)
  if (text !== '') c.ui.output(text)
}

export { showPath }

async function showKvField(c: Context<Flags>, envelope: Envelope, isV2: boolean, path: string): Promise<void> {
  if (!isV2) return c.ui.envelopeField(envelope, c.field)
  const data = objectOf(envelope.data, 'data')
  if (data === null) throw new CliError(2, `No data found at ${path}`)
  // `-field=data` means a key of that name, or else all of the data.
  if (c.field === 'data' && !Object.hasOwn(data, 'data')) return c.ui.envelopeField(envelope, 'data')
  return c.ui.field(own(data, c.field), c.field, 'secret')
}

const getRow = row({
  name: 'kv get',
  synopsis: 'Retrieves data from the KV store',
  usage: '[options] KEY',
  help: `Prints a secret of a KV engine; for version 2 its metadata too.

    $ % kv get -mount=secret app/config
    $ % kv get secret/app/config

Print one value, or an older version:

    $ % kv get -field=password secret/app/config
    $ % kv get -mount=secret -version=1 app/config`,
  output: ['field', 'format'],
  title,
  flags: {
    version: intFlag({ usage: 'Version to print, where the engine keeps versions.' }),
    mount: mountFlag,
  },
  args: 1,
  async run(c) {
    const target = await kvTarget(c, c.arg(0))
    const path = target.path('data')
    const isV2 = target.version === 2
    const query = isV2 && c.flags.version > 0 ? { version: c.flags.version } : {}
    const envelope = await attempt(`Error reading ${path}`, read(c.client, path, query))
    if (envelope === null) throw new CliError(2, `No value found at ${path}`)
    if (envelope.wrapInfo) return showEnvelope(c, envelope)
    if (c.field !== '') return showKvField(c, envelope, isV2, path)
    if (!c.ui.isTable) return c.ui.envelope(envelope)
    c.ui.warnings(envelope)
    if (isV2) showPath(c, path, 'Secret Path')
    const metadata = objectOf(envelope.data, 'metadata')
    if (metadata) {
      showSection(c, 'Metadata', metadata)
      c.ui.output('')
    }
    const data = isV2 ? objectOf(envelope.data, 'data') : envelope.data
    if (data) showSection(c, 'Data', data)
  },
})

/** What a version 2 write answers: the metadata of the new version. */
async function showNewVersion(c: Context<Flags>, envelope: Envelope | null, path: string): Promise<void> {
  if (envelope === null) return c.ui.success(`Success! Data written to: ${path}`)
  if (c.field !== '' || envelope.wrapInfo || !c.ui.isTable) return showEnvelope(c, envelope)
  showPath(c, path, 'Secret Path')
  showSection(c, 'Metadata', envelope.data ?? {})
}

const putRow = row({
  name: 'kv put',
  synopsis: 'Sets or updates data in the KV store',
  usage: '[options] KEY [DATA]',
  help: `Writes a secret whole: keys that aren't given are gone afterwards (see "kv patch").

    $ % kv put -mount=secret app/config username=app password=-
    $ % kv put secret/app/config @data.json

Write only if the current version is 3, or (0) if there is none:

    $ % kv put -mount=secret -cas=3 app/config username=app`,
  output: ['field', 'format'],
  title,
  flags: {
    cas: intFlag({
      usage: 'Write only if this is the number of the current version; 0: only if there is none. Default: always.',
      default: -1,
    }),
    mount: mountFlag,
  },
  args: null,
  async run(c) {
    needsData(c, c.args.length === 1)
    const data = await c.data(c.args.slice(1))
    const target = await kvTarget(c, c.arg(0))
    const path = target.path('data')
    const options = c.flags.cas > -1 ? { cas: c.flags.cas } : {}
    const body = target.version === 2 ? { data, options } : data
    const envelope = await attemptWrite(c, `Error writing data to ${path}`, write(c.client, path, body))
    await showNewVersion(c, envelope, path)
  },
})

function needsData(c: Context<Flags>, isMissing: boolean): void {
  if (c.args.length < 1) throw new CliError(1, `Not enough arguments (expected >1, got ${c.args.length})`)
  if (isMissing) throw new CliError(1, 'Must supply data')
}

const patchRow = row({
  name: 'kv patch',
  synopsis: 'Sets or updates data in the KV store without overwriting',
  usage: '[options] KEY [DATA]',
  help: `Changes some keys of a secret and keeps the others. KV version 2 only. Without the "patch" capability the secret is
read, changed and written back, unless -method says otherwise.

    $ % kv patch -mount=secret app/config password=new
    $ % kv patch -mount=secret -remove-data=username app/config`,
  output: ['field', 'format'],
  title,
  flags: {
    cas: intFlag({ usage: 'Patch only if this is the number of the current version. 0: always.' }),
    method: stringFlag({
      usage: 'How: "patch" sends one request, "rw" reads and writes back. Default: the first, then the second.',
      completion: ['patch', 'rw'],
    }),
    mount: mountFlag,
    'remove-data': stringListFlag({ usage: 'Key to remove; may be given several times.' }),
  },
  args: null,
  async run(c) {
    const removed = c.flags['remove-data']
    needsData(c, removed.length === 0 && c.args.length === 1)
    const changes: { [key: string]: Json } = await c.data(c.args.slice(1))
    for (const key of removed) changes[key] = null
    const target = await kvV2Target(c, c.arg(0), 'K/V engine mount must be version 2 for patch support', 2)
    const path = target.path('data')
    const { method, cas } = c.flags
    if (method === 'rw') return showNewVersion(c, await readThenWrite(c, path, changes), path)
    if (method !== 'patch' && method !== '')
      throw new CliError(2, `Unsupported method provided to -method flag: ${method}`)
    const body = { data: changes, options: cas > 0 ? { cas } : {} }
    try {
      await showNewVersion(c, await patch(c.client, path, body), path)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const isRefused = error.status === 403
      if (method === 'patch' || !(isRefused || error.status === 405)) {
        throw new CliError(2, `Error writing data to ${path}: ${error.message}`)
      }
      if (isRefused) {
        c.ui.warn(
          `Data was written to ${path} but we recommend that you add the "patch" capability to your ACL policy in order to use HTTP PATCH in the future.`,
        )
      }
      await showNewVersion(c, await readThenWrite(c, path, changes), path)
    }
  },
})

async function readThenWrite(c: Context<Flags>, path: string, changes: JsonObject): Promise<Envelope | null> {
  const { data, metadata } = await existing(c.probe, path, 'patch')
  const kept = Object.entries({ ...data, ...changes }).filter(([, value]) => value !== null)
  const body = { data: Object.fromEntries(kept), options: { cas: own(metadata, 'version') ?? 0 } }
  return attempt(`Error writing data to ${path}`, write(c.client, path, body))
}

type Version = { readonly data: JsonObject; readonly metadata: JsonObject }

/** A version that has data. @throws CliError 2 that says what is missing */
async function existing(
  client: ApiClient,
  path: string,
  verb: 'patch' | 'rollback',
  version?: number,
): Promise<Version> {
  const query = version === undefined ? {} : { version }
  const envelope = await attempt(`Error doing pre-read at ${path}`, read(client, path, query))
  if (!envelope?.data) throw new CliError(2, `No value found at ${path}`)
  const metadata = own(envelope.data, 'metadata')
  const works = `${verb} only works on existing data`
  if (!metadata) throw new CliError(2, `No metadata found at ${path}; ${works}`)
  if (!isJsonObject(metadata)) throw new CliError(2, `Metadata found at ${path} is not the expected type (JSON object)`)
  if (version !== undefined) {
    if (textOf(metadata, 'deletion_time') !== '')
      throw new CliError(2, 'Cannot roll back to a version that has been deleted')
    if (isTrue(metadata, 'destroyed')) throw new CliError(2, 'Cannot roll back to a version that has been destroyed')
  }
  const data = own(envelope.data, 'data')
  // The current version may be a deleted one; only its number is needed to roll back.
  if (verb === 'rollback' && version === undefined) return { data: {}, metadata }
  if (!data) throw new CliError(2, `No data found at ${path}; ${works}`)
  if (!isJsonObject(data)) throw new CliError(2, `Data found at ${path} is not the expected type (JSON object)`)
  return { data, metadata }
}

const rollbackRow = row({
  name: 'kv rollback',
  synopsis: 'Rolls back to a previous version of data',
  usage: '[options] KEY',
  help: `Writes the data of an older version as a new version. KV version 2 only.

    $ % kv rollback -mount=secret -version=2 app/config`,
  output: ['format'],
  title,
  flags: {
    version: intFlag({ usage: 'Version whose data is made current again.' }),
    mount: mountFlag,
  },
  args: null,
  async run(c) {
    const { version } = c.flags
    if (c.args.length !== 1) throw new CliError(1, `Invalid number of arguments (expected 1, got ${c.args.length})`)
    if (!c.given.has('version')) throw new CliError(1, 'Version flag must be specified')
    if (version <= 0) throw new CliError(1, `Invalid value ${version} for the version flag`)
    const target = await kvV2Target(c, c.arg(0), 'K/V engine mount must be version 2 for rollback support', 2)
    const path = target.path('data')
    const current = await existing(c.probe, path, 'rollback')
    const { data } = await existing(c.probe, path, 'rollback', version)
    const body = { data, options: { cas: own(current.metadata, 'version') ?? 0 } }
    const envelope = await attempt(`Error writing data to ${path}`, write(c.client, path, body))
    if (envelope === null) c.ui.success(`Success! Data written to: ${path}`)
    else await c.ui.envelope(envelope)
  },
})

export const kvDataRows: readonly Row[] = [getRow, putRow, patchRow, rollbackRow]
