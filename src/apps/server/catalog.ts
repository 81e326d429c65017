import type { AnyEngine } from '#backend/engine.ts'
import { certAuth } from '#auth/cert/engine.ts'
import { approleAuth } from '#auth/approle/engine.ts'
import { jwtAuth, oidcAuth } from '#auth/jwt/engine.ts'
import { kubernetesAuth } from '#auth/kubernetes/engine.ts'
import { database } from '#engines/database/engine.ts'
import { kubernetesSecrets } from '#engines/kubernetes/engine.ts'
import { kvV1 } from '#engines/kv/v1/engine.ts'
import { userpassAuth } from '#auth/userpass/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'

/** The old name of kv; a mount shows the name that it was made by. */
const generic = (engine: AnyEngine): AnyEngine => ({ ...engine, type: 'generic' })

/** Every engine and auth method of this server, in plain sight: nothing registers itself. */
export const catalog: readonly AnyEngine[] = [
  kvV1,
  kvV2,
  generic(kvV1),
  generic(kvV2),
  kubernetesAuth,
  userpassAuth,
  certAuth,
  approleAuth,
  jwtAuth,
  oidcAuth,
  database,
  kubernetesSecrets,
]
