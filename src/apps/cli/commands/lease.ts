import { sortedKeys } from '#ground/text/compare.ts'
import { boolFlag, durationFlag, type Flags, stringFlag } from '#ground/text/flags.ts'
import { isJsonObject, type JsonObject } from '#ground/text/json.ts'
import {
  countIrrevocable,
  forecastLeases,
  irrevocableLeases,
  lookupLease,
  renewLeaseWhole,
  revokeLeases,
  type RevokeScope,
} from '#client/calls/leases.ts'
import { list } from '#client/calls/logical.ts'
import { objectOf, own, textOf, wholeOf } from '#protocol/members.ts'
import { attempt, type Context } from '../context.ts'
import { Progress } from '../progress.ts'
import { table } from '../render/columns.ts'
import { humanDuration } from '../render/value.ts'
import { type Row, row } from '../row.ts'
import { showEnvelope, showList } from '../show.ts'
import { CliError, wrapped } from '../ui.ts'

const lookupRow = row({
  name: 'lease lookup',
  synopsis: 'Lookup the lease of a secret',
  usage: '[options] ID',
  help: `Prints when a lease was issued and renewed, when it ends, and whether it can be renewed.

    $ % lease lookup database/creds/app/2f6a614cWlwcZjaPlnzWsdI9`,
  output: ['field', 'format'],
  args: 1,
  async run(c) {
    const id = c.arg(0)
    await showEnvelope(c, await attempt(`error looking up lease id ${id}`, lookupLease(c.client, id)))
  },
})

const renewRow = row({
  name: 'lease renew',
  synopsis: 'Renews the lease of a secret',
  usage: '[options] ID',
  help: `Asks for more time for a secret. The server may give less than asked for, and nothing beyond the maximum.

    $ % lease renew database/creds/app/2f6a614cWlwcZjaPlnzWsdI9
    $ % lease renew -increment=1h database/creds/app/2f6a614cWlwcZjaPlnzWsdI9`,
  output: ['field', 'format'],
  flags: {
    increment: durationFlag({
      usage: 'Time to ask for, counted from now; the server may give less.',
      aliases: ['i'],
    }),
  },
  args: 1,
  async run(c) {
    const id = c.arg(0)
    const increment = Math.max(0, Math.trunc(c.flags.increment))
    await showEnvelope(c, await attempt(`Error renewing ${id}`, renewLeaseWhole(c.client, id, increment)))
  },
})

const failures: Readonly<Record<RevokeScope, string>> = {
  lease: 'Error revoking lease',
  prefix: 'Error revoking leases with prefix',
  force: 'Error force revoking leases with prefix',
}
const successes: Readonly<Record<RevokeScope, string>> = {
  lease: 'Success! Revoked lease:',
  prefix: 'Success! Revoked any leases with prefix:',
  force: 'Success! Force revoked any leases with prefix:',
}
/** Leases that one call of a revocation by path takes on. */
const batch = 1_000
/** Calls of one command: far more leases than a server holds. */
const roundsMax = 1_000_000

const revokeRow = row({
  name: 'lease revoke',
  synopsis: 'Revokes leases and secrets',
  usage: '[options] ID',
  help: `Revokes a secret: its system takes it back. With -prefix every secret below a path, which is what an incident
asks for; broken off, the next call goes on. With -force, too, what can't be revoked is forgotten.

    $ % lease revoke database/creds/app/2f6a614cWlwcZjaPlnzWsdI9
    $ % lease revoke -prefix -sync database/creds/app
    $ % lease revoke -prefix -force database/creds/app`,
  flags: {
    force: boolFlag({
      usage: 'Forget what can not be revoked; its account stays behind. With -prefix.',
      aliases: ['f'],
    }),
    prefix: boolFlag({ usage: 'The argument is a path: revoke all that lies below it.' }),
    sync: boolFlag({ usage: 'Wait until it is done, instead of having it queued.' }),
  },
  args: 1,
  async run(c) {
    const { force, prefix, sync } = c.flags
    if (force && !prefix) throw new CliError(1, 'Specifying -force requires also specifying -prefix')
    const scope = force ? 'force' : prefix ? 'prefix' : 'lease'
    const id = c.arg(0)
    if (force) {
      c.ui.warn(wrapped('Warning! Force-removing leases can cause Vault to become out of sync with secret engines!'))
    }
    const failure = `${failures[scope]} ${id}`
    // What is only printed asks for all at once.
    if (scope === 'lease' || c.isDryRun) await attempt(failure, revokeLeases(c.client, id, scope, sync))
    else await attempt(failure, revokeBelow(c, id, scope, sync))
    const isDone = sync || force
    c.ui.output(isDone ? `${successes[scope]} ${id}` : 'All revocation operations queued successfully!')
  },
})

/** Part by part, each told of: what fails keeps nothing else from it, and is told of at the end. */
async function revokeBelow(c: Context<Flags>, path: string, scope: RevokeScope, isSync: boolean): Promise<void> {
  const { signal } = c.io.world
  let ended = 0
  let failed = 0
  let error = ''
  {
    using progress = new Progress(c.io)
    for (let round = 0, after = ''; round < roundsMax; round++) {
      const part = await revokeLeases(c.client, path, scope, isSync, { batch, after }, { signal }).catch(cause => {
        if (!signal.aborted) throw cause
        throw new CliError(1, `Broken off after ${ended} leases. The same command goes on.`, { cause })
      })
      if (part === null) return
      ended += part.ended
      failed += part.failed
      error ||= part.error
      if (part.next === null) break
      after = part.next
      progress.tell(`${ended} leases ${isSync || scope === 'force' ? 'revoked' : 'queued'}, ${failed} failed`)
    }
  }
  if (failed === 0) return
  throw new CliError(
    2,
    `${failures[scope]} ${path}: ${failed} of ${failed + ended} could not be revoked, the first one ${error}\n\n${wrapped(
      'They are tried again by themselves, six times in all; "lease list -irrevocable" shows those that need you.',
    )}`,
  )
}

const listRow = row({
  name: 'lease list',
  synopsis: 'Lists leases, or those that can not be revoked',
  usage: '[options] [PREFIX]',
  help: `Lists what lies below a path, one level at a time; the tokens of logins are among it. With -irrevocable the leases
that ended and can't be revoked, with the words of the system that refuses. The server tries those again once a day.

    $ % lease list database/creds
    $ % lease list -irrevocable`,
  output: ['format'],
  flags: {
    irrevocable: boolFlag({ usage: 'Those that ended and can not be revoked.' }),
    limit: stringFlag({ usage: 'With -irrevocable: how many at most, or "none". Default: 10000.' }),
  },
  args: [0, 1],
  async run(c) {
    const prefix = c.arg(0).replace(/^\/+|\/+$/g, '')
    if (!c.flags.irrevocable) {
      const path = prefix === '' ? 'sys/leases/lookup' : `sys/leases/lookup/${prefix}`
      return showList(c, await attempt(`Error listing leases below ${prefix}`, list(c.client, path)), path)
    }
    if (prefix !== '') throw new CliError(1, '-irrevocable takes no PREFIX')
    const envelope = await attempt('Error listing leases', irrevocableLeases(c.client, c.flags.limit))
    if (envelope === null) throw new CliError(2, 'No value found at sys/leases')
    if (envelope.wrapInfo) {
      await c.ui.envelope(envelope)
      return 0
    }
    if (!c.ui.isTable) {
      await c.ui.document(envelope.data ?? {})
      return 0
    }
    c.ui.warnings(envelope)
    const found = objectsOf(envelope.data, 'leases')
    const cells = found.map(one => [textOf(one, 'lease_id'), textOf(one, 'mount_id'), textOf(one, 'error')])
    c.ui.output(found.length === 0 ? 'Every lease that ended is revoked.' : table(['Lease', 'Mount', 'Error'], cells))
    return 0
  },
})

const countRow = row({
  name: 'lease count',
  synopsis: 'Counts leases that can not be revoked, by mount',
  usage: '[options]',
  help: `Counts the leases that ended and can't be revoked, by the accessor of their mount.

    $ % lease count`,
  output: ['format', 'field'],
  async run(c) {
    const envelope = await attempt('Error counting leases', countIrrevocable(c.client))
    if (envelope === null) throw new CliError(2, 'No value found at sys/leases/count')
    if (envelope.wrapInfo || !c.ui.isTable || c.field !== '') return showEnvelope(c, envelope)
    const counts = objectOf(envelope.data, 'counts') ?? {}
    const cells = sortedKeys(counts).map(mount => [mount, String(wholeOf(counts, mount))])
    c.ui.output(table(['Mount', 'Irrevocable'], [...cells, ['all', String(wholeOf(envelope.data, 'lease_count'))]]))
  },
})

const forecastRow = row({
  name: 'lease forecast',
  synopsis: 'Says how many leases the present rate comes to',
  usage: '[options] [PREFIX]',
  help: `Says for each mount how many leases there are, how many are made in an hour and how long they live, and how many
there will be if it goes on so: once as many end as are made, and if all of them are renewed as long as they may be.
Lease-count quotas say when they will be used up. Needs a coffer server.

    $ % lease forecast
    $ % lease forecast -detailed database/`,
  output: ['format', 'detailed'],
  args: [0, 1],
  async run(c) {
    const envelope = await attempt('Error forecasting leases', forecastLeases(c.client, c.arg(0)))
    if (envelope === null) throw new CliError(2, 'The server makes no forecasts: sys/leases/forecast is not there')
    if (envelope.wrapInfo) return c.ui.envelope(envelope)
    if (!c.ui.isTable) return c.ui.document(envelope.data ?? {})
    c.ui.warnings(envelope)
    c.ui.output(forecastText(envelope.data ?? {}, c.ui.isDetailed))
  },
})

const forecastHeaders = ['Mount', 'Leases', 'Per hour', 'TTL', 'Forecast', 'If renewed']

function forecastText(data: JsonObject, isDetailed: boolean): string {
  const mounts = objectOf(data, 'mounts') ?? {}
  const cells = sortedKeys(mounts).flatMap(mount => {
    const one = objectOf(mounts, mount)
    const roles = objectOf(one, 'roles') ?? {}
    const inner = isDetailed
      ? sortedKeys(roles).map(role => outlookCells(`${mount} (${role})`, objectOf(roles, role)))
      : []
    return [outlookCells(mount, one), ...inner]
  })
  if (cells.length === 0) return 'There are no leases.'
  const quotas = objectOf(data, 'quotas') ?? {}
  const lines = sortedKeys(quotas).map(name => {
    const quota = objectOf(quotas, name)
    const fullIn = own(quota, 'full_in') ?? null
    const end = fullIn === null ? 'never' : fullIn === 0 ? 'now' : `in ${humanDuration(wholeOf(quota, 'full_in'))}`
    return [name, textOf(quota, 'path'), `${wholeOf(quota, 'leases')} of ${wholeOf(quota, 'max_leases')}`, end]
  })
  const first = table(forecastHeaders, cells)
  return lines.length === 0 ? first : `${first}\n\n${table(['Quota', 'Path', 'Used', 'Full'], lines)}`
}

function outlookCells(name: string, outlook: JsonObject | null): readonly string[] {
  const renewed = own(outlook, 'forecast_if_renewed') ?? null
  return [
    name,
    String(wholeOf(outlook, 'leases')),
    String(wholeOf(outlook, 'leases_per_hour')),
    humanDuration(wholeOf(outlook, 'ttl')),
    String(wholeOf(outlook, 'forecast')),
    renewed === null ? 'no end' : String(wholeOf(outlook, 'forecast_if_renewed')),
  ]
}

function objectsOf(object: JsonObject | null, key: string): readonly JsonObject[] {
  const value = own(object, key)
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

export const leaseRows: readonly Row[] = [lookupRow, renewRow, revokeRow, listRow, countRow, forecastRow]
