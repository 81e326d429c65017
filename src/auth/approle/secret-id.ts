import type { Input } from '#ground/fields/field.ts'
import { captured, commaList, durationSeconds, int, text } from '#ground/fields/kit.ts'
import { seconds } from '#ground/base/clock.ts'
import type { Call } from '#backend/call.ts'
import { listOf, pagingFields } from '#backend/listing.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { requireBlocks, subsetProblem } from './cidrs.ts'
import { accessorEntries, type Role, roleKey } from './entries.ts'
import { parseMetadata } from './metadata.ts'
import { boundedTtl, type Draft, noRole, register, secretIdBytesMax } from './secret-ids.ts'
import { type ApproleState, row } from './state.ts'

const options = {
  role_name: captured('Name of the role; case does not count.'),
  metadata: text({ description: 'A JSON object of texts, as text; it becomes metadata of the tokens.' }),
  cidr_list: commaList({ description: "Blocks of addresses that may log in with it; within the role's." }),
  token_bound_cidrs: commaList({ description: "Blocks of addresses that may use its tokens; within the role's." }),
  num_uses: int({ description: 'Logins that it is good for; as the role says when not sent.' }),
  ttl: durationSeconds({ description: 'How long it is good; as the role says when not sent.' }),
} as const

const ownFields = {
  ...options,
  secret_id: text({ description: 'The secret id, thought up by the caller.', isSecret: true }),
} as const

type OptionsCall = Call<Input<typeof options>>

/** @source openbao builtin/credential/approle/path_role.go handleRoleSecretIDCommon: the order of the checks, and each text */
async function make(call: OptionsCall, state: ApproleState, chosen: string | null): Promise<Reply> {
  const name = call.input.role_name
  if (chosen === '') throw fault('request.invalid', 'missing secret_id')
  const role = await state.parts.view.get(roleKey(name))
  if (role === null) throw noRole(name)
  if (!role.bindSecretId) throw fault('request.invalid', 'bind_secret_id is not set on the role')
  if (chosen !== null && Buffer.byteLength(chosen) > secretIdBytesMax) {
    const text = `failed to create HMAC of secret ID: value is longer than maximum of ${secretIdBytesMax} bytes`
    throw fault('backend.failed', `failed to store secret_id: ${text}`)
  }
  const secretId = chosen ?? state.parts.world.entropy.uuid()
  const draft = draftOf(call, role)
  const made = await register(state, { name, owner: role, isChosen: chosen !== null }, secretId, draft)
  return {
    kind: 'data',
    data: {
      secret_id: secretId,
      secret_id_accessor: made.accessor,
      secret_id_num_uses: made.numUses,
      secret_id_ttl: boundedTtl(made.ttl, state),
    },
    // Asks for no wrapping; who does shows the accessor.
    wrap: { ttlSeconds: seconds(0), accessor: made.accessor },
  }
}

function draftOf({ input, sent }: OptionsCall, role: Role): Draft {
  requireBlocks(input.cidr_list, 'failed to validate CIDR blocks')
  requireSubset(role.secretIdBoundCidrs, input.cidr_list)
  requireBlocks(input.token_bound_cidrs, 'failed to validate token CIDR blocks')
  requireSubset(role.stored.parameters.boundCidrs, input.token_bound_cidrs)
  const numUses = sent.has('num_uses') ? input.num_uses : role.secretIdNumUses
  if (numUses < 0) throw fault('request.invalid', 'num_uses cannot be negative')
  if (isBeyond(numUses, role.secretIdNumUses)) {
    throw fault('request.invalid', "num_uses cannot be higher than the role's secret_id_num_uses")
  }
  const ttl = sent.has('ttl') ? input.ttl : role.secretIdTtl
  if (isBeyond(ttl, role.secretIdTtl)) {
    throw fault('request.invalid', "ttl cannot be longer than the role's secret_id_ttl")
  }
  const metadata = parseMetadata(input.metadata)
  return { numUses, ttl, metadata, cidrList: input.cidr_list, tokenBoundCidrs: input.token_bound_cidrs }
}

// 0 is without limit, on both sides.
const isBeyond = (asked: number, bound: number): boolean => bound > 0 && (asked === 0 || asked > bound)

function requireSubset(ofRole: readonly string[], asked: readonly string[]): void {
  const problem = subsetProblem(ofRole, asked)
  if (problem !== null) throw fault('backend.failed', problem)
}

export const secretIdRows = [
  row({
    path: 'role/:role_name/secret-id',
    fields: { ...options, ...pagingFields },
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'Make a secret id; it is shown this once.',
        handler: (call, state) => make(call, state, null),
      },
      list: {
        access: 'policy',
        summary: 'Accessors of the secret ids of a role.',
        async handler(call, { parts: { view } }) {
          const role = await view.get(roleKey(call.input.role_name))
          if (role === null) throw fault('request.invalid', `role "${call.input.role_name}" does not exist`)
          return listOf(view, accessorEntries, `${role.uid}/`, call)
        },
      },
    },
    help: { synopsis: 'Make secret ids.', description: 'Kept as an HMAC: nobody reads one a second time.' },
  }),
  row({
    path: 'role/:role_name/custom-secret-id',
    fields: ownFields,
    foldCase: true,
    operations: {
      update: {
        access: 'policy',
        summary: 'Take a secret id that was thought up elsewhere.',
        handler: (call, state) => make(call, state, call.input.secret_id.trim()),
      },
    },
    help: { synopsis: 'Take a secret id of your own.', description: 'One made here is harder to guess.' },
  }),
]
