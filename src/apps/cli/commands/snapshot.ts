import { createReadStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Bytes } from '#ground/base/brand.ts'
import { boolFlag, type Flags } from '#ground/text/flags.ts'
import { type SnapshotSummary, summariseSnapshot } from '#core/storage/snapshot.ts'
import type { Json } from '#ground/text/json.ts'
import { attempt, type Context } from '../context.ts'
import { Progress } from '../progress.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

const path = 'sys/storage/raft/snapshot'

const saveHelp = `Saves a copy of the whole store of the server to a file: what it holds at one instant, sealed as it lies there,
while the server serves on. What was saved is read again and checked; to restore it the keys of this server are needed.
"-" writes to the standard output.

    $ % NAME save backup.snap`

type SnapshotContext = Context<Flags>

async function save(c: SnapshotContext): Promise<number> {
  const to = c.arg(0)
  const chunks = await attempt('Error taking the snapshot', c.client.transfer({ method: 'GET', path }))
  if (to === '-') {
    for await (const chunk of chunks) c.io.stdout(chunk)
    return 0
  }
  const target = resolve(c.io.cwd, to)
  const partial = `${target}.partial`
  try {
    await write(chunks, partial, c)
    const summary = await attempt('Error checking the snapshot', summariseSnapshot(createReadStream(partial)))
    await rename(partial, target)
    await tell(c, summary, `Success! Saved a snapshot to ${to}`)
    return 0
  } catch (error) {
    await rm(partial, { force: true })
    if (error instanceof CliError) throw error
    throw new CliError(2, `Error saving the snapshot: ${(error as Error).message}`, { cause: error })
  }
}

async function write(chunks: AsyncIterable<Bytes>, to: string, c: SnapshotContext): Promise<void> {
  using progress = new Progress(c.io)
  let bytes = 0
  // Never over a file that is there: an old backup is worth more than half a new one.
  const file = await open(to, 'w', 0o600)
  try {
    for await (const chunk of chunks) {
      await file.write(chunk)
      bytes += chunk.length
      progress.tell(`Saved ${megabytes(bytes)}`)
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

const shown = ({ storageType, programVersion, ...rest }: SnapshotSummary): Record<string, Json> => ({
  ...rest,
  storage_type: storageType,
  program_version: programVersion,
})

async function tell(c: SnapshotContext, summary: SnapshotSummary, said: string): Promise<void> {
  if (c.ui.isTable) c.ui.output(`${said}: ${summary.entries} entries of ${summary.created}.`)
  else await c.ui.document(shown(summary))
}

const restoreFlags = {
  force: boolFlag({ usage: 'Restore a snapshot of another server, too: its keys are needed to unseal afterwards.' }),
}

const restoreHelp = `Puts a snapshot in the place of all that the server holds. It is checked as a whole before anything is changed; then the
server seals, and unseals by its seal if it has one, else by the keys of the snapshot.

    $ % NAME restore backup.snap
    $ % NAME restore -force other-server.snap`

async function restore(c: Context<typeof restoreFlags>): Promise<number> {
  const from = c.arg(0)
  const source = resolve(c.io.cwd, from)
  await attempt('Error reading the snapshot', summariseSnapshot(createReadStream(source)))
  const way = c.flags.force ? `${path}-force` : path
  const body = counted(createReadStream(source), c)
  await attempt('Error restoring the snapshot', drained(c.client.transfer({ method: 'POST', path: way, body })))
  c.ui.success(`Success! Restored the snapshot ${from}`)
  return 0
}

async function* counted(chunks: AsyncIterable<Bytes>, c: Pick<SnapshotContext, 'io'>): AsyncGenerator<Bytes> {
  using progress = new Progress(c.io)
  let bytes = 0
  for await (const chunk of chunks) {
    yield chunk
    bytes += chunk.length
    progress.tell(`Sent ${megabytes(bytes)}`)
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

async function drained(answer: Promise<AsyncIterable<Bytes>>): Promise<void> {
  for await (const _ of await answer);
}

async function inspect(c: SnapshotContext): Promise<number> {
  const source = resolve(c.io.cwd, c.arg(0))
  const summary = await attempt('Error reading the snapshot', summariseSnapshot(createReadStream(source)))
  await c.ui.data(shown(summary))
  return 0
}

/** @param name `operator snapshot`, or Vault's `operator raft snapshot`. */
const rowsAt = (name: string): readonly Row[] => [
  row({
    name: `${name} save`,
    synopsis: 'Save a snapshot of the store to a file',
    usage: '[options] FILE',
    help: saveHelp.replace('NAME', name),
    output: ['format'],
    args: 1,
    run: save,
  }),
  row({
    name: `${name} restore`,
    synopsis: 'Put a snapshot in the place of the store',
    usage: '[options] FILE',
    help: restoreHelp.replaceAll('NAME', name),
    flags: restoreFlags,
    args: 1,
    run: restore,
  }),
  row({
    name: `${name} inspect`,
    synopsis: 'Check a snapshot and say what it is of',
    usage: '[options] FILE',
    help: `Reads a snapshot, checks that it is whole, and says when it was made and how much it holds. No server is asked.

    $ % ${name} inspect backup.snap`,
    output: ['format'],
    args: 1,
    isRemote: false,
    run: inspect,
  }),
]

export const snapshotRows: readonly Row[] = [...rowsAt('operator snapshot'), ...rowsAt('operator raft snapshot')]
