import { join } from 'node:path'
import { debianDatabases } from './debian.ts'
import { type Started, startServer } from './started.ts'

export type RedisServer = Started & { readonly username: string; readonly password: string }

/** A Redis of this test's own, on a free port of loopback, whose default account is off. */
export async function startRedis(more: readonly string[] = [], isTls = false): Promise<RedisServer> {
  const { folder: cached, env } = await debianDatabases()
  const [username, password] = ['manager', 'root-of-the-test']
  const server = await startServer({
    name: 'redis',
    env,
    readyText: 'Ready to accept connections',
    argv: (folder, port) => {
      const ports = isTls ? ['--port', '0', '--tls-port', `${port}`] : ['--port', `${port}`]
      const place = [...ports, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
      const accounts = ['--user', 'default', 'off', '--user', username, 'on', `>${password}`, '~*', '&*', '+@all']
      return [join(cached, 'usr/bin/redis-server'), ...place, ...accounts, ...more]
    },
  })
  return { ...server, username, password }
}
