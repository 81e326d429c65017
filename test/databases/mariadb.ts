import { join } from 'node:path'
import { must } from '../cluster/process.ts'
import { debianDatabases } from './debian.ts'
import { type Started, startServer } from './started.ts'

export type MariaDb = Started & {
  /** Of an account that may do everything. */
  readonly username: string
  readonly password: string
}

/** A MariaDB of this test's own, on a free port of loopback. */
export async function startMariaDb(more: readonly string[] = []): Promise<MariaDb> {
  const { folder: cached, env } = await debianDatabases()
  // Each removes what others left in the folder for temporary files when it starts: not in the one of all.
  const own = (folder: string): string => `--tmpdir=${folder}`
  const usr = join(cached, 'usr')
  const common = (data: string): string[] => ['--no-defaults', `--basedir=${usr}`, `--datadir=${data}`]
  const server = await startServer({
    name: 'mariadb',
    env,
    readyText: 'ready for connections',
    async initialise(folder) {
      const install = [
        join(usr, 'bin/mariadb-install-db'),
        ...common(join(folder, 'data')),
        own(folder),
        // It refuses root only when nobody says that root is meant.
        '--user=root',
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
      ]
      await must(install, { cwd: folder, env, timeoutMs: 60_000 })
    },
    argv: (folder, port) => [
      join(usr, 'sbin/mariadbd'),
      ...common(join(folder, 'data')),
      own(folder),
      '--user=root',
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      '--innodb-buffer-pool-size=8M',
      '--innodb-flush-log-at-trx-commit=0',
      '--skip-name-resolve',
      ...more,
    ],
  })
  const [username, password] = ['manager', 'root-of-the-test']
  const make = `CREATE USER '${username}'@'%' IDENTIFIED BY '${password}'; GRANT ALL ON *.* TO '${username}'@'%' WITH GRANT OPTION`
  const client = [join(usr, 'bin/mariadb'), '--no-defaults', `--socket=${join(server.folder, 'socket')}`, '-uroot']
  await must([...client, '-e', make], { env, timeoutMs: 30_000 })
  return { ...server, username, password }
}
