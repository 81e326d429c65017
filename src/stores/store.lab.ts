import assert from 'node:assert/strict'
import { type Fence, type Store, type StoreBatch, StoreError, type StoreKey } from './store.ts'

/** One medium, for one test: `open` may be called again after `close`, and finds what was committed. */
export interface StoreLab extends AsyncDisposable {
  open(): Promise<Store>
}

export type StoreSubject = {
  /** Stands before each test's name. */
  readonly name: string
  readonly lab: () => Promise<StoreLab>
  /** How many cases the model test tries; each runs up to 30 commands. */
  readonly modelRuns: number
}

export const never = new AbortController().signal
export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const put = (key: StoreKey, value = key): { key: StoreKey; value: Uint8Array } => ({ key, value: text(value) })
export const drop = (key: StoreKey): { key: StoreKey; value: null } => ({ key, value: null })

export function isCode(code: StoreError['code']): (error: unknown) => boolean {
  return error => error instanceof StoreError && error.code === code
}

/** A call whose refusal may be thrown or rejected: both are right for a `Maybe`. */
export async function settle<T>(call: () => T | Promise<T>): Promise<T> {
  return call()
}

/** As many commits as the store's limits ask for. */
export async function commitAll(store: Store, fence: Fence, operations: StoreBatch): Promise<void> {
  const size = Math.min(store.limits.batchOperationsMax, 16)
  for (let i = 0; i < operations.length; i += size) await store.commit(operations.slice(i, i + size), fence)
}

export async function names(store: Store, prefix: string, pageSize = 100): Promise<string[]> {
  const all: string[] = []
  for (;;) {
    const after = all.at(-1)
    const page = await store.list(prefix, { limit: pageSize, ...(after !== undefined && { after }) })
    assert.ok(page.names.length <= pageSize && (page.names.length > 0 || !page.more))
    all.push(...page.names)
    if (!page.more) return all
  }
}

export async function keysOf(store: Store, from: StoreKey, to: StoreKey, pageSize = 100): Promise<StoreKey[]> {
  const all: StoreKey[] = []
  for (;;) {
    const after = all.at(-1)
    const page = await store.scan({ from, to }, { limit: pageSize, ...(after !== undefined && { after }) })
    assert.ok(page.entries.length <= pageSize && (page.entries.length > 0 || !page.more))
    all.push(...page.entries.map(entry => entry.key))
    if (!page.more) return all
  }
}

export function disposable(store: Store): AsyncDisposable & { readonly store: Store } {
  return { store, [Symbol.asyncDispose]: () => store.close() }
}

/** Registers one test of a rule, with an open store and a term. */
export type Rule = (name: string, body: (store: Store, fence: Fence, lab: StoreLab) => Promise<void>) => void
