import type { Maybe } from '#ground/base/brand.ts'
import type { Seconds } from '#ground/base/clock.ts'
import { captured, durationSeconds, shown, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import type { Engine, Row, TokenKey } from '#backend/engine.ts'
import { pagingFields } from '#backend/listing.ts'
import { empty, type Reply } from '#backend/reply.ts'
import type { TokenEntry } from '#core/tokens/entry.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import { authBlock, lookupData } from '#core/tokens/render.ts'
import { fault } from '#protocol/fault.ts'
import { builtinVersion } from '#protocol/version.ts'
import { create, createFields, roleNamed } from './create.ts'
import { pagesOf } from './pages.ts'
import { roleRows } from './roles.ts'
import { row, type TokenState } from './state.ts'

const tokenField = text({ description: 'The token.', isSecret: true })
const accessorField = text({ description: 'The accessor of the token.' })
const incrementField = durationSeconds({ description: 'How long the token should live from now; the mount bounds it.' })

function lookup(call: Call, state: TokenState, token: string): Maybe<Reply> {
  const live = state.tokens.find(token)
  return live instanceof Promise ? live.then(one => described(call, one)) : described(call, live)
}

function described(call: Call, live: LiveToken | null): Reply {
  if (live === null) throw fault('permission.bare', 'bad token')
  return { kind: 'data', data: lookupData(live.audited.token, live.entry, live.caller.identityPolicies, call.now()) }
}

/** The caller's copy is from before this request took its use; what is shown counts it: -1 is a token's last. */
async function lookupCounted(call: Call, state: TokenState, live: LiveToken): Promise<Reply> {
  const entry = await state.tokens.entry(live.key)
  return described(call, entry === null ? null : { ...live, entry })
}

function lookupSelf(call: Call, state: TokenState): Maybe<Reply> {
  const live = state.callerOf(call)
  return live === null || live.entry.numUses === 0 ? described(call, live) : lookupCounted(call, state, live)
}

async function found(accessor: string, state: TokenState): Promise<{ key: TokenKey; entry: TokenEntry }> {
  if (accessor === '') throw fault('request.invalid', '1 error occurred:\n\t* missing accessor\n\n')
  const token = await state.tokens.byAccessor(accessor)
  if (token === null) throw fault('request.invalid', '1 error occurred:\n\t* invalid accessor\n\n')
  return token
}

/** A batch token is kept nowhere: there is nothing to extend or to end. */
async function refuseBatch(state: TokenState, token: string, what: 'renewed' | 'revoked'): Promise<void> {
  const isBatch = (await state.tokens.find(token))?.entry.type === 'batch'
  if (isBatch) throw fault('request.invalid', `batch tokens cannot be ${what}`)
}

async function renew(call: Call, state: TokenState, key: TokenKey, token: string, increment: Seconds): Promise<Reply> {
  const renewed = await state.renewals.renew(key, increment, call)
  if (renewed === null) return empty
  const auth = authBlock(token, renewed.entry, await state.identityPolicies(renewed.entry.entityId), renewed.ttl)
  return { kind: 'auth', auth, ...(renewed.warnings.length > 0 && { warnings: renewed.warnings }) }
}

/** Leases whose token is gone are part of it. */
function tidy(_call: Call, { tokens, leases }: TokenState): Reply {
  const isNew = tokens.tidy.begin()
  if (isNew) leases.tidy(async token => (await tokens.entry(token)) !== null)
  const text = isNew
    ? "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."
    : 'Tidy operation already in progress.'
  return { kind: 'data', data: null, status: 202, warnings: [text] }
}

const createHelp = {
  synopsis: 'Make a token.',
  description: 'The new token is a child of the one that asks, and ends with it, unless it is made an orphan.',
}

export const tokenRows: readonly Row<TokenState>[] = [
  row({
    path: 'create',
    fields: createFields,
    operations: {
      update: {
        access: 'policy',
        leases: true,
        summary: 'Create a token.',
        handler: (call, state) => create(call, state, { isOrphanPath: false, role: null }),
      },
    },
    help: createHelp,
  }),
  row({
    path: 'create-orphan',
    fields: createFields,
    operations: {
      update: {
        access: 'policy',
        leases: true,
        summary: 'Create an orphan token.',
        handler: (call, state) => create(call, state, { isOrphanPath: true, role: null }),
      },
    },
    help: createHelp,
  }),
  row({
    path: 'create/:role_name',
    fields: { ...createFields, role_name: captured('Name of the token role.') },
    operations: {
      update: {
        access: 'policy',
        leases: true,
        summary: 'Create a token by a role.',
        handler: async (call, state) =>
          create(call, state, { isOrphanPath: false, role: await roleNamed(call.input.role_name, state) }),
      },
    },
    help: createHelp,
  }),
  row({
    path: 'lookup',
    fields: { token: tokenField },
    operations: {
      read: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
      update: {
        access: 'policy',
        summary: 'Look up a token.',
        reply: { id: shown.text('The token.'), ttl: shown.int('Seconds left; 0 never ends.') },
        handler: (call, state) =>
          call.input.token === '' ? lookupSelf(call, state) : lookup(call, state, call.input.token),
      },
    },
    help: {
      synopsis: 'Show what is known of a token.',
      description: 'Without a token in the body: of the one that asks.',
    },
  }),
  row({
    path: 'lookup-self',
    fields: { token: tokenField },
    operations: {
      read: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
      update: { access: 'policy', summary: 'Look up the calling token.', handler: lookupSelf },
    },
    help: { synopsis: 'Show what is known of the calling token.', description: 'A token in the body is ignored.' },
  }),
  row({
    path: 'lookup-accessor',
    fields: { accessor: accessorField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Look up a token by its accessor.',
        async handler(call, state) {
          const { entry } = await found(call.input.accessor, state)
          return { kind: 'data', data: lookupData('', entry, await state.identityPolicies(entry.entityId), call.now()) }
        },
      },
    },
    help: {
      synopsis: 'Show what is known of a token, by its accessor.',
      description: 'The token itself is not shown.',
    },
  }),
  row({
    path: 'renew',
    fields: { token: tokenField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew a token.',
        async handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          await refuseBatch(state, call.input.token, 'renewed')
          return renew(call, state, state.tokens.key(call.input.token), call.input.token, call.input.increment)
        },
      },
    },
    help: {
      synopsis: 'Extend the life of a token.',
      description: 'The increment counts from now; the maximum TTL bounds it.',
    },
  }),
  row({
    path: 'renew-self',
    fields: { token: tokenField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew the calling token.',
        async handler(call, state) {
          const caller = state.callerOf(call)
          if (caller === null) throw fault('request.invalid', 'token not found')
          if (caller.entry.type === 'batch') throw fault('request.invalid', 'batch tokens cannot be renewed')
          return renew(call, state, caller.key, caller.audited.token, call.input.increment)
        },
      },
    },
    help: {
      synopsis: 'Extend the life of the calling token.',
      description: 'The increment counts from now; the maximum TTL bounds it.',
    },
  }),
  row({
    path: 'renew-accessor',
    fields: { accessor: accessorField, increment: incrementField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Renew a token by its accessor.',
        async handler(call, state) {
          const { key } = await found(call.input.accessor, state)
          return renew(call, state, key, '', call.input.increment)
        },
      },
    },
    help: { synopsis: 'Extend the life of a token, by its accessor.', description: 'The token itself is not shown.' },
  }),
  row({
    path: 'revoke',
    fields: { token: tokenField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke a token and its children.',
        async handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          await refuseBatch(state, call.input.token, 'revoked')
          await state.tokens.revoke(state.tokens.key(call.input.token))
          return empty
        },
      },
    },
    help: { synopsis: 'End a token and all that it made.', description: 'A token that is unknown is ended already.' },
  }),
  row({
    path: 'revoke-self',
    fields: {},
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke the calling token and its children.',
        async handler(call, state) {
          const caller = state.callerOf(call)
          if (caller?.entry.type === 'batch') throw fault('request.invalid', 'batch tokens cannot be revoked')
          if (caller !== null) await state.tokens.revoke(caller.key)
          return empty
        },
      },
    },
    help: { synopsis: 'End the calling token and all that it made.', description: '' },
  }),
  row({
    path: 'revoke-accessor',
    fields: { accessor: accessorField },
    operations: {
      update: {
        access: 'policy',
        summary: 'Revoke a token by its accessor.',
        async handler(call, state) {
          if (call.input.accessor === '') throw fault('request.invalid', '1 error occurred:\n\t* missing accessor\n\n')
          const token = await state.tokens.byAccessor(call.input.accessor)
          if (token === null) return { kind: 'empty', warnings: ['No token found with this accessor'] }
          await state.tokens.revoke(token.key)
          return empty
        },
      },
    },
    help: { synopsis: 'End a token and all that it made, by its accessor.', description: '' },
  }),
  row({
    path: 'revoke-orphan',
    fields: { token: tokenField },
    operations: {
      update: {
        access: 'sudo',
        summary: 'Revoke a token; its children become orphans.',
        async handler(call, state) {
          if (call.input.token === '') throw fault('request.invalid', 'missing token ID')
          await refuseBatch(state, call.input.token, 'revoked')
          const isEnded = await state.tokens.revokeOrphaning(state.tokens.key(call.input.token))
          if (!isEnded) throw fault('request.invalid', 'token to revoke not found')
          return empty
        },
      },
    },
    help: { synopsis: 'End a token but not what it made.', description: 'Its children live on as orphans.' },
  }),
  row({
    path: 'accessors',
    fields: pagingFields,
    operations: {
      list: {
        access: 'sudo',
        summary: 'List the accessors of all tokens.',
        async handler(call, state) {
          return { kind: 'list', keys: await pagesOf(paging => state.tokens.shelf.accessors(paging), call.input) }
        },
      },
    },
    help: { synopsis: 'List the accessors of all tokens.', description: 'Needs sudo: who has an accessor can revoke.' },
  }),
  row({
    path: 'tidy',
    fields: {},
    operations: {
      update: { access: 'policy', summary: 'Look for what ended tokens left behind.', handler: tidy },
    },
    help: {
      synopsis: 'Look for what ended tokens left behind.',
      description: 'Goes on in the background; the log says what was found.',
    },
  }),
  ...roleRows,
]

/** The built-in method at `auth/token/`. */
export function tokenEngine(state: TokenState): Engine<TokenState> {
  return {
    type: 'token',
    kind: 'auth',
    version: builtinVersion,
    description: 'token based credentials',
    codecs: [],
    rows: tokenRows,
    open: () => state,
  }
}
