import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError } from './api.ts'
import type { Handle } from './handle.ts'
import { net } from './layout.ts'

/** Name of the default StorageClass: claims without a class bind to the `local` volumes made here. */
export const volumeClass = 'local'

let made = 0

/**
 * Makes `local` volumes of 1Gi, each a folder of the run. Unlike `hostPath` ones they obey `fsGroup`.
 * @returns their folders.
 */
export async function addVolumes(handle: Handle, count: number): Promise<string[]> {
  await ensureClass(handle)
  const folders: string[] = []
  for (let i = 0; i < count; i++) {
    const name = `local-${made++}`
    const path = join(handle.folder, 'volumes', name)
    await mkdir(path, { recursive: true })
    folders.push(path)
    await handle.call('POST', '/api/v1/persistentvolumes', {
      metadata: { name },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: volumeClass,
        local: { path },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [net.nodeName] }] },
            ],
          },
        },
      },
    })
  }
  return folders
}

async function ensureClass(handle: Handle): Promise<void> {
  const storageClass = {
    metadata: { name: volumeClass, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  }
  try {
    await handle.call('POST', '/apis/storage.k8s.io/v1/storageclasses', storageClass)
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error
  }
}
