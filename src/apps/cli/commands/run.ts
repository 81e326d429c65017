import { constants } from 'node:os'
import { stringListFlag } from '#ground/text/flags.ts'
import { Child, ChildError } from '#ground/process/child.ts'
import { onSignals } from '#ground/process/signals.ts'
import type { Recipe } from '#delivery/recipe.ts'
import { Obtainer } from '#delivery/obtain/obtainer.ts'
import { seconds } from '#ground/base/clock.ts'
import { revokeLease } from '#client/calls/token.ts'
import { withoutCredentials } from '#client/environment.ts'
import { keepToken } from '#client/keep-token.ts'
import type { Context } from '../context.ts'
import { type Row, row } from '../row.ts'
import { CliError } from '../ui.ts'

const flags = {
  env: stringListFlag({
    usage: 'NAME=PATH#FIELD: a variable with a field of a secret. May be given several times.',
  }),
  template: stringListFlag({
    usage: 'NAME={{ … }}: a variable with what a template makes, as in an agent. May be given several times.',
  }),
}

type RunContext = Context<typeof flags>

/** What one variable is made of. */
type Wanted = {
  readonly name: string
  readonly recipe: Recipe & { readonly shape: { readonly kind: 'field' | 'template' } }
}

const freshness = { pollEvery: seconds(300), pushed: false } as const
/** Programs hand a whole environment over in one piece; more than this no system takes. */
const wantedMax = 500
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/

function wantedOf(c: RunContext): readonly Wanted[] {
  const fields = c.flags.env.map(text => {
    const [name, rest] = named('env', text, 'NAME=PATH#FIELD')
    const hash = rest.lastIndexOf('#')
    const [path, field] = [rest.slice(0, hash), rest.slice(hash + 1)]
    if (hash < 1 || field === '')
      throw new CliError(1, `-env ${name}: write NAME=PATH#FIELD, like DB_PASSWORD=secret/app#password`)
    return { name, recipe: { name, sources: [{ path }], shape: { kind: 'field', field }, freshness } } as const
  })
  const templates = c.flags.template.map(text => {
    const [name, template] = named('template', text, 'NAME={{ … }}')
    const shape = { kind: 'template', name, text: template, delimiters: ['{{', '}}'], missingKey: 'error' } as const
    return { name, recipe: { name, sources: [], shape, freshness } } as const
  })
  const all = [...fields, ...templates]
  const twice = all.find(({ name }, at) => all.findIndex(other => other.name === name) !== at)
  if (twice) throw new CliError(1, `the variable ${twice.name} is given twice`)
  if (all.length > wantedMax) throw new CliError(1, `more than ${wantedMax} variables`)
  return all
}

function named(flag: string, text: string, form: string): readonly [name: string, rest: string] {
  const at = text.indexOf('=')
  const name = text.slice(0, Math.max(0, at))
  if (!namePattern.test(name)) throw new CliError(1, `-${flag}: "${name}" is no name of a variable; write ${form}`)
  return [name, text.slice(at + 1)]
}

/** The secrets of a command, fetched once and kept alive as long as it runs. */
class Secrets implements AsyncDisposable {
  readonly #c: RunContext
  readonly #obtainer: Obtainer
  readonly #ending = new AbortController()
  readonly #values = new Map<string, string>()
  readonly #leases = new Set<string>()

  constructor(c: RunContext) {
    this.#c = c
    const { world } = c.io
    this.#obtainer = new Obtainer({
      world,
      client: c.client.with({ maxRetries: Math.max(2, c.settings.environment.maxRetries ?? 0) }),
      env: c.io.env,
      staticInterval: freshness.pollEvery,
      retriesMax: 0,
      onTokenInvalid: () => c.ui.warn('The token is not valid any more: the secrets of the command may have ended.'),
    })
  }

  /** @throws CliError 2 naming the variable that can't be had. */
  async fetch(wanted: readonly Wanted[]): Promise<ReadonlyMap<string, string>> {
    const failed = Promise.withResolvers<never>()
    const waits = wanted.map(({ name, recipe }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#obtainer.add({
        recipe,
        sandboxPath: null,
        deliver: async parcel => {
          for (const { leaseId } of parcel.origins) if (leaseId !== null) this.#leases.add(leaseId)
          this.#deliver(name, Buffer.from(parcel.bytes).toString('utf8'))
          resolve()
        },
        onFailed: error => {
          const reason = error instanceof Error ? error.message : String(error)
          if (this.#values.has(name)) this.#c.ui.warn(`${name} can not be kept fresh: ${reason}`)
          else failed.reject(new CliError(2, `${name}: ${reason}`, { cause: error }))
        },
      })
      return promise
    })
    failed.promise.catch(() => undefined)
    await Promise.race([Promise.all(waits), failed.promise, aborted(this.#c.io.world.signal)])
    this.#c.io.world.signal.throwIfAborted()
    return this.#values
  }

  #deliver(name: string, value: string): void {
    if (value.includes('\0')) throw new CliError(2, `${name}: the value has a NUL, which no variable can hold`)
    const before = this.#values.get(name)
    if (before === undefined) this.#values.set(name, value)
    else if (before !== value) {
      this.#c.ui.warn(`${name} changed on the server; the command keeps the value that it was started with.`)
    }
  }

  /** The login of this command lives as long as it does, if the server lets it. */
  keepAlive(): void {
    const { session, client, io } = this.#c
    if (session === null || session.leaseDuration === 0) return
    void keepToken(io.world, client, session, { signal: this.#ending.signal })
      .then(() => {
        if (!this.#ending.signal.aborted) this.#c.ui.warn("The command's token ends soon, and what was leased with it.")
      })
      .catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#obtainer.close()
    // With a login of its own all ends with its token.
    if (this.#c.session !== null) return
    for (const lease of this.#leases) {
      try {
        await revokeLease(this.#c.parting, lease)
      } catch (error) {
        this.#c.ui.warn(`The lease ${lease} could not be revoked: ${(error as Error).message}`)
      }
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

const passedOn = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

async function runChild(c: RunContext, values: ReadonlyMap<string, string>): Promise<number> {
  const { io } = c
  const env = { ...withoutCredentials(io.env), ...Object.fromEntries(values) }
  const child = await Child.start(io.world.clock, c.args, { env, cwd: io.cwd, isForeground: true })
  // At a terminal the child has had it already; once more does no harm, and without one it hears of it only from us.
  const onAbort = (): void =>
    child.signal(`${(io.world.signal.reason as Error | undefined)?.message}`.endsWith('SIGINT') ? 'SIGINT' : 'SIGTERM')
  io.world.signal.addEventListener('abort', onAbort, { once: true })
  using _signals = onSignals(passedOn, name => child.signal(name))
  try {
    if (io.world.signal.aborted) onAbort()
    const { code, signal } = await child.ended
    return code ?? 128 + constants.signals[signal ?? 'SIGTERM']
  } finally {
    io.world.signal.removeEventListener('abort', onAbort)
  }
}

const runRow = row({
  name: 'run',
  synopsis: 'Run a command with secrets in its environment',
  usage: '[options] -- COMMAND [ARGS...]',
  help: `Fetches secrets, runs a command with them in its environment, and ends what it made: leases are revoked, and so is the
token, when one was made for it. Nothing is written anywhere, and nothing is printed.

    $ % run -env DB_PASSWORD=secret/app#password -- ./migrate
    $ % run -env PGUSER=database/creds/app#username -env PGPASSWORD=database/creds/app#password -- psql
    $ % run -template 'URL={{ with secret "secret/app" }}https://{{ .Data.data.host }}/{{ end }}' -- ./app

Leases are renewed while it runs. The command does not get what logs in (VAULT_TOKEN, VAULT_SECRET_ID, VAULT_ID_TOKEN
and the like). Signals are passed on, and the exit code is the command's own; 2 when a secret can't be had.`,
  flags,
  args: [1, Number.POSITIVE_INFINITY],
  async run(c) {
    const wanted = wantedOf(c)
    await using secrets = new Secrets(c)
    const values = await secrets.fetch(wanted)
    secrets.keepAlive()
    try {
      return await runChild(c, values)
    } catch (error) {
      if (error instanceof ChildError) throw new CliError(error.exitCode, error.message, { cause: error })
      throw error
    }
  },
})

export const runRows: readonly Row[] = [runRow]
