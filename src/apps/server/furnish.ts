import type { World } from '#ground/base/world.ts'
import { defaultMountConfig } from '#core/mounts/entry.ts'
import type { OpenHouse } from '#core/node/house.ts'

/** What a server for trying things out has from the start: `secret/`, kv version 2. */
export async function enableSecret(house: OpenHouse, world: World): Promise<void> {
  if (house.mounts.at('secret/') !== null) return
  await house.mounts.enable({
    uuid: world.entropy.uuid(),
    kind: 'secret',
    path: 'secret/',
    type: 'kv',
    accessor: `kv_${Buffer.from(world.entropy.bytes(4)).toString('hex')}`,
    description: 'key/value secret storage',
    config: defaultMountConfig,
    options: { version: '2' },
    local: false,
    sealWrap: false,
    externalEntropyAccess: false,
    isTainted: false,
  })
}

/** An audit file that takes care of its own size. */
export async function enableAuditFile(house: OpenHouse, path: string): Promise<void> {
  if (house.devices.all().length > 0) return
  const options = { file_path: path, rotate_bytes: '104857600', rotate_max_files: '5' }
  await house.devices.enable({ path: 'file/', type: 'file', description: 'made at first start', options, local: false })
}
