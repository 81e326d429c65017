import type { Flags } from '#ground/text/flags.ts'
import type { ReadStream } from 'node:tty'
import type { Context } from './context.ts'
import { CliError } from './ui.ts'

const answerBytesMax = 64 * 1024

/**
 * Asks for a secret. On a terminal nothing that is typed shows; from a pipe all of it is the answer, but for a line's
 * end. Blanks stay: they may be part of a password.
 * @throws CliError 1 when the user gives up (Ctrl-C)
 */
export async function askHidden(c: Context<Flags>, prompt: string): Promise<string> {
  if (!c.io.isInputTerminal) return (await c.input()).replace(/\r?\n$/, '')
  const terminal = c.io.stdin as ReadStream
  c.io.stderr(prompt)
  terminal.setRawMode(true)
  try {
    return await readLine(terminal)
  } finally {
    terminal.setRawMode(false)
    terminal.pause()
    c.io.stderr('\n')
  }
}

function readLine(terminal: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = ''
    const finish = (done: () => void): void => {
      terminal.off('data', onData)
      done()
    }
    const onData = (chunk: Buffer): void => {
      for (const char of chunk.toString('utf8')) {
        if (char === '\r' || char === '\n' || char === '\u0004') return finish(() => resolve(line))
        if (char === '\u0003') return finish(() => reject(new CliError(1, 'user interrupted')))
        if (char === '\u007f' || char === '\b') line = line.slice(0, -1)
        else line += char
        if (line.length > answerBytesMax) return finish(() => reject(new CliError(1, 'the input is too long')))
      }
    }
    terminal.on('data', onData)
    terminal.resume()
  })
}
