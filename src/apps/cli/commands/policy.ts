import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { stringFlag } from '#ground/text/flags.ts'
import { isJsonObject } from '#ground/text/json.ts'
import { isTrue, textOf, textsOf } from '#protocol/members.ts'
import { deletePolicy, listPolicies, readPolicy, writePolicy } from '#client/calls/sys.ts'
import { write } from '#client/calls/logical.ts'
import { attempt } from '../context.ts'
import { columns } from '../render/columns.ts'
import { struct } from '../render/documents.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

const readRow = row({
  name: 'policy read',
  synopsis: 'Prints the contents of a policy',
  usage: '[options] [NAME]',
  help: `Prints a policy.

    $ % policy read my-policy`,
  output: ['format'],
  args: 1,
  async run(c) {
    const name = c.arg(0).toLowerCase()
    const policy = await attempt(`Error reading policy named ${name}`, readPolicy(c.client, name))
    if (policy === null || policy === '') throw new CliError(2, `No policy named: ${name}`)
    if (c.ui.isTable) c.ui.output(policy.trim())
    else await c.ui.document({ policy })
  },
})

const writeRow = row({
  name: 'policy write',
  synopsis: 'Uploads a named policy from a file',
  usage: '[options] NAME PATH',
  help: `Writes a policy from a file or, for "-", from stdin. Names are kept in small letters.

    $ % policy write my-policy policy.hcl
    $ echo 'path "secret/data/app" { capabilities = ["read"] }' | % policy write my-policy -`,
  args: 2,
  async run(c) {
    const given = c.args[0] ?? ''
    const name = given.toLowerCase().trim()
    const policy = await c.fileOrInput(c.arg(1), 'Error opening policy file')
    await attempt('Error uploading policy', writePolicy(c.client, name, policy))
    if (given !== name) c.ui.warn(`Policy name was converted from "${given}" to "${name}"`)
    c.ui.output(`Success! Uploaded policy: ${name}`)
  },
})

const listRow = row({
  name: 'policy list',
  synopsis: 'Lists the installed policies',
  usage: '[options]',
  help: `Lists the names of all policies.

    $ % policy list`,
  output: ['format'],
  async run(c) {
    const names = await attempt('Error listing policies', listPolicies(c.client))
    if (!c.ui.isTable) return c.ui.document(names)
    for (const name of names) c.ui.output(name)
  },
})

const deleteRow = row({
  name: 'policy delete',
  synopsis: 'Deletes a policy by name',
  usage: '[options] NAME',
  help: `Deletes a policy; tokens that have it lose what it allowed at once. "default" and "root" can't be deleted.

    $ % policy delete my-policy`,
  args: 1,
  async run(c) {
    const name = c.arg(0).toLowerCase()
    await attempt(`Error deleting ${name}`, deletePolicy(c.client, name))
    c.ui.output(`Success! Deleted policy: ${name}`)
  },
})

const fmtRow = row({
  name: 'policy fmt',
  synopsis: 'Formats a policy on disk',
  usage: '[options] PATH',
  help: `Brings a policy file into the usual form and writes it back.

    $ % policy fmt my-policy.hcl`,
  isRemote: false,
  args: 1,
  async run(c) {
    const given = c.arg(0)
    const path = resolve(c.io.cwd, given.replace(/^~(?=\/|$)/, c.io.env['HOME'] ?? homedir()))
    const text = await attempt('Error reading source file', readFile(path, 'utf8'), 1)
    const { formatPolicy } = await import('../policy-format.ts')
    const formatted = await attempt('Error formatting policy', Promise.try(formatPolicy, text), 1)
    await attempt('Error writing result', writeFile(path, formatted), 1)
    c.ui.output(`Success! Formatted policy: ${path}`)
  },
})

const explainRow = row({
  name: 'policy explain',
  synopsis: 'Says why a request was allowed or refused',
  usage: '[options] REQUEST_ID | -accessor=ACCESSOR OPERATION PATH',
  help: `Says which policy and which of its rules decided: of a past request by its id (header X-Coffer-Request-Id of the
answer), or of one that a token might make. Not part of Vault.

    $ % policy explain 9c5f7a0e-6d0b-4a5e-8a4b-2f1f6d6f7c11
    $ % policy explain -accessor=Fh3nXv0aQbTz8pLkW2sEr6Uy read secret/data/app`,
  output: ['field', 'format'],
  flags: {
    accessor: stringFlag({ usage: 'Accessor of the token that might ask.' }),
  },
  args: [1, 2],
  async run(c) {
    const { accessor } = c.flags
    if (accessor === '' ? c.arg(1) !== '' : c.arg(1) === '') {
      throw new CliError(1, 'Give a request id alone, or -accessor=ACCESSOR with an operation and a path')
    }
    const body = accessor === '' ? { request_id: c.arg(0) } : { accessor, operation: c.arg(0), path: c.arg(1) }
    const envelope = await attempt('Error explaining', write(c.client, 'sys/policies/explain', body))
    if (!envelope || !isJsonObject(envelope.data ?? undefined)) throw new CliError(2, 'The server gave no explanation')
    if (c.field !== '') return c.ui.envelopeField(envelope, c.field)
    const data = envelope.data
    if (!c.ui.isTable) return c.ui.document(struct({ ...data }))
    const rows = [
      ['Allowed', String(isTrue(data, 'allowed'))],
      ['Reason', textOf(data, 'reason')],
      ['Policy', textOf(data, 'policy')],
      ['Rule', textOf(data, 'rule')],
      ['Capabilities', (textsOf(data, 'capabilities') ?? []).join(', ')],
    ]
    c.ui.output(columns(rows))
  },
})

export const policyRows: readonly Row[] = [readRow, writeRow, listRow, deleteRow, fmtRow, explainRow]
