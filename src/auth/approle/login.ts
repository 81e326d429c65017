import type { Input } from '#ground/fields/field.ts'
import { text } from '#ground/fields/kit.ts'
import { goQuote } from '#ground/text/quote.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, HeldLogin } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { type Fault, fault } from '#protocol/fault.ts'
import { holdsAddress, subsetProblem } from './cidrs.ts'
import { type Role, roleKey, type SecretId } from './entries.ts'
import { findRole } from './roles.ts'
import { spend } from './secret-ids.ts'
import { type ApproleState, row } from './state.ts'

const fields = {
  role_id: text({ description: 'The role id.' }),
  secret_id: text({ description: 'A secret id of the role.', isSecret: true }),
} as const

type LoginCall = Call<Input<typeof fields>>

/** @source openbao builtin/credential/approle/path_login.go: the order of the steps, and each text */
async function login(call: LoginCall, state: ApproleState): Promise<Reply> {
  const roleId = call.input.role_id.trim()
  const secretId = call.input.secret_id.trim()
  if (roleId === '') throw fault('request.invalid', 'missing role_id')
  const found = await findRole(state, roleId)
  if (found !== null && !found.role.bindSecretId) return granted(found, null, call)
  if (found !== null && secretId === '') throw fault('request.invalid', 'missing secret_id')
  // Nobody's role id takes the same steps as a role's.
  const entry = await spend(state, found?.role ?? state.nobody, secretId)
  if (found === null) throw refused('credentials.unknown', 'no role has this role id')
  if (entry === null) {
    const reason = `the secret id is none of role "${found.name}": it never was, is over, used up or destroyed`
    throw refused('credentials.refused', reason)
  }
  requireAddressOf(entry, found.role, call.remoteAddress)
  return granted(found, entry, call)
}

const refused = (code: 'credentials.unknown' | 'credentials.refused', reason: string): Fault =>
  fault(code, 'invalid role or secret ID', { reason })

// Its use is taken, whatever comes now.
function requireAddressOf({ numUses, cidrList }: SecretId, role: Role, address: string): void {
  const problem = subsetProblem(role.secretIdBoundCidrs, cidrList)
  if (problem !== null) throw fault('backend.failed_bare', problem)
  if (holdsAddress(cidrList, address)) return
  const source = `source address ${goQuote(address)} unauthorized`
  throw fault(
    'request.invalid',
    numUses === 0
      ? `${source} through CIDR restrictions on the secret ID`
      : `${source} by CIDR restrictions on the secret ID: %!w(<nil>)`,
  )
}

function granted({ name, role }: { name: string; role: Role }, entry: SecretId | null, call: LoginCall): Reply {
  if (!holdsAddress(role.secretIdBoundCidrs, call.remoteAddress)) {
    const source = `source address ${goQuote(call.remoteAddress)} unauthorized`
    throw fault('request.invalid', `${source} by CIDR restrictions on the role: %!w(<nil>)`)
  }
  const narrowed = entry === null || entry.tokenBoundCidrs.length === 0 ? null : entry.tokenBoundCidrs
  const { parameters } = role.stored
  const bound = narrowed === null ? parameters : { ...parameters, boundCidrs: narrowed }
  requireBoundAddress(bound, call.remoteAddress)
  // The role's name last: no metadata of a secret id can claim to be of another.
  const metadata = { ...entry?.metadata, role_name: name }
  return {
    kind: 'login',
    login: {
      alias: { name: role.roleId, metadata },
      displayName: '',
      metadata,
      parameters: bound,
      renewable: true,
      internal: { role_name: name },
    },
  }
}

/** TTLs as the role says now. */
export async function renewLogin(held: HeldLogin, { parts }: ApproleState): Promise<Granted> {
  const { role_name: name } = held.login.internal as { role_name: string }
  const role = await parts.view.get(roleKey(name))
  if (role === null) throw fault('request.invalid', `role "${name}" does not exist during renewal`)
  const { ttl, maxTtl, period } = role.stored.parameters
  return { ttl, maxTtl, period }
}

export const loginRow = row({
  path: 'login',
  fields,
  role: async ({ input }, state) => (await findRole(state, input.role_id.trim()))?.name ?? null,
  alias({ input }) {
    const name = input.role_id.trim()
    // Vault finds out who it is before it looks at the login, and that error is a bare one.
    if (name === '') throw fault('backend.failed_bare', 'missing role_id')
    return { name, metadata: {} }
  },
  operations: { update: { access: 'login', summary: 'Log in with a role id and a secret id.', handler: login } },
  help: {
    synopsis: 'Log in with a role id and a secret id.',
    description: 'Without bind_secret_id the role id is enough.',
  },
})
