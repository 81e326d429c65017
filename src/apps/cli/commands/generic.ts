import { Secret } from '#ground/base/secret.ts'
import { boolFlag, intFlag, stringFlag } from '#ground/text/flags.ts'
import type { Json } from '#ground/text/json.ts'
import { list, read, remove, write } from '#client/calls/logical.ts'
import { unwrap } from '#client/calls/wrapping.ts'
import type { Query } from '#client/path.ts'
import { attempt } from '../context.ts'
import { sanitizePath } from '../paths.ts'
import { type Row, row } from '../row.ts'
import { attemptWrite, showEnvelope, showList, showWritten } from '../show.ts'
import { goValue } from '../render/value.ts'
import { CliError } from '../ui.ts'

const anyNumber = Number.POSITIVE_INFINITY

/** `k=v` arguments as a query: a repeated key is sent several times. */
function queryOf(data: { readonly [key: string]: Json }): Query {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map(v => goValue(v as Json)) : goValue(value),
    ]),
  )
}

const readRow = row({
  name: 'read',
  synopsis: 'Read data and retrieves secrets',
  usage: '[options] PATH [K=V...]',
  help: `Reads what is at a path: secrets, fresh credentials, configuration. Arguments after the path are sent as query.

Read a secret of a KV version 1 engine, and the status of a lease:

    $ % read kv/my-secret
    $ % read -format=json sys/leases/count type=irrevocable`,
  output: ['field', 'format', 'raw'],
  args: [1, anyNumber],
  async run(c) {
    const path = sanitizePath(c.arg(0))
    const query = queryOf(await c.data(c.args.slice(1)))
    if (c.ui.format === 'raw') {
      const answer = await attempt(`Error reading: ${path}`, c.client.request({ method: 'GET', path, query }))
      c.io.stdout(answer.bytes)
      return
    }
    const envelope = await attempt(`Error reading ${path}`, read(c.client, path, query))
    if (envelope === null) throw new CliError(2, `No value found at ${path}`)
    await showEnvelope(c, envelope)
  },
})

const writeRow = row({
  name: 'write',
  synopsis: 'Write data, configuration, and secrets',
  usage: '[options] PATH [DATA K=V...]',
  help: `Writes data to a path. Data is given as key=value; "@file" as value is read from a file, "-" from stdin. A lone
"@file" or "-" is a JSON object. What a write does is up to what is mounted there.

    $ % write auth/kubernetes/role/app bound_service_account_names=app policies=app ttl=20m

Write where no data is needed:

    $ % write -f transit/keys/my-key

Read a value from a file, or all data from stdin:

    $ % write auth/kubernetes/config kubernetes_ca_cert=@ca.pem
    $ echo '{"ttl": "1h"}' | % write auth/approle/role/ci -`,
  output: ['field', 'format'],
  flags: {
    force: boolFlag({ usage: 'Write without any key=value pairs.', aliases: ['f'] }),
  },
  args: [1, anyNumber],
  async run(c) {
    if (c.args.length === 1 && !c.flags.force) throw new CliError(1, 'Must supply data or use -force')
    const path = sanitizePath(c.arg(0))
    const data = await c.data(c.args.slice(1))
    const what = `Error writing data to ${path}`
    await showWritten(c, await attemptWrite(c, what, write(c.client, path, data)), path)
  },
})

const listRow = row({
  name: 'list',
  synopsis: 'List data or secrets',
  usage: '[options] PATH',
  help: `Lists the keys at a path; a key that ends in "/" is a folder.

    $ % list secret/metadata/my-app/

Some lists come in pages:

    $ % list -after=last-serial -limit=50 pki/certs`,
  output: ['format', 'detailed'],
  flags: {
    after: stringFlag({ usage: 'Key to begin after, where the path can list in pages.' }),
    limit: intFlag({ usage: 'How many keys at most, where the path can list in pages.', default: -1 }),
  },
  args: 1,
  async run(c) {
    const path = sanitizePath(c.arg(0))
    const { after, limit } = c.flags
    const query = after === '' && limit <= 0 ? {} : { after, limit }
    return showList(c, await attempt(`Error listing ${path}`, list(c.client, path, query)), path)
  },
})

const deleteRow = row({
  name: 'delete',
  synopsis: 'Delete secrets and configuration',
  usage: '[options] PATH [K=V...]',
  help: `Deletes what is at a path. What that means is up to what is mounted there.

    $ % delete auth/kubernetes/role/app`,
  output: ['field', 'format'],
  args: [1, anyNumber],
  async run(c) {
    const path = sanitizePath(c.arg(0))
    const query = queryOf(await c.data(c.args.slice(1), 'Failed to parse string list data'))
    const envelope = await attemptWrite(c, `Error deleting ${path}`, remove(c.client, path, query))
    if (envelope === null) c.ui.success(`Success! Data deleted (if it existed) at: ${path}`)
    else await showEnvelope(c, envelope)
  },
})

const unwrapRow = row({
  name: 'unwrap',
  needsNoToken: true,
  synopsis: 'Unwrap a wrapped secret',
  usage: '[options] [TOKEN]',
  help: `Fetches an answer that was put away under a wrapping token; this works once. Without an argument the current
token is the wrapping token.

    $ VAULT_TOKEN=hvs.CAESIJ... % unwrap

What stands on the command line is seen by everybody on the machine. "-" takes the token from stdin:

    $ % unwrap -field=secret_id - < wrapping-token
    $ % unwrap hvs.CAESIJ...`,
  output: ['field', 'format'],
  args: [0, 1],
  async run(c) {
    const argument = c.arg(0)
    const token = argument === '-' ? (await c.input()).trim() : argument
    if (argument === '-' && token === '') throw new CliError(1, 'No wrapping token on stdin')
    const envelope = await attempt('Error unwrapping', unwrap(c.client, token === '' ? null : new Secret(token)))
    if (envelope === null) {
      c.ui.success('Successfully unwrapped. There was no data in the wrapped secret.')
      return 0
    }
    if (c.field === '' && Array.isArray(envelope.data?.['keys'])) return showList(c, envelope, 'unwrap')
    await showEnvelope(c, envelope)
    return 0
  },
})

const pathHelpRow = row({
  name: 'path-help',
  synopsis: 'Retrieve API help for paths',
  usage: '[options] PATH',
  help: `Prints the help that the server has for a path: what it takes and what it answers. With -format=json it is an
OpenAPI document.

    $ % path-help secret/
    $ % path-help auth/kubernetes/role/`,
  output: ['format'],
  args: 1,
  async run(c) {
    const path = sanitizePath(c.arg(0))
    const request = c.client.request({ method: 'GET', path, query: { help: 1 }, wrapTtlSeconds: 0 })
    const { json } = await attempt('Error retrieving help', request)
    const help = typeof json === 'object' && json !== null ? (json as { [key: string]: Json }) : {}
    if (c.ui.isTable) c.ui.output(goValue(help['help'] ?? ''))
    else await c.ui.document(help['openapi'] ?? null)
  },
})

export const genericRows: readonly Row[] = [readRow, writeRow, listRow, deleteRow, unwrapRow, pathHelpRow]
