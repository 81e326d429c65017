import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#ground/base/clock.ts'
import { silentLog } from '#ground/base/log.ts'
import { storeContract } from '#stores/store.contract.ts'
import { faultContract } from '#stores/store.fault.contract.ts'
import type { StoreLab } from '#stores/store.lab.ts'
import { openSqliteStore } from './sqlite.ts'

const lab = async (): Promise<StoreLab> => {
  const path = mkdtempSync(join(tmpdir(), 'coffer-store-'))
  return {
    open: () => openSqliteStore({ path, world: { clock: systemClock, log: silentLog } }),
    [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }),
  }
}

storeContract({ name: 'sqlite store', modelRuns: 15, lab })
faultContract({ name: 'sqlite store', lab })
