import { open, rm } from 'node:fs/promises'
import type { Io } from '#protocol/command.ts'
import { SetupError } from './material.ts'

/** The keys that init gave; they exist nowhere else. */
export type Keys = { readonly kind: 'Recovery' | 'Unseal'; readonly keys: readonly string[] }

/** Where the keys of init go, once. */
export type KeyPaper = AsyncDisposable & { write(keys: Keys): Promise<void> }

/**
 * Opened before init is called, and never over another file: keys that can't be written are lost.
 * @param path absolute; empty = standard output.
 * @throws SetupError
 */
export async function openKeyPaper(path: string, io: Io): Promise<KeyPaper> {
  if (path === '') {
    return {
      async write(keys) {
        io.stdout(`\n${linesOf(keys)}\nThese keys are shown once and kept nowhere. Give them to different people.\n\n`)
      },
      async [Symbol.asyncDispose]() {},
    }
  }
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'is there already, and may hold keys' : `can not be written: ${error.message}`
    throw new SetupError(`-keys-out: ${path} ${why}`)
  })
  let isWritten = false
  return {
    async write(keys) {
      isWritten = true
      await file.writeFile(linesOf(keys))
      await file.sync()
      io.stdout(`keys written to ${path} (0600); they are nowhere else\n`)
    },
    async [Symbol.asyncDispose]() {
      await file.close()
      if (!isWritten) await rm(path, { force: true })
    },
  }
}

const linesOf = ({ kind, keys }: Keys): string =>
  keys.map((key, index) => `${kind} Key ${index + 1}: ${key}\n`).join('')
