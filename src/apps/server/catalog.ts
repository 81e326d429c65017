import type { AnyEngine } from '#backend/engine.ts'
import { kubernetesAuth } from '#auth/kubernetes/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'

/** Every engine and auth method of this server, in plain sight: nothing registers itself. */
export const catalog: readonly AnyEngine[] = [kvV2, kubernetesAuth]
