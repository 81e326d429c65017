import { systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { createLog } from '#ground/base/log.ts'
import type { Io } from '#protocol/command.ts'
import { nearestWord } from '#ground/text/nearest.ts'
import { commands } from '#commands.ts'

/** Usage, common commands, other commands: what Vault's CLI prints for itself. */
function programHelp(program: string): string {
  const width = Math.max(...commands.map(command => command.name.length))
  const line = (command: (typeof commands)[number]): string =>
    `    ${command.name.padEnd(width + 6)}${command.synopsis}`
  const common = commands.filter(command => command.isCommon).map(line)
  const other = commands.filter(command => !command.isCommon).map(line)
  return `Usage: ${program} <command> [args]\n\nCommon commands:\n${common.join('\n')}\n\nOther commands:\n${other.join('\n')}\n`
}

async function main(argv: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = argv
  if (argv.length === 1 && (first === '-v' || first === '-version' || first === '--version'))
    return main(['version'], io)
  const at = argv.findIndex(arg => arg !== '' && !arg.startsWith('-'))
  const isHelp = argv.some(arg => arg === '-h' || arg === '-help' || arg === '--help')
  if (at < 0 && isHelp) {
    io.stdout(programHelp(io.calledAs))
    return 0
  }
  const name = at < 0 ? '' : (argv[at] ?? '')
  const entry = commands.find(command => command.name === name)
  if (!entry) {
    const meant =
      name === ''
        ? null
        : nearestWord(
            name,
            commands.map(command => command.name),
          )
    const hint = meant === null ? '' : `\nThere is no command "${name}". Did you mean "${meant}"?\n`
    io.stderr(programHelp(io.calledAs) + hint)
    return 127
  }
  if (at > 0 && !isHelp) {
    io.stderr(
      'Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n',
    )
    return 1
  }
  const command = await entry.load()
  return command.run(at > 0 ? [...argv.slice(0, at), ...argv.slice(at + 1)] : rest, io)
}

function processIo(signal: AbortSignal): Io {
  const now = (): number => systemClock.now()
  const write = (line: string): void => void process.stderr.write(line)
  const log = createLog({ level: 'info', format: 'standard', write, now })
  return {
    stdout: text => void process.stdout.write(text),
    stderr: text => void process.stderr.write(text),
    stdin: process.stdin,
    isInputTerminal: process.stdin.isTTY,
    isOutputTerminal: process.stdout.isTTY,
    isErrorTerminal: process.stderr.isTTY,
    env: process.env,
    cwd: process.cwd(),
    calledAs: process.env['COFFER_CALLED_AS'] === 'vault' ? 'vault' : 'coffer',
    world: { clock: systemClock, entropy: systemEntropy, log, signal },
  }
}

const ending = new AbortController()
const end = (name: NodeJS.Signals): void => {
  // A second signal ends the program at once: the handler is gone by then.
  ending.abort(new Error(`ended by ${name}`))
}
process.once('SIGINT', end)
process.once('SIGTERM', end)
// A reader that left (`| head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', error => {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  })
}

// No top-level await: images hold the program as CommonJS, which has none.
main(process.argv.slice(2), processIo(ending.signal)).then(
  code => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`coffer: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
