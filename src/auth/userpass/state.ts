import type { Compute } from '#ground/compute/tasks.ts'
import { type Parts, rowOf } from '#backend/engine.ts'

/** One mount of the method. */
export type UserpassState = { readonly parts: Parts; readonly compute: Compute }

export const row = rowOf<UserpassState>()
