import type { Command, Io } from '#protocol/command.ts'
import { groupHelp } from './help.ts'
import type { Group, Row } from './row.ts'
import { runRow } from './run-row.ts'

type Load = () => Promise<readonly Row[]>

/** Commands of one word. */
const single: Readonly<Record<string, Load>> = {
  read: async () => (await import('./commands/generic.ts')).genericRows,
  write: async () => (await import('./commands/generic.ts')).genericRows,
  list: async () => (await import('./commands/generic.ts')).genericRows,
  delete: async () => (await import('./commands/generic.ts')).genericRows,
  unwrap: async () => (await import('./commands/generic.ts')).genericRows,
  'path-help': async () => (await import('./commands/generic.ts')).genericRows,
  status: async () => (await import('./commands/operator.ts')).statusRows,
  run: async () => (await import('./commands/run.ts')).runRows,
  login: async () => (await import('./commands/login.ts')).loginRows,
}

type GroupEntry = { readonly help: string; readonly load: Load }

/** Commands that have commands. A new one: its rows in `commands/`, a line here, a line in `src/commands.ts`. */
const groups: Readonly<Record<string, GroupEntry>> = {
  audit: {
    help: `Audit devices: where every request and its answer are written down.

    $ % audit enable file file_path=/var/log/coffer/audit.log
    $ % audit list`,
    load: async () => (await import('./commands/audit.ts')).auditRows,
  },
  auth: {
    help: `Auth methods: ways to log in.

    $ % auth enable kubernetes
    $ % auth list`,
    load: async () => (await import('./commands/mounts.ts')).authRows,
  },
  events: {
    help: `What happens at the server, as it happens.

    $ % events subscribe 'kv-v2/*'`,
    load: async () => (await import('./commands/events.ts')).eventRows,
  },
  kv: {
    help: `The key-value store: secrets that people and programs put in, with versions in version 2.

    $ % kv put -mount=secret app/config username=app
    $ % kv get -mount=secret app/config`,
    load: async () => [
      ...(await import('./commands/kv-data.ts')).kvDataRows,
      ...(await import('./commands/kv-versions.ts')).kvVersionRows,
      ...(await import('./commands/kv-metadata.ts')).kvMetadataRows,
    ],
  },
  lease: {
    help: `Leases: secrets that end, and when.

    $ % lease lookup database/creds/app/2f6a614cWlwcZjaPlnzWsdI9
    $ % lease revoke -prefix database/creds/app`,
    load: async () => (await import('./commands/lease.ts')).leaseRows,
  },
  operator: {
    help: `What the people do who run the server.

    $ % operator init
    $ % operator unseal`,
    load: async () => [
      ...(await import('./commands/operator.ts')).operatorRows,
      ...(await import('./commands/snapshot.ts')).snapshotRows,
    ],
  },
  policy: {
    help: `Policies: what a token may do.

    $ % policy write my-policy policy.hcl
    $ % policy explain 9c5f7a0e-6d0b-4a5e-8a4b-2f1f6d6f7c11`,
    load: async () => (await import('./commands/policy.ts')).policyRows,
  },
  print: {
    help: `Prints what the program would use.

    $ % print token`,
    load: async () => (await import('./commands/token.ts')).printRows,
  },
  secrets: {
    help: `Secrets engines: what keeps or makes secrets.

    $ % secrets enable -path=team-kv -version=2 kv
    $ % secrets list`,
    load: async () => (await import('./commands/mounts.ts')).secretsRows,
  },
  token: {
    help: `Tokens: who one is to the server.

    $ % token create -policy=app
    $ % token lookup`,
    load: async () => (await import('./commands/token.ts')).tokenRows,
  },
}

/** The CLI's command of this name (the first word), as `src/commands.ts` wants it. */
export function cliCommand(name: string): Command {
  return { run: (argv, io) => runCommand(name, argv, io) }
}

async function runCommand(name: string, argv: readonly string[], io: Io): Promise<number> {
  const load = single[name]
  if (load) {
    const found = (await load()).find(row => row.name === name)
    if (found) return runRow(found, argv, io)
  }
  const entry = groups[name]
  if (!entry) throw new Error(`no such command: ${name}`)
  const rows = await entry.load()
  return runGroup({ name, synopsis: '', help: entry.help, rows }, argv, io)
}

async function runGroup(group: Group, argv: readonly string[], io: Io): Promise<number> {
  const words: string[] = []
  for (const word of argv) {
    if (word === '' || word.startsWith('-') || word.includes(' ')) break
    words.push(word)
  }
  // The longest name that the words begin with: `kv metadata get` before `kv metadata`.
  for (let length = words.length; length > 0; length--) {
    const name = `${group.name} ${words.slice(0, length).join(' ')}`
    const found = group.rows.find(row => row.name === name)
    if (found) return runRow(found, argv.slice(length), io)
  }
  const inner = innerGroup(group, words)
  const text = `${groupHelp(inner, io.calledAs)}\n`
  if (argv.some(arg => arg === '-h' || arg === '-help' || arg === '--help')) {
    io.stdout(text)
    return 0
  }
  io.stderr(text)
  return 1
}

// `kv metadata` alone lists what is below it.
function innerGroup(group: Group, words: readonly string[]): Group {
  const prefix = `${group.name} ${words[0] ?? ''} `
  const rows = group.rows.filter(row => row.name.startsWith(prefix))
  return rows.length === 0 ? group : { ...group, name: prefix.trim(), rows }
}

/** Every row of the CLI, for the ledger and the reference. */
export async function allRows(): Promise<readonly Row[]> {
  const lists = [...Object.values(single), ...Object.values(groups).map(entry => entry.load)]
  return [...new Set((await Promise.all(lists.map(load => load()))).flat())]
}
