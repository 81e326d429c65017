import { captured, shown, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { policyText } from '#core/policy/parse.ts'
import { fault } from '#protocol/fault.ts'
import { PasswordPolicyError, parsePasswordPolicy } from './password-policy.ts'
import { unknownPolicy } from './password-shelf.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const fields = {
  name: captured('Name of the password policy.'),
  policy: text({ description: 'length and rule "charset" blocks, in HCL or base64 of it.' }),
}

async function write({ input }: Call<{ name: string; policy: string }>, state: SystemState): Promise<Reply> {
  if (input.policy === '') throw fault('request.invalid', 'missing policy')
  const policy = policyText(input.policy)
  try {
    parsePasswordPolicy(policy)
  } catch (error) {
    if (!(error instanceof PasswordPolicyError)) throw error
    const isLength = error.message.startsWith('passwords must be')
    throw fault('request.invalid', isLength ? error.message : `invalid password policy: ${error.message}`)
  }
  await state.house().passwords.put(input.name, policy)
  return empty
}

async function read({ input }: Call<{ name: string }>, state: SystemState): Promise<Reply> {
  const policy = await state.house().passwords.get(input.name)
  if (policy === null) throw unknownPolicy()
  return { kind: 'data', data: { policy } }
}

/** `sys/policies/password`: how engines make passwords. @source openbao vault/logical_system.go */
export const passwordPolicyRows: readonly SystemRow[] = [
  row({
    path: 'policies/password',
    fields: {},
    operations: {
      list: {
        access: 'policy',
        summary: 'Names of all password policies.',
        handler: async (_call, state) => ({ kind: 'list', keys: await state.house().passwords.names() }),
      },
    },
    help: { synopsis: 'Names of all password policies.', description: '' },
  }),
  row({
    path: 'policies/password/:name',
    fields,
    operations: {
      read: { access: 'policy', summary: 'Read a password policy.', handler: read },
      update: { access: 'policy', summary: 'Write a password policy.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a password policy.',
        async handler({ input }, state) {
          await state.house().passwords.remove(input.name)
          return empty
        },
      },
    },
    help: {
      synopsis: 'Read, write and delete a password policy.',
      description: 'Engines that make passwords name one by `password_policy`.',
    },
  }),
  row({
    path: 'policies/password/:name/generate',
    fields: { name: fields.name },
    operations: {
      read: {
        access: 'policy',
        summary: 'A password by the policy.',
        reply: { password: shown.text('The password; nobody keeps it.') },
        handler: async ({ input }, state) => ({
          kind: 'data',
          data: { password: await state.house().passwords.generate(input.name) },
        }),
      },
    },
    help: { synopsis: 'A password by the policy.', description: 'For trying a policy out.' },
  }),
]
