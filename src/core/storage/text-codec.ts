import type { Codec } from '#backend/storage.ts'

/** A single text. */
export const textCodec: Codec<unknown> = {
  prefix: '',
  encode: entry => Buffer.from(entry as string),
  decode: bytes => Buffer.from(bytes).toString('utf8'),
}
