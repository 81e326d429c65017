import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { storeContract } from '#stores/store.contract.ts'
import { openSqliteStore } from './sqlite.ts'

storeContract({
  name: 'sqlite store',
  modelRuns: 15,
  lab: async () => {
    const path = mkdtempSync(join(tmpdir(), 'coffer-store-'))
    return {
      open: () => openSqliteStore({ path, world: { clock: systemClock, log: silentLog } }),
      [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }),
    }
  },
})
