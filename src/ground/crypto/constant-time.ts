import { hash, timingSafeEqual } from 'node:crypto'
import type { Bytes } from '#ground/base/brand.ts'

/** Compares in time that doesn't depend on where they differ, nor on their lengths beyond hashing them. */
export function equalTexts(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}

/** As `equalTexts`, for bytes. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}
