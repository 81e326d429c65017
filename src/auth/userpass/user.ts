import type { Input } from '#ground/fields/field.ts'
import { captured } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import {
  applyTokenInput,
  noParameters,
  noTokenInput,
  showTokenParameters,
  tokenFields,
} from '#backend/token-parameters.ts'
import { fault } from '#protocol/fault.ts'
import { hashOf, passwordFields } from './password.ts'
import { row, type UserpassState } from './state.ts'
import { type User, userEntries } from './user-entry.ts'

const username = captured('Name of the user; case does not count.')

const fields = { username, ...passwordFields, ...tokenFields } as const
const policyFields = { username, token_policies: tokenFields.token_policies, policies: tokenFields.policies } as const
const ownPasswordFields = { username, ...passwordFields } as const

/** What isn't sent stays; only a new user must have a password. @source openbao builtin/credential/userpass */
async function write(call: Call<Input<typeof fields>>, state: UserpassState): Promise<Reply> {
  const { input, sent } = call
  const key = userEntries.key(input.username)
  const isPasswordSent = sent.has('password') || sent.has('password_hash')
  if (!isPasswordSent && (await state.parts.view.get(key)) === null) throw fault('request.invalid', 'missing password')
  const hash = isPasswordSent ? await hashOf(input, state) : null
  return state.parts.view.update<User, Reply>(key, now => {
    const kept = hash ?? now?.hash
    // It was deleted meanwhile.
    if (kept === undefined) throw fault('request.invalid', 'missing password')
    return { entry: { hash: kept, stored: applyTokenInput(now?.stored ?? noParameters, input, sent) }, result: empty }
  })
}

// The two paths for parts of a user change one that is there; Vault's bare error is 500.
const nobody = (): Error => fault('backend.failed', 'username does not exist')

async function writePassword(call: Call<Input<typeof ownPasswordFields>>, state: UserpassState): Promise<Reply> {
  const key = userEntries.key(call.input.username)
  if ((await state.parts.view.get(key)) === null) throw nobody()
  const hash = await hashOf(call.input, state)
  return state.parts.view.update<User, Reply>(key, now => {
    if (now === null) throw nobody()
    return { entry: { ...now, hash }, result: empty }
  })
}

async function writePolicies(call: Call<Input<typeof policyFields>>, state: UserpassState): Promise<Reply> {
  return state.parts.view.update<User, Reply>(userEntries.key(call.input.username), now => {
    if (now === null) throw nobody()
    const input = { ...noTokenInput, ...call.input }
    return { entry: { ...now, stored: applyTokenInput(now.stored, input, call.sent) }, result: empty }
  })
}

export const userRows = [
  namesRow<UserpassState>('users', userEntries, 'Names of all users.'),
  row({
    path: 'users/:username',
    fields,
    foldCase: true,
    exists: async (call, { parts }) => (await parts.view.get(userEntries.key(call.input.username))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a user, without the password.',
        async handler(call, { parts }) {
          const user = await parts.view.get(userEntries.key(call.input.username))
          return user === null ? missing : { kind: 'data', data: showTokenParameters(user.stored) }
        },
      },
      update: { access: 'policy', summary: 'Write a user: password, and what their tokens may.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a user; their tokens run out and can not be renewed any more.',
        async handler(call, { parts }) {
          await parts.view.commit([drop(userEntries.key(call.input.username))])
          return empty
        },
      },
    },
    help: { synopsis: 'Who may log in, and what they get.', description: 'Passwords are kept as bcrypt hashes.' },
  }),
  row({
    path: 'users/:username/password',
    fields: ownPasswordFields,
    foldCase: true,
    operations: {
      update: { access: 'policy', summary: 'Set the password of a user.', handler: writePassword },
    },
    help: {
      synopsis: 'Set the password of a user.',
      description: 'A path of its own, so that a policy can let users do this and nothing else.',
    },
  }),
  row({
    path: 'users/:username/policies',
    fields: policyFields,
    foldCase: true,
    operations: {
      update: { access: 'policy', summary: 'Set the policies of a user.', handler: writePolicies },
    },
    help: { synopsis: 'Set the policies of a user.', description: 'All else of the user stays.' },
  }),
]
