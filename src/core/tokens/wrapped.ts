import type { Bytes } from '#ground/base/brand.ts'
import { jsonBytes } from '#ground/fields/codec.ts'
import type { Codec } from '#backend/storage.ts'

/** An answer that was put away under a wrapping token, as it would have gone out. */
export type WrappedAnswer = {
  readonly status: number
  readonly contentType: string
  /** The body's text; of bytes their base64. */
  readonly body: string
  readonly isBase64?: true
}

/** `wrapped/<key of the wrapping token>`: there as long as that token is. */
export const wrappedCodec: Codec<WrappedAnswer> = {
  prefix: 'wrapped/',
  encode: jsonBytes.encode,
  decode: jsonBytes.decode,
}

export const bodyOf = (answer: WrappedAnswer): string | Bytes =>
  answer.isBase64 ? Buffer.from(answer.body, 'base64') : answer.body
