import { boolFlag, durationFlag, intFlag, stringListFlag, stringMapFlag } from '#ground/text/flags.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import { objectOf } from '#protocol/members.ts'
import { patch, read, remove, write } from '#client/calls/logical.ts'
import { attempt, type Context } from '../context.ts'
import { type Row, row } from '../row.ts'
import { attemptWrite, showEnvelope, showWritten } from '../show.ts'
import { CliError } from '../ui.ts'
import { showPath, showSection } from './kv-data.ts'
import { kvV2Target, mountFlag } from './kv-target.ts'

const title = 'Common Options'
const refusal = 'Metadata not supported on KV Version 1'

const getRow = row({
  name: 'kv metadata get',
  synopsis: 'Retrieves key metadata from the KV store',
  usage: '[options] KEY',
  help: `Prints what is kept about a secret and each of its versions, but not their data.

    $ % kv metadata get -mount=secret app/config`,
  output: ['field', 'format'],
  title,
  flags: { mount: mountFlag },
  args: 1,
  async run(c) {
    const path = (await kvV2Target(c, c.arg(0), refusal)).path('metadata')
    const envelope = await attempt(`Error reading ${path}`, read(c.client, path))
    if (envelope === null) throw new CliError(2, `No value found at ${path}`)
    if (c.field !== '' || envelope.wrapInfo || !c.ui.isTable) return showEnvelope(c, envelope)
    const versions = objectOf(envelope.data, 'versions')
    if (versions === null) throw new CliError(2, `No value found at ${path}`)
    const rest = Object.fromEntries(Object.entries(envelope.data ?? {}).filter(([key]) => key !== 'versions'))
    showPath(c, path, 'Metadata Path')
    c.ui.warnings(envelope)
    showSection(c, 'Metadata', rest)
    for (const number of Object.keys(versions).sort((a, b) => Number(a) - Number(b))) {
      c.ui.output('')
      showSection(c, `Version ${number}`, objectOf(versions, number) ?? {})
    }
  },
})

const settings = {
  'max-versions': intFlag({ usage: "Versions to keep. Default: what the engine's configuration says.", default: -1 }),
  'cas-required': boolFlag({ usage: 'Refuse every write that names no version (-cas).' }),
  'delete-version-after': durationFlag({ usage: 'How long a version lives, such as "3h25m19s".', default: -1 }),
  'custom-metadata': stringMapFlag({ usage: 'Your own key=value about the secret; may be given several times.' }),
  mount: mountFlag,
}

type Settings = Context<typeof settings>

function settingsBody(c: Settings): { [key: string]: Json } {
  const { 'max-versions': maxVersions, 'delete-version-after': after } = c.flags
  return {
    ...(maxVersions >= 0 && { max_versions: maxVersions }),
    ...(after >= 0 && { delete_version_after: formatGoDuration(after) }),
    ...(c.given.has('cas-required') && { cas_required: c.flags['cas-required'] }),
  }
}

const putRow = row({
  name: 'kv metadata put',
  synopsis: 'Sets or updates key settings in the KV store',
  usage: '[options] KEY',
  help: `Sets what is kept about a secret; a secret without data is made if there is none. Custom metadata is replaced
whole (see "kv metadata patch").

    $ % kv metadata put -mount=secret -max-versions=5 -delete-version-after=720h app/config
    $ % kv metadata put -mount=secret -custom-metadata=owner=team-a app/config`,
  output: ['format'],
  title,
  flags: settings,
  args: 1,
  async run(c) {
    const path = (await kvV2Target(c, c.arg(0), refusal)).path('metadata')
    const custom = Object.fromEntries(c.flags['custom-metadata'])
    const body = { ...settingsBody(c), ...(Object.keys(custom).length > 0 && { custom_metadata: custom }) }
    await showWritten(c, await attemptWrite(c, `Error writing data to ${path}`, write(c.client, path, body)), path)
  },
})

const patchRow = row({
  name: 'kv metadata patch',
  synopsis: 'Patches key settings in the KV store',
  usage: '[options] KEY',
  help: `Changes some of what is kept about a secret and keeps the rest.

    $ % kv metadata patch -mount=secret -custom-metadata=owner=team-b app/config
    $ % kv metadata patch -mount=secret -remove-custom-metadata=owner app/config`,
  output: ['format'],
  title,
  flags: {
    ...settings,
    'remove-custom-metadata': stringListFlag({ usage: 'Key to remove; may be given several times.' }),
  },
  args: 1,
  async run(c) {
    const path = (await kvV2Target(c, c.arg(0), refusal)).path('metadata')
    const removed = c.flags['remove-custom-metadata'].map(key => [key, null] as const)
    const custom: JsonObject = { ...Object.fromEntries(c.flags['custom-metadata']), ...Object.fromEntries(removed) }
    const body = { ...settingsBody(c), custom_metadata: custom }
    await showWritten(c, await attemptWrite(c, `Error writing data to ${path}`, patch(c.client, path, body)), path)
  },
})

const deleteRow = row({
  name: 'kv metadata delete',
  synopsis: 'Deletes all versions and metadata for a key in the KV store',
  usage: '[options] PATH',
  help: `Removes a secret with all versions and everything kept about it, for good.

    $ % kv metadata delete -mount=secret app/config`,
  title,
  flags: { mount: mountFlag },
  args: 1,
  async run(c) {
    const path = (await kvV2Target(c, c.arg(0), refusal)).path('metadata')
    await attemptWrite(c, `Error deleting ${path}`, remove(c.client, path))
    c.ui.output(`Success! Data deleted (if it existed) at: ${path}`)
  },
})

export const kvMetadataRows: readonly Row[] = [getRow, putRow, patchRow, deleteRow]
