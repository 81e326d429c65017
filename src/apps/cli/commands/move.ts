import type { Flags } from '#ground/text/flags.ts'
import { remountStatus, startRemount } from '#client/calls/sys.ts'
import { attempt, type Context } from '../context.ts'
import { withSlash } from '../paths.ts'
import { Progress } from '../progress.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

/** What is moved, and how it is called. */
export type Movable = { readonly group: 'secrets' | 'auth'; readonly thing: string }

const firstWaitMs = 100
const waitMsMax = 10_000

/** Of an auth method, the server wants the whole path; users leave out what all have. */
const whole = ({ group }: Movable, path: string): string =>
  withSlash(group === 'auth' && !path.startsWith('auth/') ? `auth/${path}` : path)

/** Asks until it is done, at first often; a failure is the command's, too. */
async function move(what: Movable, c: Pick<Context<Flags>, 'arg' | 'client' | 'io' | 'ui'>): Promise<void> {
  const [from, to] = [whole(what, c.arg(0)), whole(what, c.arg(1))]
  const which = `${what.thing} ${from} to ${to}`
  const id = await attempt(`Error moving ${which}`, startRemount(c.client, from, to))
  c.ui.output(`Started moving ${which}, with migration ID ${id}`)
  const { clock, signal } = c.io.world
  using progress = new Progress(c.io)
  for (let wait = firstWaitMs; ; wait = Math.min(wait * 2, waitMsMax)) {
    const status = await attempt(`Error checking migration status of ${which}`, remountStatus(c.client, id))
    if (status === 'success') break
    if (status === 'failure')
      throw new CliError(2, `Failure! Error encountered moving ${which}, with migration ID ${id}`)
    progress.tell(`Waiting for terminal status in migration of ${which}, with migration ID ${id}`)
    await clock.sleep(wait, signal)
  }
  progress[Symbol.dispose]()
  c.ui.output(`Success! Finished moving ${which}, with migration ID ${id}`)
}

/** `secrets move` and `auth move`. @source vault command/secrets_move.go */
export function moveRow(what: Movable): Row {
  const { group, thing } = what
  return row({
    name: `${group} move`,
    synopsis: group === 'auth' ? 'Move an auth method to a new path' : 'Move a secrets engine to a new path',
    usage: '[options] SOURCE DESTINATION',
    help: `Moves the ${thing} at a path to another one, with all that it keeps, and waits until that is done.
Its leases and the tokens that it gave are revoked. What fails leaves it where it was.

    $ % ${group} move ${group === 'auth' ? 'kubernetes/ prod/' : 'secret/ generic/'}`,
    args: 2,
    run: c => move(what, c),
  })
}
