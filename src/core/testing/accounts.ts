import { instant, seconds } from '#ground/base/clock.ts'
import { captured, int } from '#ground/fields/kit.ts'
import { type Engine, type Parts, rowOf } from '#backend/engine.ts'
import { empty } from '#backend/reply.ts'

/** A system outside of the server: what it holds survives the server's end, and it can be made to fail or to hang. */
export class Outside {
  readonly accounts = new Set<string>()
  readonly rung: string[] = []
  /** Thrown by what is asked of it, by name: `create`, `drop`, `extend`. */
  readonly failures = new Map<string, Error>()
  /** An account that can't be dropped. */
  refuses: string | null = null
  /** Awaited first: hangs until it resolves. */
  readonly hangs = new Map<string, Promise<void>>()

  async create(name: string): Promise<void> {
    await this.#ask('create')
    this.accounts.add(name)
  }

  async drop(name: string): Promise<void> {
    await this.#ask('drop')
    if (name === this.refuses) throw new Error('it is in use')
    this.accounts.delete(name)
  }

  async extend(): Promise<void> {
    await this.#ask('extend')
  }

  async #ask(what: string): Promise<void> {
    await this.hangs.get(what)
    const failure = this.failures.get(what)
    if (failure !== undefined) throw failure
  }
}

type Internal = { readonly name: string }

const row = rowOf<Parts>()

/** An engine whose secrets are accounts of an `Outside`: leases, intents and alarms in their smallest form. */
export function accountsEngine(outside: Outside): Engine<Parts> {
  return {
    type: 'accounts',
    kind: 'secret',
    version: 'v1',
    description: 'makes accounts',
    codecs: [],
    open: parts => parts,
    rows: [
      row({
        path: 'creds/:role',
        fields: {
          role: captured('Name of the role.'),
          ttl: int({ description: 'Seconds.' }),
          max_ttl: int({ description: 'Seconds.' }),
        },
        help: { synopsis: 'An account.', description: 'An account.' },
        role: call => call.input.role,
        operations: {
          read: {
            access: 'policy',
            leases: true,
            async handler(call, { view, world }) {
              const name = `${call.input.role}-${world.entropy.base62(8)}`
              const settles = await view.intend('account', { name })
              await outside.create(name)
              return {
                kind: 'lease',
                secretType: 'account',
                data: { name },
                internal: { name },
                ttl: seconds(call.input.ttl),
                maxTtl: seconds(call.input.max_ttl),
                renewable: true,
                settles,
              }
            },
          },
        },
      }),
      row({
        path: 'alarm/:id',
        fields: { id: captured('Its name.'), after: int({ description: 'Seconds; 0 cancels.' }) },
        help: { synopsis: 'An alarm.', description: 'An alarm.' },
        operations: {
          update: {
            access: 'policy',
            async handler(call, { view }) {
              const { id, after } = call.input
              const at = after === 0 ? null : instant(call.now() + after * 1000)
              await view.commit([], { alarms: [{ kind: 'ring', id, at }] })
              return empty
            },
          },
        },
      }),
    ],
    leases: {
      account: {
        async renew(held) {
          await outside.extend()
          return { ttl: held.increment, maxTtl: seconds(0) }
        },
        revoke: held => outside.drop((held.internal as Internal).name),
      },
    },
    intents: { account: { undo: entry => outside.drop((entry as Internal).name) } },
    alarms: { ring: { fire: async id => void outside.rung.push(id) } },
  }
}
