import type { Command } from '#protocol/command.ts'

/** A line of the program's own help, and how to get the command. Nothing is loaded before it is called. */
export type CommandEntry = {
  readonly name: string
  readonly synopsis: string
  /** Listed first. */
  readonly isCommon?: true
  readonly load: () => Promise<Command>
}

const cli = (name: string) => async (): Promise<Command> => (await import('#apps/cli/command.ts')).cliCommand(name)

/**
 * Every command by its first word, in the order of the help. An app of its own is a line with
 * `load: async () => (await import('#apps/agent/command.ts')).command`; a command of the CLI is a row in `apps/cli`.
 */
export const commands: readonly CommandEntry[] = [
  { name: 'read', synopsis: 'Read data and retrieves secrets', isCommon: true, load: cli('read') },
  { name: 'write', synopsis: 'Write data, configuration, and secrets', isCommon: true, load: cli('write') },
  { name: 'delete', synopsis: 'Delete secrets and configuration', isCommon: true, load: cli('delete') },
  { name: 'list', synopsis: 'List data or secrets', isCommon: true, load: cli('list') },
  { name: 'login', synopsis: 'Authenticate locally', isCommon: true, load: cli('login') },
  { name: 'status', synopsis: 'Print seal and HA status', isCommon: true, load: cli('status') },
  { name: 'unwrap', synopsis: 'Unwrap a wrapped secret', isCommon: true, load: cli('unwrap') },
  {
    name: 'agent',
    synopsis: 'Start an agent: log in, keep tokens and templates fresh',
    load: async () => (await import('#apps/agent/command.ts')).command,
  },
  { name: 'audit', synopsis: 'Interact with audit devices', load: cli('audit') },
  { name: 'auth', synopsis: 'Interact with auth methods', load: cli('auth') },
  { name: 'events', synopsis: 'Subscribe to what happens', load: cli('events') },
  { name: 'kv', synopsis: 'Interact with the Key-Value storage', load: cli('kv') },
  { name: 'lease', synopsis: 'Interact with leases', load: cli('lease') },
  { name: 'operator', synopsis: 'Perform operator-specific tasks', load: cli('operator') },
  { name: 'path-help', synopsis: 'Retrieve API help for paths', load: cli('path-help') },
  { name: 'policy', synopsis: 'Interact with policies', load: cli('policy') },
  { name: 'print', synopsis: 'Prints runtime configurations', load: cli('print') },
  { name: 'secrets', synopsis: 'Interact with secrets engines', load: cli('secrets') },
  {
    name: 'image',
    synopsis: 'Build the container image, without an engine',
    load: async () => (await import('#apps/image/command.ts')).command,
  },
  {
    name: 'injector',
    synopsis: 'Add the agent to pods that ask for it',
    load: async () => (await import('#apps/injector/command.ts')).command,
  },
  { name: 'run', synopsis: 'Run a command with secrets in its environment', load: cli('run') },
  {
    name: 'server',
    synopsis: 'Start a server',
    load: async () => (await import('#apps/server/command.ts')).command,
  },
  {
    name: 'setup',
    synopsis: 'Set a Kubernetes cluster up, and what its pods may read',
    load: async () => (await import('#apps/setup/command.ts')).command,
  },
  { name: 'token', synopsis: 'Interact with tokens', load: cli('token') },
  {
    name: 'version',
    synopsis: 'Prints the version of the program',
    load: async () => (await import('#apps/cli/version.ts')).versionCommand,
  },
]
