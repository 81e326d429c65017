import { instant } from '#ground/base/clock.ts'
import { captured, durationSeconds, stringList, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { matchGlob } from '#ground/text/glob.ts'
import type { Json } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import { listOf, pagingFields } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { credentialFields, policyOf, shownCredential, statementsOf } from './role.ts'
import { createStatic, rotateAlarm, rotateStatic } from './rotation.ts'
import { configEntries, roleEntries, type StaticRole, staticRoleEntries } from './entries.ts'
import { type DatabaseState, failed, row } from './state.ts'

const periodMin = 5

const fields = {
  name: captured('Name of the static role.'),
  db_name: text({ description: 'The connection that it uses.' }),
  username: text({ description: 'The account whose password is rotated; it must be there.' }),
  rotation_period: durationSeconds({ description: 'How often; 5 seconds at least.' }),
  rotation_statements: stringList({ description: "How the password is changed; default: the driver's." }),
  ...credentialFields,
} as const

type StaticCall = Call<Input<typeof fields>>

/** @source openbao builtin/logical/database/path_roles.go pathStaticRoleCreateUpdate */
async function write({ input, sent, signal }: StaticCall, state: DatabaseState): Promise<Reply> {
  const { view, world } = state.parts
  const key = staticRoleEntries.key(input.name)
  if ((await view.get(roleEntries.key(input.name))) !== null)
    throw fault('request.invalid', 'Role and Static Role names must be unique')
  const policy = policyOf(input.credential_type, input.credential_config)
  const now = await view.get(key)
  const dbName = input.db_name || now?.dbName || ''
  if (dbName === '') throw fault('request.invalid', 'database name is required')
  const username = input.username || now?.username || ''
  if (username === '') throw fault('request.invalid', 'username is a required field to create a static account')
  if (now !== null && username !== now.username) throw fault('request.invalid', 'cannot update static account username')
  const rotationPeriod = sent.has('rotation_period') ? input.rotation_period : now?.rotationPeriod
  if (rotationPeriod === undefined)
    throw fault('request.invalid', 'rotation_period is required to create static accounts')
  if (rotationPeriod < periodMin) throw fault('request.invalid', `rotation_period must be ${periodMin} seconds or more`)
  await checkAllowed(input.name, dbName, state)
  const role: StaticRole = {
    dbName,
    username,
    rotationPeriod,
    rotationStatements: sent.has('rotation_statements')
      ? statementsOf(input.rotation_statements)
      : (now?.rotationStatements ?? []),
    passwordPolicy: sent.has('credential_config') ? policy : (now?.passwordPolicy ?? policy),
    password: now?.password ?? null,
    pendingPassword: now?.pendingPassword ?? null,
    rotatedAt: now?.rotatedAt ?? world.clock.now(),
  }
  if (now === null) {
    await createStatic(input.name, role, state, signal)
    return empty
  }
  const at = instant(Math.max(role.rotatedAt + rotationPeriod * 1000, world.clock.now()))
  // What a rotation under way has written meanwhile stays.
  await view.update(key, entry => {
    const { password, pendingPassword, rotatedAt } = entry ?? role
    return {
      entry: { ...role, password, pendingPassword, rotatedAt },
      effects: { alarms: [{ kind: rotateAlarm, id: input.name, at }] },
      result: undefined,
    }
  })
  return empty
}

export async function checkAllowed(name: string, dbName: string, { parts }: DatabaseState): Promise<void> {
  const config = await parts.view.get(configEntries.key(dbName))
  if (config === null) throw fault('backend.failed', `failed to find entry for connection with name: "${dbName}"`)
  if (!config.allowedRoles.some(pattern => matchGlob(pattern, name)))
    throw fault('backend.failed_bare', `"${name}" is not an allowed role`)
}

const shown = (role: StaticRole): Json => ({
  db_name: role.dbName,
  username: role.username,
  rotation_period: role.rotationPeriod,
  rotation_statements: role.rotationStatements,
  ...shownCredential(role.passwordPolicy),
  last_vault_rotation: formatRfc3339Nano(role.rotatedAt),
})

async function credentials(call: Call<{ name: string }>, { parts }: DatabaseState): Promise<Reply> {
  const role = await parts.view.get(staticRoleEntries.key(call.input.name))
  if (role === null) throw fault('request.invalid', `unknown role: ${call.input.name}`)
  if (role.password === null) throw fault('backend.failed', 'the first rotation of the static role is not done yet')
  const left = role.rotatedAt + role.rotationPeriod * 1000 - call.now()
  return {
    kind: 'data',
    data: {
      username: role.username,
      password: role.password,
      ttl: Math.max(0, Math.floor(left / 1000)),
      rotation_period: role.rotationPeriod,
      last_vault_rotation: formatRfc3339Nano(role.rotatedAt),
    },
  }
}

export const staticRoleRows = [
  row({
    path: 'static-roles',
    fields: pagingFields,
    operations: {
      list: {
        access: 'policy',
        summary: 'Names of all static roles.',
        handler: (call, { parts }) => listOf(parts.view, staticRoleEntries, '', call),
      },
    },
    help: { synopsis: 'Names of all static roles.', description: '' },
  }),
  row({
    path: 'static-roles/:name',
    fields,
    exists: async ({ input }, { parts }) => (await parts.view.get(staticRoleEntries.key(input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'A static role.',
        async handler({ input }, { parts }) {
          const role = await parts.view.get(staticRoleEntries.key(input.name))
          return role === null ? missing : { kind: 'data', data: shown(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a static role; a new one rotates at once.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a static role; its account keeps its password.',
        async handler({ input }, { parts }) {
          const alarms = [{ kind: rotateAlarm, id: input.name, at: null }]
          await parts.view.commit([drop(staticRoleEntries.key(input.name))], { alarms })
          return empty
        },
      },
    },
    help: { synopsis: 'An account that is there, whose password is rotated.', description: '' },
  }),
  row({
    path: 'static-creds/:name',
    fields: { name: fields.name },
    operations: {
      read: { access: 'policy', summary: 'Name and password of a static role.', handler: credentials },
    },
    help: { synopsis: 'Name and password of a static role.', description: 'Without a lease: `ttl` says until when.' },
  }),
  row({
    path: 'rotate-role/:name',
    fields: { name: fields.name },
    operations: {
      update: {
        access: 'policy',
        summary: 'Rotate the password of a static role now.',
        async handler({ input, signal }, state) {
          if ((await state.parts.view.get(staticRoleEntries.key(input.name))) === null)
            throw fault('request.invalid', 'no static role found for role name')
          try {
            await rotateStatic(input.name, state, signal)
          } catch (error) {
            const lead = 'unable to finish rotating credentials; retries will continue'
            throw failed(lead, error)
          }
          return empty
        },
      },
    },
    help: { synopsis: 'Rotate the password of a static role now.', description: '' },
  }),
]
