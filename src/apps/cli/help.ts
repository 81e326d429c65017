import { flagsHelp } from '#ground/text/flags-help.ts'
import type { Flags } from '#ground/text/flags.ts'
import { httpFlags, outputFlags } from './flag-sets.ts'
import type { Group, Row } from './row.ts'

/** The flags of a command under their titles, in the order of the help. */
export function flagSetsOf(row: Row): { title: string; flags: Flags }[] {
  const output = outputFlags(row.output ?? [])
  return [
    ...(row.isRemote === false ? [] : [{ title: 'HTTP Options', flags: httpFlags as Flags }]),
    ...(Object.keys(output).length === 0 ? [] : [{ title: 'Output Options', flags: output }]),
    ...(row.flags === undefined ? [] : [{ title: row.title ?? 'Command Options', flags: row.flags }]),
  ]
}

/** What `-help` prints of a command. */
export function rowHelp(row: Row, program: string): string {
  const usage = `Usage: ${program} ${row.name} ${row.usage}`.trimEnd()
  const flags = flagsHelp(flagSetsOf(row))
  return [usage, indented(row.help, program), flags].filter(part => part !== '').join('\n\n')
}

/** What a group prints when it is called without one of its commands. */
export function groupHelp(group: Group, program: string): string {
  const subs = new Map<string, string>()
  for (const row of group.rows) {
    const rest = row.name.slice(group.name.length + 1).split(' ')
    const first = rest[0] ?? ''
    if (rest.length === 1) subs.set(first, row.synopsis)
    else if (!subs.has(first)) subs.set(first, `Interact with ${group.name} ${first}`)
  }
  const names = [...subs.keys()].sort()
  const width = Math.max(...names.map(name => name.length))
  const lines = names.map(name => `    ${name.padEnd(width)}    ${subs.get(name) ?? ''}`)
  const usage = `Usage: ${program} ${group.name} <subcommand> [options] [args]`
  return `${usage}\n\n${indented(group.help, program)}\n\nSubcommands:\n${lines.join('\n')}`
}

function indented(text: string, program: string): string {
  return text
    .replaceAll('%', program)
    .split('\n')
    .map(line => (line === '' ? '' : `  ${line}`))
    .join('\n')
}
