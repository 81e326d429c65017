import { Client } from 'pg'
import { systemClock } from '#ground/base/clock.ts'
import { simWorld } from '#ground/base/world.ts'
import { openTestServer, type TestServer } from '#core/testing/mount.ts'
import { database } from '#engines/database/engine.ts'
import { openSqliteStore } from '#stores/sqlite/sqlite.ts'
import type { Store } from '#stores/store.ts'

// A server process that ends by SIGKILL at a step of its choosing: before, in the middle of and after each commit of the
// store and each query of the database. `node killed-child.ts FOLDER TOKEN STEP METHOD PATH [BODY]`

/** A server over the store in a folder, in wall time. @param onStep is told of each commit, before and after it. */
export async function openOver(folder: string, seed: number, onStep?: () => void): Promise<TestServer> {
  const inner = await openSqliteStore({ path: folder, world: simWorld({ seed }) })
  const store: Store = new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      if (name !== 'commit' || onStep === undefined) return member.bind(target) as unknown
      return async (...args: Parameters<Store['commit']>) => {
        onStep()
        const revision = await target.commit(...args)
        onStep()
        return revision
      }
    },
  })
  return openTestServer({ catalog: [database], store: () => store, seed, start: systemClock.now() })
}

async function runUntil(
  killAt: number,
  [folder = '', token = '', method = '', path = '', body = '{}']: readonly string[],
) {
  let step = 0
  let isCounting = false
  const onStep = (): void => {
    if (isCounting && ++step === killAt) process.kill(process.pid, 'SIGKILL')
  }
  const send = Reflect.get(Client.prototype, 'query') as (...args: unknown[]) => unknown
  const counted = function (this: Client, ...args: unknown[]): unknown {
    onStep()
    const answer = send.apply(this, args)
    // It is on its way, and nobody waits for what comes back.
    onStep()
    if (answer instanceof Promise) void answer.then(onStep, onStep)
    return answer
  }
  Reflect.set(Client.prototype, 'query', counted)
  const server = await openOver(folder, 1_000 + killAt, onStep)
  server.rootToken = token
  isCounting = true
  const answer = await server.ask(method, path, method === 'GET' ? {} : { body: JSON.parse(body) })
  onStep()
  process.stdout.write(`${JSON.stringify({ status: answer.status, errors: answer.errors, steps: step })}\n`)
  process.kill(process.pid, 'SIGKILL')
}

if (process.argv[1] === import.meta.filename) {
  const [folder = '', token = '', killAt = '0', ...ask] = process.argv.slice(2)
  await runUntil(Number(killAt), [folder, token, ...ask])
}
