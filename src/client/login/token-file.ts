import { readFile } from 'node:fs/promises'
import { Secret } from '#ground/base/secret.ts'
import type { LoginMethod } from './login.ts'
import { LoginError } from './login.ts'
import { lookUp } from './token.ts'

/** Takes a token from a file, read again at each login, and asks the server what it is worth. */
export function tokenFileLogin(options: { readonly path: string }): LoginMethod {
  return {
    describes: `token file ${options.path}`,
    async login(client, call = {}) {
      return lookUp(client, await readTokenFile(options.path), call)
    },
  }
}

async function readTokenFile(path: string): Promise<Secret> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LoginError(`token file ${path} can't be read: ${reason}`, { cause })
  }
  const token = content.trim()
  if (token === '') throw new LoginError(`token file ${path} is empty`)
  return new Secret(token)
}
