import { captured, durationSeconds, stringList, stringMap, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { listOf, pagingFields } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { type Role, roleEntries, staticRoleEntries } from './entries.ts'
import { type DatabaseState, row } from './state.ts'

/** What credentials of both kinds of roles are. */
export const credentialFields = {
  credential_type: text({ description: 'password.', fallback: 'password' }),
  credential_config: stringMap({ description: 'password_policy: the policy by which passwords are made.' }),
} as const

const fields = {
  name: captured('Name of the role.'),
  db_name: text({ description: 'The connection that it uses.' }),
  creation_statements: stringList({ description: 'How an account is made: {{name}}, {{password}}, {{expiration}}.' }),
  revocation_statements: stringList({ description: "How it is taken back; default: the driver's." }),
  rollback_statements: stringList({ description: 'Kept and shown; a creation is one transaction.' }),
  renew_statements: stringList({ description: "How it is extended; default: the driver's." }),
  default_ttl: durationSeconds({ description: "Life of an account; 0 = the mount's." }),
  max_ttl: durationSeconds({ description: "Longest life; 0 = the mount's." }),
  ...credentialFields,
} as const

type RoleCall = Call<Input<typeof fields>>

/** @returns the policy by which passwords are made. @throws Fault for what isn't there */
export function policyOf(type: string, config: Readonly<Record<string, string>>): string {
  if (type !== 'password') throw fault('request.invalid', `invalid credential_type "${type}": this server has password`)
  for (const key of Object.keys(config)) {
    if (key !== 'password_policy')
      throw fault('request.invalid', `credential_config validation failed: "${key}" is no option of password`)
  }
  return config['password_policy'] ?? ''
}

/** Statements as Vault's clients send them: a list, one text, or a text that holds a JSON list. */
export function statementsOf(given: readonly string[]): readonly string[] {
  return given.flatMap(one => {
    if (!one.trim().startsWith('[')) return [one]
    try {
      const list = JSON.parse(one) as unknown
      return Array.isArray(list) && list.every(item => typeof item === 'string') ? list : [one]
    } catch {
      return [one]
    }
  })
}

/** @source openbao builtin/logical/database/path_roles.go: fields that aren't sent keep their value */
async function write({ input, sent }: RoleCall, { parts }: DatabaseState): Promise<Reply> {
  if ((await parts.view.get(staticRoleEntries.key(input.name))) !== null)
    throw fault('request.invalid', 'Role and Static Role names must be unique')
  const policy = policyOf(input.credential_type, input.credential_config)
  const max = input.max_ttl
  if (max > 0 && input.default_ttl > max) throw fault('request.invalid', 'default_ttl exceeds max_ttl')
  await parts.view.update(roleEntries.key(input.name), now => {
    const keep = <T>(key: keyof typeof fields, value: T, kept: T | undefined): T =>
      sent.has(key) || kept === undefined ? value : kept
    const role: Role = {
      dbName: keep('db_name', input.db_name, now?.dbName),
      creationStatements: keep('creation_statements', statementsOf(input.creation_statements), now?.creationStatements),
      revocationStatements: keep(
        'revocation_statements',
        statementsOf(input.revocation_statements),
        now?.revocationStatements,
      ),
      rollbackStatements: keep('rollback_statements', statementsOf(input.rollback_statements), now?.rollbackStatements),
      renewStatements: keep('renew_statements', statementsOf(input.renew_statements), now?.renewStatements),
      defaultTtl: keep('default_ttl', input.default_ttl, now?.defaultTtl),
      maxTtl: keep('max_ttl', max, now?.maxTtl),
      passwordPolicy: keep('credential_config', policy, now?.passwordPolicy),
    }
    if (role.dbName === '') throw fault('request.invalid', 'database name is required')
    return { entry: role, result: undefined }
  })
  return empty
}

export const shownCredential = (policy: string): Record<string, Json> => ({
  credential_type: 'password',
  ...(policy !== '' && { credential_config: { password_policy: policy } }),
})

const shown = (role: Role): Json => ({
  db_name: role.dbName,
  creation_statements: role.creationStatements,
  revocation_statements: role.revocationStatements,
  rollback_statements: role.rollbackStatements,
  renew_statements: role.renewStatements,
  default_ttl: role.defaultTtl,
  max_ttl: role.maxTtl,
  ...shownCredential(role.passwordPolicy),
})

export const roleRows = [
  row({
    path: 'roles',
    fields: pagingFields,
    operations: {
      list: {
        access: 'policy',
        summary: 'Names of all roles.',
        handler: (call, { parts }) => listOf(parts.view, roleEntries, '', call),
      },
    },
    help: { synopsis: 'Names of all roles.', description: '' },
  }),
  row({
    path: 'roles/:name',
    fields,
    exists: async ({ input }, { parts }) => (await parts.view.get(roleEntries.key(input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'A role.',
        async handler({ input }, { parts }) {
          const role = await parts.view.get(roleEntries.key(input.name))
          return role === null ? missing : { kind: 'data', data: shown(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a role.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role; its accounts live on until their leases end.',
        async handler({ input }, { parts }) {
          await parts.view.commit([drop(roleEntries.key(input.name))])
          return empty
        },
      },
    },
    help: { synopsis: 'How accounts are made, extended and taken back.', description: '' },
  }),
]
