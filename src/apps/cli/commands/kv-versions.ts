import { stringListFlag } from '#ground/text/flags.ts'
import { list, remove, write } from '#client/calls/logical.ts'
import { tuneMount } from '#client/calls/sys.ts'
import { attempt } from '../context.ts'
import { sanitizePath } from '../paths.ts'
import { type Row, row } from '../row.ts'
import { attemptWrite, showEnvelope, showList, showWritten } from '../show.ts'
import { CliError } from '../ui.ts'
import { kvTarget, kvV2Target, mountFlag, versionList } from './kv-target.ts'

const title = 'Common Options'

const versionsFlag = (verb: string) =>
  stringListFlag({ usage: `Numbers of the versions to ${verb}, separated by commas; may be given several times.` })

const deleteRow = row({
  name: 'kv delete',
  synopsis: 'Deletes versions in the KV store',
  usage: '[options] PATH',
  help: `Deletes the current version of a secret, or the versions given. With KV version 2 it can be brought back by
"kv undelete"; "kv metadata delete" removes everything.

    $ % kv delete -mount=secret app/config
    $ % kv delete -mount=secret -versions=1,2 app/config`,
  output: ['field', 'format'],
  title,
  flags: { versions: versionsFlag('delete'), mount: mountFlag },
  args: 1,
  async run(c) {
    const target = await kvTarget(c, c.arg(0))
    const path = target.path('data')
    const versions = versionList(c.flags.versions)
    const work =
      target.version === 2 && versions.length > 0
        ? write(c.client, target.path('delete'), { versions })
        : remove(c.client, path)
    const envelope = await attemptWrite(c, `Error deleting ${path}`, work)
    if (envelope === null) c.ui.success(`Success! Data deleted (if it existed) at: ${path}`)
    else await showEnvelope(c, envelope)
  },
})

function versionRow(verb: 'undelete' | 'destroy', synopsis: string, help: string): Row {
  const noun = verb === 'undelete' ? 'Undelete' : 'Destroy'
  return row({
    name: `kv ${verb}`,
    synopsis,
    usage: '[options] KEY',
    help,
    output: ['format'],
    title,
    flags: { versions: versionsFlag(verb), mount: mountFlag },
    args: 1,
    async run(c) {
      const versions = versionList(c.flags.versions)
      if (versions.length === 0) {
        throw new CliError(1, `No versions provided, use the "-versions" flag to specify the version to ${verb}.`)
      }
      const target = await kvV2Target(c, c.arg(0), `${noun} not supported on KV Version 1`)
      const path = target.path(verb)
      const work = write(c.client, path, { versions })
      await showWritten(c, await attemptWrite(c, `Error writing data to ${path}`, work), path)
    },
  })
}

const undeleteRow = versionRow(
  'undelete',
  'Undeletes versions in the KV store',
  `Brings deleted versions of a secret back.

    $ % kv undelete -mount=secret -versions=3 app/config`,
)

const destroyRow = versionRow(
  'destroy',
  'Permanently removes one or more versions in the KV store',
  `Removes the data of versions for good. Versions that don't exist are passed over.

    $ % kv destroy -mount=secret -versions=3 app/config`,
)

const listRow = row({
  name: 'kv list',
  synopsis: 'List data or secrets',
  usage: '[options] PATH',
  help: `Lists the keys in a folder of a KV engine.

    $ % kv list secret/app/
    $ % kv list -mount=secret`,
  output: ['format'],
  title,
  flags: { mount: mountFlag },
  args: null,
  async run(c) {
    const count = c.args.length
    if (count < 1 && c.flags.mount === '') throw new CliError(1, `Not enough arguments (expected 1, got ${count})`)
    if (count > 1) throw new CliError(1, `Too many arguments (expected 1, got ${count})`)
    const target = await kvTarget(c, c.arg(0))
    const path = target.path('metadata')
    return showList(c, await attempt(`Error listing ${path}`, list(c.client, path)), path)
  },
})

const enableVersioningRow = row({
  name: 'kv enable-versioning',
  synopsis: 'Turns on versioning for a KV store',
  usage: '[options] PATH',
  help: `Turns the KV version 1 engine at a path into version 2. There is no way back.

    $ % kv enable-versioning secret`,
  args: 1,
  async run(c) {
    const path = sanitizePath(c.arg(0))
    const work = tuneMount(c.client, 'mounts', path, { options: { version: '2' } })
    await attempt(`Error tuning secrets engine ${path}/`, work)
    c.ui.output(`Success! Tuned the secrets engine at: ${path}/`)
  },
})

export const kvVersionRows: readonly Row[] = [deleteRow, undeleteRow, destroyRow, listRow, enableVersioningRow]
