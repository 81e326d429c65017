import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'
import { prepareLogin, reviewer } from './reviewer.ts'
import { Running, say } from './running.ts'

// The server's hot paths under wrk, on loopback, with the audit file on:
//
//     sh bin/pinned bench/server.ts [seconds of each run, default 10] [secrets, default 100000]
//
// wrk (Debian's package) runs beside the server on the same machine, and so does the API server that reviews logins.

const seconds = Number(process.argv[2] ?? 10)
const secrets = Number(process.argv[3] ?? 100_000)
const connections = 32
const server = new Running()
const toReviewer = reviewer()
const load = (name: string, script: string) => server.load(name, script, { seconds, connections })

async function fill(): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < secrets) {
      const n = next++
      await server.ask('POST', `secret/data/cold/${n}`, { data: { username: `user-${n}`, password: 'x'.repeat(32) } })
      if (n % 20_000 === 0) process.stderr.write(`${n} secrets\n`)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
}

/** Runs while `work` does: what one tenant may do to all others. */
async function beside(hostile: () => Promise<unknown>, width: number, work: () => Promise<unknown>): Promise<void> {
  const done = new AbortController()
  const loops = Array.from({ length: width }, async () => {
    while (!done.signal.aborted) await hostile().catch(() => undefined)
  })
  await work()
  done.abort()
  await Promise.all(loops)
}

try {
  say(
    `${cpus().length} CPUs, ${cpus()[0]?.model ?? ''}; ${connections} connections, ${seconds} s each, ${secrets} secrets`,
  )
  await server.start()
  await server.init()
  server.sayMemory('idle, just initialised')
  await server.ask('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
  await server.ask('POST', 'secret/data/hot', { data: { username: 'app', password: 's3cr3t' } })
  await load('kv read, one secret', 'wrk.path = "/v1/secret/data/hot"')
  await load('kv read, wrapped', 'wrk.path = "/v1/secret/data/hot"\nwrk.headers["X-Vault-Wrap-TTL"] = "60"')
  await load('token lookup-self', 'wrk.path = "/v1/auth/token/lookup-self"')
  await load(
    'kv write, durable',
    `wrk.method = "POST"\nwrk.body = '{"data":{"username":"app","password":"s3cr3t"}}'\nlocal n = 0\nrequest = function() n = n + 1 return wrk.format(nil, "/v1/secret/data/w/" .. (n % 5000)) end`,
  )
  const login = await prepareLogin(server, toReviewer)
  await load(
    'kubernetes login, immediate reviewer',
    `wrk.method = "POST"\nwrk.path = "/v1/auth/kubernetes/login"\nwrk.body = '${login}'`,
  )
  await fill()
  await load(
    'kv read, all secrets at random',
    `request = function() return wrk.format("GET", "/v1/secret/data/cold/" .. math.random(0, ${secrets - 1})) end`,
  )
  const hot = (name: string) => () => load(name, 'wrk.path = "/v1/secret/data/hot"')
  const big = { data: { text: 'x'.repeat(30 << 20) } }
  await beside(() => server.ask('POST', 'secret/data/big', big), 2, hot('kv read, beside writes of 30 MiB'))
  await server.ask('POST', 'sys/auth/userpass', { type: 'userpass' })
  await server.ask('POST', 'auth/userpass/users/u', { password: 'right' })
  await beside(
    () => server.ask('POST', 'auth/userpass/login/u', { password: 'wrong' }),
    8,
    hot('kv read, beside logins by bcrypt'),
  )
  server.sayMemory('after all of it')
  await server.kill()
  const started = performance.now()
  await server.start()
  await server.ask('GET', `secret/data/cold/${secrets - 1}`)
  say(
    `after kill -9, a read with a token from before: ${(performance.now() - started).toFixed(0)} ms from the start of the process`,
  )
} finally {
  await server.end()
  toReviewer.close()
}
