import { storeContract } from '#stores/store.contract.ts'
import { MemoryMedium, openMemoryStore } from './memory.ts'

storeContract({
  name: 'memory store',
  modelRuns: 200,
  lab: async () => {
    const medium = new MemoryMedium()
    return { open: async () => openMemoryStore({ medium }), [Symbol.asyncDispose]: async () => undefined }
  },
})
