import { readFileSync } from 'node:fs'
import type { Bytes } from '#ground/base/brand.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { type AutoSeal, SealError } from './seal.ts'
import { unwrapWith, wrapWith } from './wrapping.ts'

export type StaticKey = { readonly id: string; readonly key: Bytes }

export type StaticSealOptions = {
  readonly current: StaticKey
  /** What the storage may still be wrapped with: unwrapped once more, then wrapped by the current one. */
  readonly previous: StaticKey | null
  readonly entropy: Entropy
}

/**
 * Reads a key as configuration gives it: 32 bytes as hex or base64, or `file://` or `env://` and where that is. A file
 * may hold the bytes themselves. @throws SealError `bad-key`, which never quotes the key.
 */
export function readStaticKey(
  given: string,
  env: Readonly<Record<string, string | undefined>>,
  name = 'current_key',
): Bytes {
  const bytes = given.startsWith('file://')
    ? fromFile(given.slice(7), name)
    : fromText(given.startsWith('env://') ? fromEnv(given.slice(6), env, name) : given)
  if (bytes === null || bytes.length !== 32)
    throw new SealError('bad-key', `${name} must be 32 bytes, as hex or base64`)
  return bytes
}

function fromEnv(name: string, env: Readonly<Record<string, string | undefined>>, field: string): string {
  const value = env[name]
  if (value === undefined || value === '')
    throw new SealError('bad-key', `${field}: the environment variable ${name} is not set`)
  return value
}

function fromFile(path: string, field: string): Bytes | null {
  let content: Buffer
  try {
    content = readFileSync(path)
  } catch (error) {
    throw new SealError(
      'bad-key',
      `${field}: the file ${path} can not be read: ${(error as NodeJS.ErrnoException).code}`,
      { cause: error },
    )
  }
  return content.length === 32 ? content : fromText(content.toString('latin1'))
}

function fromText(text: string): Bytes | null {
  const clean = text.trim()
  if (/^[0-9a-fA-F]{64}$/.test(clean)) return Buffer.from(clean, 'hex')
  if (/^[A-Za-z0-9+/]{43}=?$/.test(clean)) return Buffer.from(clean, 'base64')
  return null
}

const separator = 0

/** A seal that unseals by itself with a key that stands beside the server. @source openbao docs, seal "static" */
export function staticSeal({ current, previous, entropy }: StaticSealOptions): AutoSeal {
  const idOf = (wrapped: Bytes): string => Buffer.from(wrapped.subarray(0, wrapped.indexOf(separator))).toString()
  return {
    type: 'static',
    wrap: rootKey =>
      Buffer.concat([Buffer.from(current.id), Buffer.from([separator]), wrapWith(current.key, rootKey, entropy)]),
    isCurrent: wrapped => idOf(wrapped) === current.id,
    unwrap(wrapped) {
      const id = idOf(wrapped)
      const key = [current, previous].find(one => one?.id === id)
      if (!key) {
        throw new SealError(
          'wrong-key',
          `the storage is sealed by the key "${id}"; configured is "${current.id}": set previous_key_id and previous_key to it`,
        )
      }
      return unwrapWith(key.key, wrapped.subarray(wrapped.indexOf(separator) + 1))
    },
  }
}
