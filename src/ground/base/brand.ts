declare const brand: unique symbol

/** A value that was parsed at the border: `Brand<string, 'MountPath'>` can't be mixed with another brand or made by hand. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A value now or later. A handler that needn't wait doesn't: the hot path has no promise in it. */
export type Maybe<T> = T | Promise<T>

export type Bytes = Uint8Array

export function isPromise<T>(value: Maybe<T>): value is Promise<T> {
  return value instanceof Promise
}

/** Runs `next` on the value, at once when it is there already. */
export function andThen<T, R>(value: Maybe<T>, next: (value: T) => Maybe<R>): Maybe<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
