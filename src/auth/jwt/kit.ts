import type * as jws from '#ground/crypto/jws.ts'

/** What verifies tokens: a library, loaded with the first mount and not with the server. */
export type Kit = typeof jws

export const loadKit = (): Promise<Kit> => import('#ground/crypto/jws.ts')
