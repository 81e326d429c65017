import type { Command } from '#protocol/command.ts'
import { programVersion } from '#protocol/version.ts'

export const versionCommand: Command = {
  run: (argv, io) => {
    const help =
      'Usage: % version\n\n  Prints the version of the program, not the server\'s (see "status").\n\n      $ % version\n'
    const isHelp = argv.some(arg => arg === '-h' || arg === '-help' || arg === '--help')
    const name = io.calledAs === 'vault' ? 'Vault' : 'Coffer'
    io.stdout(isHelp ? help.replaceAll('%', io.calledAs) : `${name} v${programVersion}\n`)
    return Promise.resolve(0)
  },
}
