import { boolFlag, durationFlag } from '#ground/text/flags.ts'
import { ApiError } from '#client/api-error.ts'
import { lookupLease, renewLeaseWhole, revokeLeases, type RevokeScope } from '#client/calls/leases.ts'
import { attempt } from '../context.ts'
import { type Row, row } from '../row.ts'
import { showEnvelope } from '../show.ts'
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
/** Each call of the server works for as long as a request may take. */
const roundsMax = 1_000

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
    const told = (line: string): void => c.ui.warn(line)
    await attempt(
      `${failures[scope]} ${id}`,
      untilDone(() => revokeLeases(c.client, id, scope, sync), told),
    )
    const isDone = sync || force
    c.ui.output(isDone ? `${successes[scope]} ${id}` : 'All revocation operations queued successfully!')
  },
})

/** A call that ran out of its time says how many it did; the next one goes on. One that did none gives up. */
async function untilDone(call: () => Promise<void>, told: (line: string) => void): Promise<void> {
  for (let round = 1; ; round++) {
    try {
      return await call()
    } catch (error) {
      const ended =
        error instanceof ApiError ? /^(\d+) leases were revoked in the time/.exec(error.errors.join()) : null
      if (ended === null || ended[1] === '0' || round === roundsMax) throw error
      told(`${ended[1]} leases are revoked; going on`)
    }
  }
}

export const leaseRows: readonly Row[] = [lookupRow, renewRow, revokeRow]
