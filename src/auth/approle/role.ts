import { bool, captured, commaList, durationSeconds, int, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { formatGoDuration } from '#ground/text/duration.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { applyTokenInput, noParameters, showTokenParameters, tokenFields } from '#backend/token-parameters.ts'
import { fault } from '#protocol/fault.ts'
import { requireBlocks } from './cidrs.ts'
import { type Role, roleEntries, roleKey } from './entries.ts'
import { changeRole, deleteRole } from './roles.ts'
import { type ApproleState, row } from './state.ts'

export const roleFields = {
  role_name: captured('Name of the role; case does not count.'),
  bind_secret_id: bool({ description: 'Logins need a secret id.', fallback: true }),
  secret_id_bound_cidrs: commaList({ description: 'Blocks of addresses that may log in.' }),
  bound_cidr_list: commaList({ description: 'Old name of secret_id_bound_cidrs.', isDeprecated: true }),
  secret_id_num_uses: int({ description: 'Logins that a secret id is good for; 0 = without limit.' }),
  secret_id_ttl: durationSeconds({ description: 'How long a secret id is good; 0 = without end.' }),
  role_id: text({ description: 'What logins name the role by; made by chance when not given.' }),
  local_secret_ids: bool({ description: 'Kept and shown; there is no replication. Only when the role is made.' }),
  ...tokenFields,
} as const

export type RoleInput = Input<typeof roleFields>

const bytesMax = 4096

/** What isn't sent stays as it is. @throws Fault with Vault's texts when the result can't be. */
export function mergedRole(now: Role, input: RoleInput, sent: ReadonlySet<string>): Role {
  const role: Role = {
    ...now,
    roleId: sent.has('role_id') ? input.role_id.trim() : now.roleId,
    bindSecretId: sent.has('bind_secret_id') ? input.bind_secret_id : now.bindSecretId,
    secretIdBoundCidrs: sent.has('secret_id_bound_cidrs')
      ? input.secret_id_bound_cidrs
      : sent.has('bound_cidr_list')
        ? input.bound_cidr_list
        : now.secretIdBoundCidrs,
    secretIdNumUses: sent.has('secret_id_num_uses') ? input.secret_id_num_uses : now.secretIdNumUses,
    secretIdTtl: sent.has('secret_id_ttl') ? input.secret_id_ttl : now.secretIdTtl,
    stored: applyTokenInput(now.stored, { ...input, token_type: plainType(input.token_type) }, sent),
  }
  if (role.roleId === '') {
    throw fault('request.invalid', 'invalid role_id supplied, or failed to generate a role_id')
  }
  if (Buffer.byteLength(role.roleId) > bytesMax) {
    throw fault('request.invalid', `role_id is longer than maximum of ${bytesMax} bytes`)
  }
  requireBlocks(role.secretIdBoundCidrs, 'invalid CIDR blocks')
  if (role.secretIdNumUses < 0) throw fault('request.invalid', 'secret_id_num_uses cannot be negative')
  return role
}

const plainType = (type: string): string =>
  type === 'default-service' ? 'service' : type === 'default-batch' ? 'batch' : type

export function requirePeriod({ stored }: Role, { parts }: ApproleState): void {
  const { period } = stored.parameters
  const max = parts.mount.maxTtl()
  if (period <= max) return
  const [asked, bound] = [goQuote(formatGoDuration(period)), goQuote(formatGoDuration(max))]
  throw fault('request.invalid', `period of ${asked} is greater than the backend's maximum lease TTL of ${bound}`)
}

async function write(call: Call<RoleInput>, state: ApproleState): Promise<Reply> {
  const { input, sent } = call
  const name = input.role_name
  if (Buffer.byteLength(name) > bytesMax) {
    throw fault('request.invalid', `role_name is longer than maximum of ${bytesMax} bytes`)
  }
  const role = await changeRole(state, name, now => {
    if (now === null && call.operation !== 'create') {
      // It was there when the policies were asked.
      throw fault('route.unknown', `role name ${goQuote(name)} doesn't exist`)
    }
    if (now !== null && sent.has('local_secret_ids')) {
      throw fault('request.invalid', 'local_secret_ids can only be modified during role creation')
    }
    const next = mergedRole(now ?? newRole(input, state), input, sent)
    requirePeriod(next, state)
    return next
  })
  const warnings = warningsOf(role, call, state)
  return warnings.length === 0 ? empty : { kind: 'empty', warnings }
}

function newRole(input: RoleInput, { parts }: ApproleState): Role {
  const { entropy } = parts.world
  return {
    uid: entropy.uuid(),
    roleId: entropy.uuid(),
    hmacKey: Buffer.from(entropy.bytes(32)).toString('hex'),
    bindSecretId: true,
    secretIdBoundCidrs: [],
    secretIdNumUses: 0,
    secretIdTtl: roleFields.secret_id_ttl.fallback,
    localSecretIds: input.local_secret_ids,
    stored: noParameters,
  }
}

function warningsOf({ stored }: Role, { input, sent }: Call<RoleInput>, { parts }: ApproleState): readonly string[] {
  const warnings: string[] = []
  const type = sent.has('token_type') ? input.token_type : ''
  if (type !== plainType(type)) {
    warnings.push(`${type} has no useful meaning; adjusting to ${plainType(type)}`)
  }
  if (stored.parameters.maxTtl > parts.mount.maxTtl()) {
    warnings.push(
      "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
    )
  }
  return warnings
}

/** Without the role id, which has a path of its own. */
export function showRole(role: Role): { readonly [name: string]: Json } {
  return {
    bind_secret_id: role.bindSecretId,
    secret_id_bound_cidrs: role.secretIdBoundCidrs.length === 0 ? null : role.secretIdBoundCidrs,
    secret_id_num_uses: role.secretIdNumUses,
    secret_id_ttl: role.secretIdTtl,
    local_secret_ids: role.localSecretIds,
    ...showTokenParameters(role.stored),
  }
}

export const roleRows = [
  namesRow<ApproleState>('role', roleEntries, 'Names of all roles.'),
  row({
    path: 'role/:role_name',
    fields: roleFields,
    foldCase: true,
    exists: async (call, { parts }) => (await parts.view.get(roleKey(call.input.role_name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a role.',
        async handler(call, { parts }) {
          const role = await parts.view.get(roleKey(call.input.role_name))
          return role === null ? missing : { kind: 'data', data: showRole(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a role: how logins are bound, what they get.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role with all its secret ids; its tokens can not be renewed any more.',
        async handler(call, state) {
          await deleteRole(state, call.input.role_name)
          return empty
        },
      },
    },
    help: { synopsis: 'What workloads log in as, and what they get.', description: 'A login needs a constraint.' },
  }),
]
