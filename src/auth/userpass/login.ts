import type { Input } from '#ground/fields/field.ts'
import { captured } from '#ground/fields/kit.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, HeldLogin } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { isPasswordOf, passwordFields } from './password.ts'
import { row, type UserpassState } from './state.ts'
import { userEntries } from './user-entry.ts'

const fields = {
  username: captured('Name of the user; case does not count.'),
  password: passwordFields.password,
} as const

/** @source openbao builtin/credential/userpass/path_login.go: the order of the steps, and each text */
async function login(call: Call<Input<typeof fields>>, state: UserpassState): Promise<Reply> {
  const { username, password } = call.input
  if (password === '') throw fault('backend.failed_bare', 'missing password')
  const user = await state.parts.view.get(userEntries.key(username))
  const isRight = await isPasswordOf(user, password, state, call.signal)
  // One text and one time for both: who may ask is told the reason.
  if (user === null || !isRight) {
    const reason = user === null ? `there is no user "${username}"` : `the password of "${username}" is another`
    throw fault(user === null ? 'credentials.unknown' : 'credentials.refused', 'invalid username or password', {
      reason,
    })
  }
  const { parameters } = user.stored
  requireBoundAddress(parameters, call.remoteAddress)
  return {
    kind: 'login',
    login: {
      alias: { name: username, metadata: {} },
      displayName: username,
      metadata: { username },
      parameters,
      renewable: true,
      internal: { username },
    },
  }
}

/**
 * TTLs as the user has them now. With other policies it isn't the same login any more; without the user there is none.
 * @source openbao builtin/credential/userpass/path_login.go pathLoginRenew
 */
export async function renewLogin(held: HeldLogin, { parts }: UserpassState): Promise<Granted | null> {
  const { username } = held.login.internal as { username: string }
  const user = await parts.view.get(userEntries.key(username))
  if (user === null) return null
  const { policies, ttl, maxTtl, period } = user.stored.parameters
  if (!isSame(policies, held.login.parameters.policies)) {
    throw fault('request.invalid', 'policies have changed, not renewing', {
      reason: `user "${username}" has the policies ${policies.join(', ') || 'none'}; the token was made with ${held.login.parameters.policies.join(', ') || 'none'}`,
    })
  }
  return { ttl, maxTtl, period }
}

// Both are sorted and without doubles; `default` comes by itself and doesn't count.
function isSame(now: readonly string[], then: readonly string[]): boolean {
  const text = (names: readonly string[]): string => names.filter(name => name !== 'default').join(',')
  return text(now) === text(then)
}

export const loginRow = row({
  path: 'login/:username',
  fields,
  foldCase: true,
  alias: ({ input }) => ({ name: input.username, metadata: {} }),
  operations: { update: { access: 'login', summary: 'Log in with a name and a password.', handler: login } },
  help: {
    synopsis: 'Log in with a name and a password.',
    description: 'Who is refused too often in a row is locked out for a while.',
  },
})
