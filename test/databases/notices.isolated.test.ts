import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import { createApiClient } from '#client/api.ts'
import { read, write } from '#client/calls/logical.ts'
import { openNoticeSocket } from '#client/notice-socket.ts'
import { startServer } from '../clients/server.ts'
import { postgresUnable, startPostgres } from './postgres.ts'

// Whoever holds a lease is told when it is gone, by who may read at the path that makes such leases alone.

test('notices of leases, by a real server and a real PostgreSQL', { skip: postgresUnable() }, async () => {
  const { signal } = new AbortController()
  await using postgres = await startPostgres()
  await using server = await startServer()
  const world = { clock: systemClock, entropy: systemEntropy, log: silentLog, signal }
  await using nobody = createApiClient({ address: server.address, world })
  const init = (await (
    await fetch(`${server.address}/v1/sys/init`, {
      method: 'PUT',
      body: JSON.stringify({ secret_shares: 1, secret_threshold: 1 }),
    })
  ).json()) as { keys_base64: string[]; root_token: string }
  await write(nobody, 'sys/unseal', { key: init.keys_base64[0]! })
  const root = nobody.with({ token: new Secret(init.root_token) })
  await write(root, 'sys/mounts/database', { type: 'database' })
  await write(root, 'database/config/app', {
    plugin_name: 'postgresql-database-plugin',
    connection_url: postgres.templatedUrl,
    username: postgres.username,
    password: postgres.password,
    allowed_roles: '*',
  })
  const creation_statements = `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`
  for (const role of ['app', 'other']) {
    await write(root, `database/roles/${role}`, { db_name: 'app', creation_statements, default_ttl: '1h' })
  }
  await write(root, 'sys/policies/acl/app', { policy: 'path "database/creds/app" { capabilities = ["read"] }' })
  const made = await write(root, 'auth/token/create', { policies: ['app'] })
  const pod = nobody.with({ token: made!.auth!.clientToken })
  const leaseOf = async (role: string): Promise<string> => (await read(root, `database/creds/${role}`))!.leaseId
  const watch = async function* (...paths: string[]): AsyncGenerator<string> {
    using socket = await openNoticeSocket(pod, signal)
    socket!.send(JSON.stringify({ watch: paths }))
    yield* socket!.messages(signal)
  }
  const [mine, gone, foreign] = [await leaseOf('app'), await leaseOf('app'), await leaseOf('other')]
  const revoke = (lease_id: string): Promise<unknown> => write(root, 'sys/leases/revoke', { lease_id, sync: true })
  await revoke(gone)

  const told = watch('database/creds/app', mine, gone)
  const next = async (): Promise<unknown> => JSON.parse((await told.next()).value as string)
  assert.deepEqual(await next(), { lost: true })
  assert.deepEqual(await next(), { path: gone, version: null }, 'what ended before is told at once')
  await revoke(await leaseOf('app'))
  await revoke(mine)
  assert.deepEqual(await next(), { path: mine, version: null })
  await told.return(undefined)

  for (const path of [foreign, `${mine}x`, 'database/creds/other']) {
    assert.equal((await watch(path).next()).done, true, `watching ${path} is refused`)
  }
})
