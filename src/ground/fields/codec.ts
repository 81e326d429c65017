import type { Bytes } from '#ground/base/brand.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Entries as JSON text: how all but the hottest kinds are kept. Only for plain data: no class survives it. */
export const jsonBytes = {
  encode: (entry: unknown): Bytes => encoder.encode(JSON.stringify(entry)),
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what its own `encode` was given
  decode: <E>(bytes: Bytes): E => JSON.parse(decoder.decode(bytes)) as E,
}
