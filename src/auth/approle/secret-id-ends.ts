import { captured, text } from '#ground/fields/kit.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import { goQuote } from '#ground/text/quote.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { accessorKey, hmacOf, type Role, roleKey, type SecretId } from './entries.ts'
import { find, remove } from './secret-ids.ts'
import { type ApproleState, row } from './state.ts'

const role_name = captured('Name of the role; case does not count.')
const byId = { role_name, secret_id: text({ description: 'The secret id.', isSecret: true }) } as const
const byAccessor = { role_name, secret_id_accessor: text({ description: 'Its accessor.' }) } as const

// Vault's bare error: 500.
async function roleOf({ parts: { view } }: ApproleState, name: string): Promise<Role> {
  const role = await view.get(roleKey(name))
  if (role === null) throw fault('backend.failed', `role "${name}" does not exist`)
  return role
}

function shown(entry: SecretId): Reply {
  return {
    kind: 'data',
    data: {
      secret_id_accessor: entry.accessor,
      secret_id_num_uses: entry.numUses,
      secret_id_ttl: entry.ttl,
      creation_time: formatRfc3339Nano(entry.createdAt),
      expiration_time: entry.expiresAt === null ? '0001-01-01T00:00:00Z' : formatRfc3339Nano(entry.expiresAt),
      last_updated_time: formatRfc3339Nano(entry.updatedAt),
      metadata: entry.metadata,
      cidr_list: entry.cidrList,
      token_bound_cidrs: entry.tokenBoundCidrs,
    },
  }
}

async function lookUp(name: string, secretId: string, state: ApproleState): Promise<Reply> {
  if (secretId === '') throw fault('request.invalid', 'missing secret_id')
  const role = await roleOf(state, name)
  const entry = await find(state, role, hmacOf(role, secretId))
  return entry === null ? empty : shown(entry)
}

async function destroy(name: string, secretId: string, state: ApproleState): Promise<Reply> {
  if (secretId === '') throw fault('request.invalid', 'missing secret_id')
  const role = await roleOf(state, name)
  await remove(state, role, hmacOf(role, secretId))
  return empty
}

const unknown = (accessor: string): string =>
  `failed to find accessor entry for secret_id_accessor: ${goQuote(accessor)}`

/** The HMAC that an accessor stands for; null when the role has no such. No key is made of what can't be one. */
async function hmacBy(accessor: string, role: Role, { parts: { view } }: ApproleState): Promise<string | null> {
  if (!/^[\w-]{1,128}$/.test(accessor)) return null
  return (await view.get(accessorKey(role, accessor)))?.hmac ?? null
}

async function lookUpAccessor(name: string, accessor: string, state: ApproleState): Promise<Reply> {
  if (accessor === '') throw fault('request.invalid', 'missing secret_id_accessor')
  const role = await roleOf(state, name)
  const hmac = await hmacBy(accessor, role, state)
  const entry = hmac === null ? null : await find(state, role, hmac)
  if (entry !== null) return shown(entry)
  // No `errors`: clients take it as an answer with data.
  return { kind: 'data', status: 404, data: { error: unknown(accessor) } }
}

async function destroyAccessor(name: string, accessor: string, state: ApproleState): Promise<Reply> {
  if (accessor === '') throw fault('request.invalid', 'missing secret_id_accessor')
  const role = await roleOf(state, name)
  const hmac = await hmacBy(accessor, role, state)
  if (hmac === null) throw fault('backend.failed', unknown(accessor))
  await remove(state, role, hmac)
  return empty
}

export const secretIdEndRows = [
  row({
    path: 'role/:role_name/secret-id/lookup',
    fields: byId,
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'What is known of a secret id.',
        handler: ({ input }, state) => lookUp(input.role_name, input.secret_id.trim(), state),
      },
    },
    help: { synopsis: 'Look a secret id up.', description: '204 when it is none of the role.' },
  }),
  row({
    path: 'role/:role_name/secret-id/destroy',
    fields: byId,
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'Destroy a secret id.',
        handler: ({ input }, state) => destroy(input.role_name, input.secret_id.trim(), state),
      },
      delete: {
        access: 'policy',
        summary: 'Destroy a secret id.',
        handler: ({ input }, state) => destroy(input.role_name, input.secret_id.trim(), state),
      },
    },
    help: { synopsis: 'Destroy a secret id.', description: 'Tokens that it gave go on.' },
  }),
  row({
    path: 'role/:role_name/secret-id-accessor/lookup',
    fields: byAccessor,
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'What is known of the secret id behind an accessor.',
        handler: ({ input }, state) => lookUpAccessor(input.role_name, input.secret_id_accessor, state),
      },
    },
    help: { synopsis: 'Look a secret id up by its accessor.', description: 'Only among those of the role.' },
  }),
  row({
    path: 'role/:role_name/secret-id-accessor/destroy',
    fields: byAccessor,
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'Destroy the secret id behind an accessor.',
        handler: ({ input }, state) => destroyAccessor(input.role_name, input.secret_id_accessor, state),
      },
      delete: {
        access: 'policy',
        summary: 'Destroy the secret id behind an accessor.',
        handler: ({ input }, state) => destroyAccessor(input.role_name, input.secret_id_accessor, state),
      },
    },
    help: { synopsis: 'Destroy a secret id by its accessor.', description: 'Only among those of the role.' },
  }),
]
