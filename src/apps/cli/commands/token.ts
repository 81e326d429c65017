import { boolFlag, durationFlag, intFlag, stringFlag, stringListFlag, stringMapFlag } from '#ground/text/flags.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { read, write } from '#client/calls/logical.ts'
import type { ApiClient } from '#client/api.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { sortedKeys } from '#ground/text/compare.ts'
import { textsOf } from '#protocol/members.ts'
import { attempt } from '../context.ts'
import { type Row, row } from '../row.ts'
import { showEnvelope } from '../show.ts'
import { CliError } from '../ui.ts'

const accessorFlag = boolFlag({
  usage: 'The argument is an accessor, not a token; the output has no token then.',
})

// These answer with POST in the Go client, which matters to -output-curl-string only.
async function post(client: ApiClient, path: string, body: JsonObject): Promise<Envelope> {
  const answer = await client.request({ method: 'POST', path, body })
  if (!answer.envelope) throw new Error('empty response')
  return answer.envelope
}

const createRow = row({
  name: 'token create',
  synopsis: 'Create a new token',
  usage: '[options]',
  help: `Makes a new token as a child of the current one: it is revoked with it, unless -orphan.

    $ % token create -policy=app -ttl=20m
    $ % token create -orphan -period=1h -policy=agent -field=token
    $ % token create -role=ci
    $ % token create -type=batch -ttl=1h -policy=job`,
  output: ['field', 'format'],
  flags: {
    id: stringFlag({ usage: 'The token itself; needs sudo. Default: one made by the server.' }),
    'display-name': stringFlag({ usage: 'Name to find the token by; no secret.' }),
    ttl: durationFlag({ usage: 'How long it lives at first, such as "30m". Renewals may go on up to the maximum.' }),
    'explicit-max-ttl': durationFlag({ usage: 'How long it lives at most, whatever the renewals.' }),
    period: durationFlag({ usage: 'Each renewal gives this long, without end; needs sudo.' }),
    renewable: boolFlag({ usage: 'It may be renewed.', default: true }),
    orphan: boolFlag({ usage: 'It has no parent and outlives the current token; needs sudo.' }),
    'no-default-policy': boolFlag({ usage: 'It doesn\'t get the "default" policy.' }),
    'use-limit': intFlag({ usage: 'How many requests it is good for. 0: any number.' }),
    role: stringFlag({ usage: 'Token role to make it by.' }),
    type: stringFlag({
      usage: '"service": kept, renewed and revoked. "batch": kept nowhere; ends by itself, or with its parent.',
      default: 'service',
      completion: ['service', 'batch'],
    }),
    metadata: stringMapFlag({ usage: 'key=value that audit logs show; may be given several times.' }),
    policy: stringListFlag({ usage: "Policy that it has; may be given several times. Default: the current token's." }),
    'entity-alias': stringFlag({ usage: 'Entity alias to tie it to; only with -role.' }),
  },
  async run(c) {
    const f = c.flags
    const body: JsonObject = {
      ...(f.id !== '' && { id: f.id }),
      ...(f.policy.length > 0 && { policies: f.policy }),
      ...(f.metadata.size > 0 && { meta: Object.fromEntries(f.metadata) }),
      ttl: formatGoDuration(f.ttl),
      explicit_max_ttl: formatGoDuration(f['explicit-max-ttl']),
      period: formatGoDuration(f.period),
      ...(f.orphan && { no_parent: true }),
      ...(f['no-default-policy'] && { no_default_policy: true }),
      display_name: f['display-name'],
      num_uses: f['use-limit'],
      renewable: f.type === 'batch' ? false : f.renewable,
      type: f.type,
      entity_alias: f['entity-alias'],
    }
    const path = f.role === '' ? 'auth/token/create' : `auth/token/create/${f.role}`
    await showEnvelope(c, await attempt('Error creating token', post(c.client, path, body)))
  },
})

const lookupRow = row({
  name: 'token lookup',
  synopsis: 'Display information about a token',
  usage: '[options] [TOKEN | ACCESSOR]',
  help: `Prints what the server knows of a token: of the current one, or of the argument.

    $ % token lookup
    $ % token lookup -accessor 9793c9b3-e04a-46f3-e7b8-748d7da248da`,
  output: ['field', 'format'],
  flags: { accessor: accessorFlag },
  args: null,
  async run(c) {
    const count = c.args.length
    const [expected, suffix] = c.flags.accessor ? ['1', ' with -accessor'] : ['0-1', '']
    if (c.flags.accessor && count < 1) throw new CliError(1, `Not enough arguments with -accessor (expected 1, got 0)`)
    if (count > 1) throw new CliError(1, `Too many arguments${suffix} (expected ${expected}, got ${count})`)
    const token = c.arg(0)
    const work =
      token === ''
        ? read(c.client, 'auth/token/lookup-self')
        : c.flags.accessor
          ? post(c.client, 'auth/token/lookup-accessor', { accessor: token })
          : post(c.client, 'auth/token/lookup', { token })
    const envelope = await attempt('Error looking up token', work)
    if (envelope === null) throw new CliError(2, 'Error looking up token: empty response')
    await showEnvelope(c, envelope)
  },
})

const renewRow = row({
  name: 'token renew',
  synopsis: 'Renew a token lease',
  usage: '[options] [TOKEN]',
  help: `Asks for more time for a token: the current one, or the argument.

    $ % token renew
    $ % token renew -increment=30m 96ddf4bc-d217-f3ba-f9bd-017055595017`,
  output: ['format'],
  flags: {
    accessor: accessorFlag,
    increment: durationFlag({
      usage: 'Time to ask for, counted from now; the server may give less.',
      aliases: ['i'],
    }),
  },
  args: [0, 1],
  async run(c) {
    const token = c.arg(0)
    const increment = Math.max(0, Math.trunc(c.flags.increment))
    const work =
      token === ''
        ? write(c.client, 'auth/token/renew-self', { increment })
        : c.flags.accessor
          ? post(c.client, 'auth/token/renew-accessor', { accessor: token, increment })
          : write(c.client, 'auth/token/renew', { token, increment })
    const envelope = await attempt('Error renewing token', work)
    if (envelope) await c.ui.envelope(envelope)
  },
})

const revokeRow = row({
  name: 'token revoke',
  synopsis: 'Revoke a token and its children',
  usage: '[options] [TOKEN | ACCESSOR]',
  help: `Revokes a token and its children. With -mode=orphan the children stay, as orphans; with -mode=path the argument
is a path and everything that logged in through it is revoked.

    $ % token revoke 96ddf4bc-d217-f3ba-f9bd-017055595017
    $ % token revoke -self
    $ % token revoke -mode=path auth/kubernetes/login`,
  flags: {
    accessor: boolFlag({ usage: 'The argument is an accessor, not a token.' }),
    self: boolFlag({ usage: 'Revoke the current token.' }),
    mode: stringFlag({
      usage: '"orphan" or "path". Default: the token and its children.',
      completion: ['orphan', 'path'],
    }),
  },
  args: null,
  async run(c) {
    const { accessor, self, mode } = c.flags
    checkRevoke(accessor, self, mode, c.args.length)
    const token = c.arg(0)
    const calls: Record<string, () => Promise<unknown>> = {
      accessor: () =>
        c.client.request({ method: 'POST', path: 'auth/token/revoke-accessor', body: { accessor: token } }),
      orphan: () => write(c.client, 'auth/token/revoke-orphan', { token }),
      path: () => c.client.request({ method: 'PUT', path: `sys/leases/revoke-prefix/${token}` }),
      self: () => c.client.request({ method: 'PUT', path: 'auth/token/revoke-self' }),
      tree: () => write(c.client, 'auth/token/revoke', { token }),
    }
    const call = calls[self ? 'self' : accessor ? 'accessor' : mode === '' ? 'tree' : mode]
    await attempt('Error revoking token', call?.() ?? Promise.resolve())
    c.ui.output('Success! Revoked token (if it existed)')
  },
})

function checkRevoke(accessor: boolean, self: boolean, mode: string, count: number): void {
  if (!['', 'orphan', 'path'].includes(mode)) throw new CliError(1, `Invalid mode: ${mode}`)
  if (self && count > 0) throw new CliError(1, `Too many arguments with -self (expected 0, got ${count})`)
  if (!self && count > 1) throw new CliError(1, `Too many arguments (expected 1 or -self, got ${count})`)
  if (!self && count < 1) throw new CliError(1, `Not enough arguments (expected 1 or -self, got ${count})`)
  if (self && accessor) throw new CliError(1, 'Cannot use -self with -accessor!')
  if (self && mode !== '') throw new CliError(1, 'Cannot use -self with -mode!')
  if (accessor && mode !== '') throw new CliError(1, `Cannot use -accessor with -mode=${mode}!`)
}

const capabilitiesRow = row({
  name: 'token capabilities',
  synopsis: 'Print capabilities of a token on a path',
  usage: '[options] [TOKEN | ACCESSOR] PATH',
  help: `Prints what a token may do at a path: the current one, or the first argument.

    $ % token capabilities secret/data/app
    $ % token capabilities -accessor 9793c9b3-e04a-46f3-e7b8-748d7da248da secret/data/app`,
  output: ['format'],
  flags: { accessor: boolFlag({ usage: 'The first argument is an accessor, not a token.' }) },
  args: null,
  async run(c) {
    const count = c.args.length
    const isByAccessor = c.flags.accessor
    const [least, expected] = isByAccessor ? [2, ' with -accessor (expected 2'] : [1, ' (expected 1-2']
    if (count < least) throw new CliError(1, `Not enough arguments${expected}, got ${count})`)
    if (count > 2) throw new CliError(1, `Too many arguments${expected}, got ${count})`)
    const path = c.arg(count - 1)
    const call = count === 1 ? 'capabilities-self' : isByAccessor ? 'capabilities-accessor' : 'capabilities'
    const body = count === 1 ? { path } : { [isByAccessor ? 'accessor' : 'token']: c.arg(0), path }
    const envelope = await attempt('Error listing capabilities', post(c.client, `sys/${call}`, body))
    const found = textsOf(envelope.data, path) ?? textsOf(envelope.data, 'capabilities')
    if (found === null) throw new CliError(1, 'No capabilities found')
    if (c.ui.isTable) c.ui.output(sortedKeys(Object.fromEntries(found.map(word => [word, 1]))).join(', '))
    else await c.ui.document(found)
  },
})

const printTokenRow = row({
  name: 'print token',
  synopsis: 'Prints the token currently in use',
  usage: '',
  help: `Prints the token that commands use: the environment's, the checkout's, or the one that "login" stored.

    $ % print token`,
  args: null,
  async run(c) {
    c.ui.output(c.settings.token?.reveal('asked for on the command line') ?? '')
  },
})

export const tokenRows: readonly Row[] = [createRow, lookupRow, renewRow, revokeRow, capabilitiesRow]
export const printRows: readonly Row[] = [printTokenRow]
