import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { ConfigError } from './config-error.ts'
import { enableAuditFile, enableSecret } from './furnish.ts'
import type { ServerNode } from '#core/node/node.ts'
import type { World } from '#ground/base/world.ts'

/** The files of `npm start`, all below one folder of the checkout. */
export const localFiles = (folder: string) => ({
  data: join(folder, 'data'),
  sealKey: join(folder, 'seal.key'),
  audit: join(folder, 'audit'),
  client: join(folder, 'client.json'),
})

/**
 * Makes the folder (0700) and the seal's key (0600) where they aren't there. A folder with data but without its key is
 * refused: a new key would lock the data for ever.
 * @throws ConfigError in one sentence
 */
export function prepareFolder(folder: string, world: Pick<World, 'entropy'>): void {
  const files = localFiles(folder)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chmodSync(folder, 0o700)
    mkdirSync(files.data, { recursive: true, mode: 0o700 })
    mkdirSync(files.audit, { recursive: true, mode: 0o700 })
    if (existsSync(files.sealKey)) return
    if (existsSync(join(files.data, 'coffer.db'))) {
      throw new ConfigError(
        `${files.sealKey} is missing, but ${files.data} holds data that only it opens: bring it back, or remove ${folder} to begin anew`,
      )
    }
    writeFileSync(files.sealKey, `${Buffer.from(world.entropy.bytes(32)).toString('hex')}\n`, {
      mode: 0o600,
      flag: 'wx',
    })
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(
      `the folder ${folder} can not be used: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`,
    )
  }
}

/** The configuration of `npm start`, as text, so that it is read as every other. */
export function localConfig(folder: string, listenAddress: string): { name: string; text: string } {
  const files = localFiles(folder)
  const text = JSON.stringify({
    listener: { tcp: { address: listenAddress, tls_disable: true } },
    storage: { sqlite: { path: files.data } },
    seal: { static: { current_key_id: 'local', current_key: `file://${files.sealKey}` } },
    audit_directory: files.audit,
    cluster_name: 'coffer-local',
    ui: true,
  })
  return { name: 'npm start', text }
}

/**
 * The first start initialises, enables `secret/` and an audit file, and writes address and root token for the CLI of
 * this checkout. Later starts find all of it.
 * @returns whether this was the first.
 */
export async function furnishLocal(node: ServerNode, folder: string, address: string, world: World): Promise<boolean> {
  const files = localFiles(folder)
  const isFirst = !(await node.status()).isInitialized
  if (isFirst) {
    const { rootToken } = await node.init({
      secretShares: 0,
      secretThreshold: 0,
      recoveryShares: 0,
      recoveryThreshold: 0,
      sent: new Set(['recovery_shares', 'recovery_threshold']),
    })
    const client = Buffer.from(`${JSON.stringify({ address, token: rootToken }, null, 2)}\n`)
    await writeFileAtomically(files.client, client, { mode: 0o600 })
  }
  const house = node.house
  if (house !== null) {
    await enableAuditFile(house, join(files.audit, 'audit.log'))
    await enableSecret(house, world)
  }
  return isFirst
}
