import { boolFlag, stringFlag } from '#ground/text/flags.ts'
import { sortedKeys } from '#ground/text/compare.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { isTrue, objectOf, textMapOf, textOf } from '#protocol/members.ts'
import { disableAudit, enableAudit, listAudits } from '#client/calls/sys.ts'
import { attempt } from '../context.ts'
import { sanitizePath, withSlash } from '../paths.ts'
import { table } from '../render/columns.ts'
import { struct } from '../render/documents.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

const enableRow = row({
  name: 'audit enable',
  synopsis: 'Enables an audit device',
  usage: '[options] TYPE [CONFIG K=V...]',
  help: `Enables an audit device. From then on nothing is answered that no enabled device could write down. What a device
needs to know follows its type as key=value, in the forms that "write" takes: "@file" as value is read from a file, "-"
from stdin, and a lone "@file" or "-" is a JSON object.

    $ % audit enable file file_path=/var/log/coffer/audit.log

A second device, with a name of its own:

    $ % audit enable -path=stdout -description="for the log collector" file file_path=stdout`,
  flags: {
    description: stringFlag({ usage: 'What the device is for, for people.' }),
    path: stringFlag({ usage: 'Name of the device, which no other may have. Default: its type.' }),
    local: boolFlag({ usage: 'Keep it out of replication: not copied to other clusters, nor removed by them.' }),
  },
  args: null,
  async run(c) {
    if (c.args.length === 0) {
      const types = "Valid types include 'file', 'socket' and 'syslog'."
      throw new CliError(1, `Error enabling audit device: audit type missing. ${types}`)
    }
    const type = c.arg(0)
    const path = withSlash(c.flags.path === '' ? type : c.flags.path)
    const options = await c.texts(c.args.slice(1))
    const body: JsonObject = { type, description: c.flags.description, options, local: c.flags.local }
    await attempt('Error enabling audit device', enableAudit(c.client, path, body))
    c.ui.output(`Success! Enabled the ${type} audit device at: ${path}`)
  },
})

const disableRow = row({
  name: 'audit disable',
  synopsis: 'Disables an audit device',
  usage: '[options] PATH',
  help: `Disables the audit device of this name (not of this type). What it has written stays. Enabled anew under the
same name it hashes with another salt, so the hashes of its old lines can't be asked for any more.

    $ % audit disable file/`,
  args: 1,
  async run(c) {
    const path = withSlash(sanitizePath(c.arg(0)))
    await attempt('Error disabling audit device', disableAudit(c.client, path))
    c.ui.output(`Success! Disabled audit device (if it was enabled) at: ${path}`)
  },
})

const listRow = row({
  name: 'audit list',
  synopsis: 'Lists enabled audit devices',
  usage: '[options]',
  help: `Lists the enabled audit devices; with -detailed also their options. The exit code is 2 when there is none.

    $ % audit list
    $ % audit list -detailed`,
  output: ['format', 'detailed'],
  async run(c) {
    const devices = await attempt('Error listing audits', listAudits(c.client))
    if (!c.ui.isTable) {
      await c.ui.document(documentOf(devices))
      return 0
    }
    if (Object.keys(devices).length === 0) {
      c.ui.output('No audit devices are enabled.')
      return 2
    }
    c.ui.output(tableOf(devices, c.ui.isDetailed))
    return 0
  },
})

function tableOf(devices: JsonObject, isDetailed: boolean): string {
  const headers = ['Path', 'Type', 'Description', ...(isDetailed ? ['Replication', 'Options'] : [])]
  const rows = sortedKeys(devices).map(path => {
    const device = objectOf(devices, path)
    const cells = [path, textOf(device, 'type'), textOf(device, 'description')]
    if (!isDetailed) return cells
    const options = textMapOf(device, 'options') ?? {}
    // A map, whose order is chance in the original; sorted here.
    const pairs = sortedKeys(options).map(name => `${name}=${options[name]}`)
    return [...cells, isTrue(device, 'local') ? 'local' : 'replicated', pairs.join(' ')]
  })
  return table(headers, rows)
}

// The fields of the Go client's Audit, in its order.
function documentOf(devices: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.keys(devices).map(path => {
      const device = objectOf(devices, path)
      const fields: JsonObject = {
        type: textOf(device, 'type'),
        description: textOf(device, 'description'),
        options: textMapOf(device, 'options'),
        local: isTrue(device, 'local'),
        path: textOf(device, 'path'),
      }
      return [path, struct(fields)]
    }),
  )
}

export const auditRows: readonly Row[] = [enableRow, disableRow, listRow]
