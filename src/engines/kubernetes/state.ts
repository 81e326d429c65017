import { type Parts, rowOf } from '#backend/engine.ts'
import type { OneServer } from '#kube/one-server.ts'

/** What the process tells of the pod that it may run in. */
export type Pod = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the pod's own token and CA lie. */
  readonly folder: string
}

/** One mount of the engine. */
export type KubernetesState = { readonly parts: Parts; readonly server: OneServer; readonly pod: Pod }

export const row = rowOf<KubernetesState>()
