import { captured, durationSeconds, stringList, stringMap, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { planOf, shownPlan } from './credential.ts'
import { type CredentialPlan, type Role, roleEntries, staticRoleEntries } from './entries.ts'
import { type DatabaseState, row, tell } from './state.ts'

/** What credentials of both kinds of roles are. */
export const credentialFields = {
  credential_type: text({ description: 'password, rsa_private_key or client_certificate.', fallback: 'password' }),
  credential_config: stringMap({
    description: 'Options of the type: password_policy; key_bits; common_name_template, …',
    isSecret: true,
  }),
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

/** What was sent of it over what is kept: another type begins with no options. @throws Fault for what can't be */
export function mergedPlan(
  input: { readonly credential_type: string; readonly credential_config: Readonly<Record<string, string>> },
  sent: ReadonlySet<string>,
  kept: CredentialPlan | undefined,
): CredentialPlan {
  const kind = sent.has('credential_type') || kept === undefined ? input.credential_type : kept.kind
  const isSame = kept !== undefined && kept.kind === kind
  return planOf(kind, sent.has('credential_config') || !isSame ? input.credential_config : kept.options)
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
async function write({ input, sent }: RoleCall, state: DatabaseState): Promise<Reply> {
  const { parts } = state
  if ((await parts.view.get(staticRoleEntries.key(input.name))) !== null)
    throw fault('request.invalid', 'Role and Static Role names must be unique')
  const isNew = await parts.view.update<Role, boolean>(roleEntries.key(input.name), now => {
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
      maxTtl: keep('max_ttl', input.max_ttl, now?.maxTtl),
      credential: mergedPlan(input, sent, now?.credential),
    }
    if (role.dbName === '') throw fault('request.invalid', 'database name is required')
    if (role.maxTtl > 0 && role.defaultTtl > role.maxTtl) throw fault('request.invalid', 'default_ttl exceeds max_ttl')
    return { entry: role, result: now === null }
  })
  const path = `roles/${input.name}`
  tell(state, isNew ? 'role-create' : 'role-update', path, path)
  return empty
}

const shown = (role: Role): Json => ({
  db_name: role.dbName,
  creation_statements: role.creationStatements,
  revocation_statements: role.revocationStatements,
  rollback_statements: role.rollbackStatements,
  renew_statements: role.renewStatements,
  default_ttl: role.defaultTtl,
  max_ttl: role.maxTtl,
  ...shownPlan(role.credential),
})

export const roleRows = [
  namesRow<DatabaseState>('roles', roleEntries, 'Names of all roles.'),
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
        async handler({ input }, state) {
          await state.parts.view.commit([drop(roleEntries.key(input.name))])
          tell(state, 'role-delete', `roles/${input.name}`, `roles/${input.name}`)
          return empty
        },
      },
    },
    help: { synopsis: 'How accounts are made, extended and taken back.', description: '' },
  }),
]
