import type { Engine } from '#backend/engine.ts'
import { builtinVersion } from '#protocol/version.ts'
import { aliasRows } from './aliases.ts'
import { entityRows } from './entities.ts'
import { groupRows } from './groups.ts'
import { listRows } from './lists.ts'
import { lookupRows } from './lookups.ts'
import type { IdentityState } from './state.ts'

/** The built-in engine at `identity/`. */
export function identityEngine(state: IdentityState): Engine<IdentityState> {
  return {
    type: 'identity',
    kind: 'secret',
    version: builtinVersion,
    description: 'identity store',
    codecs: [],
    rows: [...listRows, ...entityRows, ...aliasRows, ...groupRows, ...lookupRows],
    open: () => state,
  }
}
