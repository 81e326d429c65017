import type { Bytes } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import type { Entropy } from '#ground/base/entropy.ts'
import { type AeadKey, createAeadKey } from '#ground/crypto/aead.ts'

/** A data key; terms count from 1. */
export type KeyTerm = {
  readonly term: number
  readonly value: string
  readonly installedAt: number
  readonly encryptions: number
}

/** What is kept at `core/keyring`, under the root key. */
export type KeyringEntry = { readonly keys: readonly KeyTerm[] }

/**
 * Seals with the newest key and opens with whichever was used. @source openbao vault/barrier/keyring.go
 */
export class Keyring {
  readonly #keys = new Map<number, { key: AeadKey; entry: KeyTerm }>()
  #active = 0
  /** Seals since the count was last kept. */
  #sealed = 0

  constructor(entry: KeyringEntry) {
    for (const one of entry.keys) this.#add(one)
  }

  #add(entry: KeyTerm): void {
    const raw = Buffer.from(entry.value, 'base64')
    this.#keys.set(entry.term, { key: createAeadKey(raw), entry })
    raw.fill(0)
    this.#active = Math.max(this.#active, entry.term)
  }

  get activeTerm(): number {
    return this.#active
  }

  /** Messages sealed by the active key: what bounds its life. */
  get encryptions(): number {
    return this.#keys.get(this.#active)!.entry.encryptions + this.#sealed
  }

  sealing(): { term: number; key: AeadKey } {
    this.#sealed++
    return { term: this.#active, key: this.#keys.get(this.#active)!.key }
  }

  opening(term: number): AeadKey | null {
    return this.#keys.get(term)?.key ?? null
  }

  /** This keyring with one key more, which seals from now on once it is adopted. */
  rotated(entropy: Entropy, now: Instant): KeyringEntry {
    const { keys } = this.entry()
    return { keys: [...keys, newTerm(this.#active + 1, entropy, now)] }
  }

  adopt(entry: KeyringEntry): void {
    for (const one of entry.keys) if (!this.#keys.has(one.term)) this.#add(one)
    this.#sealed = 0
  }

  entry(): KeyringEntry {
    const keys = [...this.#keys.values()].map(({ entry }) => entry)
    return { keys: keys.map(one => (one.term === this.#active ? { ...one, encryptions: this.encryptions } : one)) }
  }

  /** Forgets all keys: nothing can be opened or sealed any more. */
  clear(): void {
    this.#keys.clear()
    this.#active = 0
  }
}

export function newTerm(term: number, entropy: Entropy, now: Instant): KeyTerm {
  const raw: Bytes = entropy.bytes(32)
  const value = Buffer.from(raw).toString('base64')
  raw.fill(0)
  return { term, value, installedAt: now, encryptions: 0 }
}
