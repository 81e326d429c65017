import { type Parts, rowOf } from '#backend/engine.ts'
import type { Reviewers } from './reviewers.ts'

/** One mount of the method. */
export type KubernetesState = { readonly parts: Parts; readonly reviewers: Reviewers }

export const row = rowOf<KubernetesState>()
