import { readFile } from 'node:fs/promises'

/** A user or group that this machine doesn't know. */
export class AccountError extends Error {
  override readonly name = 'AccountError'
}

const idMax = 2 ** 32 - 2

/**
 * The number of a user: a number as it is, or a name from /etc/passwd (containers have no other directory).
 * @throws AccountError
 */
export function findUser(nameOrId: string, file = '/etc/passwd'): Promise<number> {
  return find('user', nameOrId, file)
}

/** The number of a group: a number as it is, or a name from /etc/group. @throws AccountError */
export function findGroup(nameOrId: string, file = '/etc/group'): Promise<number> {
  return find('group', nameOrId, file)
}

async function find(kind: 'user' | 'group', nameOrId: string, file: string): Promise<number> {
  if (/^[0-9]+$/.test(nameOrId)) return checked(kind, nameOrId, Number(nameOrId))
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new AccountError(`${kind} ${JSON.stringify(nameOrId)} can't be looked up: ${(error as Error).message}`)
  }
  // name:password:number:… in both files (passwd(5), group(5)).
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':')
    if (name === nameOrId && id !== undefined && /^[0-9]+$/.test(id)) return checked(kind, nameOrId, Number(id))
  }
  throw new AccountError(`${kind} ${JSON.stringify(nameOrId)} is not in ${file}; a number works without it`)
}

function checked(kind: string, given: string, id: number): number {
  if (id > idMax) throw new AccountError(`${kind} ${JSON.stringify(given)} is larger than ${idMax}`)
  return id
}
