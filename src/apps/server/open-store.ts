import type { World } from '#ground/base/world.ts'
import { openMemoryStore } from '#stores/memory/memory.ts'
import { openSqliteStore } from '#stores/sqlite/sqlite.ts'
import type { Store } from '#stores/store.ts'
import type { StorageConfig } from './config.ts'

/** Every store by the name that the configuration gives it. @throws StoreError */
export const stores: Readonly<Record<StorageConfig['type'], (config: StorageConfig, world: World) => Promise<Store>>> =
  {
    inmem: async () => openMemoryStore(),
    sqlite: ({ path }, world) => openSqliteStore({ path, world }),
  }

export const openStore = (config: StorageConfig, world: World): Promise<Store> => stores[config.type](config, world)
