import { seconds } from '#ground/base/clock.ts'
import { bool, captured, durationSeconds, stringList, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { matchGlob } from '#ground/text/glob.ts'
import type { Json } from '#ground/text/json.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { shownMaterial, shownPlan } from './credential.ts'
import { configEntries, roleEntries, type StaticRole, staticRoleEntries } from './entries.ts'
import { credentialFields, mergedPlan, statementsOf } from './role.ts'
import { keepStatic, nextRotation, rotateAlarm, rotateNow } from './rotation.ts'
import { parseSchedule, ScheduleProblem } from './schedule.ts'
import { type DatabaseState, failed, inTurn, row, tell } from './state.ts'

const periodMin = 5
const windowMin = 3600

const fields = {
  name: captured('Name of the static role.'),
  db_name: text({ description: 'The connection that it uses.' }),
  username: text({ description: 'The account whose password is rotated; it must be there.' }),
  rotation_period: durationSeconds({ description: 'How often; 5 seconds at least.' }),
  rotation_schedule: text({ description: 'When, in the five fields of cron, UTC; instead of a period.' }),
  rotation_window: durationSeconds({
    description: 'How long after its time a scheduled rotation may be done; 1 h at least.',
  }),
  rotation_statements: stringList({ description: "How the password is changed; default: the driver's." }),
  skip_import_rotation: bool({ description: 'A new role is first rotated when it is due.' }),
  ...credentialFields,
} as const

type StaticCall = Call<Input<typeof fields>>

/** @source openbao builtin/logical/database/path_roles.go pathStaticRoleCreateUpdate; hv docs, schedules */
async function write(call: StaticCall, state: DatabaseState): Promise<Reply> {
  const { input } = call
  const { view } = state.parts
  if ((await view.get(roleEntries.key(input.name))) !== null)
    throw fault('request.invalid', 'Role and Static Role names must be unique')
  const before = await view.get(staticRoleEntries.key(input.name))
  const dbName = input.db_name || before?.dbName || ''
  if (dbName === '') throw fault('request.invalid', 'database name is required')
  merged(call, before)
  await checkAllowed(input.name, dbName, state)
  await keepStatic(
    input.name,
    now => ({ role: merged(call, now), rotates: now === null && !input.skip_import_rotation }),
    state,
  )
  return empty
}

function merged(call: StaticCall, before: StaticRole | null): StaticRole {
  const { input, sent } = call
  const username = input.username || before?.username || ''
  if (username === '') throw fault('request.invalid', 'username is a required field to create a static account')
  if (before !== null && username !== before.username)
    throw fault('request.invalid', 'cannot update static account username')
  const credential = mergedPlan(input, sent, before?.credential)
  if (credential.kind === 'client_certificate')
    throw fault(
      'request.invalid',
      'unsupported credential_type: "client_certificate": a static role has a password or an RSA key',
    )
  const timing = timingOf({ input, sent }, before)
  const isNewTiming =
    timing.rotationPeriod !== before?.rotationPeriod || timing.rotationSchedule !== before.rotationSchedule
  const from = before?.rotatedAt ?? call.now()
  return {
    dbName: input.db_name || before?.dbName || '',
    username,
    ...timing,
    rotationStatements: sent.has('rotation_statements')
      ? statementsOf(input.rotation_statements)
      : (before?.rotationStatements ?? []),
    credential,
    current: before?.current ?? null,
    pending: before?.pending ?? null,
    rotatedAt: before?.rotatedAt ?? null,
    // A schedule counts from now on: what its past would have asked for is not made up for.
    nextAt:
      before !== null && !isNewTiming
        ? before.nextAt
        : nextRotation(timing, timing.rotationSchedule === '' ? from : call.now()),
  }
}

type Timing = Pick<StaticRole, 'rotationPeriod' | 'rotationSchedule' | 'rotationWindow'>

function timingOf({ input, sent }: Pick<StaticCall, 'input' | 'sent'>, before: StaticRole | null): Timing {
  const hasPeriod = sent.has('rotation_period')
  const hasSchedule = sent.has('rotation_schedule') && input.rotation_schedule !== ''
  if (hasPeriod && hasSchedule)
    throw fault(
      'request.invalid',
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    )
  const rotationSchedule = hasSchedule ? input.rotation_schedule : hasPeriod ? '' : (before?.rotationSchedule ?? '')
  const asked = sent.has('rotation_window')
    ? input.rotation_window
    : rotationSchedule === ''
      ? seconds(0)
      : before?.rotationWindow
  const rotationWindow = asked ?? seconds(0)
  if (rotationSchedule === '') {
    if (rotationWindow > 0) throw fault('request.invalid', 'rotation_window is invalid with use of rotation_period')
    const rotationPeriod = hasPeriod ? input.rotation_period : before?.rotationPeriod
    if (rotationPeriod === undefined)
      throw fault('request.invalid', 'rotation_period is required to create static accounts')
    if (rotationPeriod < periodMin)
      throw fault('request.invalid', `rotation_period must be ${periodMin} seconds or more`)
    return { rotationPeriod, rotationSchedule, rotationWindow }
  }
  if (rotationWindow > 0 && rotationWindow < windowMin)
    throw fault('request.invalid', `rotation_window must be ${windowMin} seconds or more`)
  try {
    parseSchedule(rotationSchedule)
  } catch (error) {
    if (!(error instanceof ScheduleProblem)) throw error
    throw fault('request.invalid', `could not parse rotation_schedule: ${error.message}`)
  }
  return { rotationPeriod: seconds(0), rotationSchedule, rotationWindow }
}

export async function checkAllowed(name: string, dbName: string, { parts }: DatabaseState): Promise<void> {
  const config = await parts.view.get(configEntries.key(dbName))
  if (config === null) throw fault('backend.failed', `failed to find entry for connection with name: "${dbName}"`)
  if (!config.allowedRoles.some(pattern => matchGlob(pattern, name)))
    throw fault('backend.failed_bare', `"${name}" is not an allowed role`)
}

const shownTiming = ({
  rotationPeriod,
  rotationSchedule,
  rotationWindow,
  rotatedAt,
}: StaticRole): Record<string, Json> => ({
  ...(rotationSchedule === ''
    ? { rotation_period: rotationPeriod }
    : { rotation_schedule: rotationSchedule, ...(rotationWindow > 0 && { rotation_window: rotationWindow }) }),
  ...(rotatedAt !== null && { last_vault_rotation: formatRfc3339Nano(rotatedAt) }),
})

const shown = (role: StaticRole): Json => ({
  db_name: role.dbName,
  username: role.username,
  rotation_statements: role.rotationStatements,
  ...shownPlan(role.credential),
  ...shownTiming(role),
})

async function credentials(call: Call<{ name: string }>, { parts }: DatabaseState): Promise<Reply> {
  const role = await parts.view.get(staticRoleEntries.key(call.input.name))
  if (role === null) throw fault('request.invalid', `unknown role: ${call.input.name}`)
  if (role.current === null)
    throw fault('backend.failed', 'nobody knows the credential yet: the first rotation of the static role is not done')
  return {
    kind: 'data',
    data: {
      username: role.username,
      ...shownMaterial(role.current),
      ttl: Math.max(0, Math.floor((role.nextAt - call.now()) / 1000)),
      ...shownTiming(role),
    },
  }
}

export const staticRoleRows = [
  namesRow<DatabaseState>('static-roles', staticRoleEntries, 'Names of all static roles.'),
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
        async handler({ input }, state) {
          const alarms = [{ kind: rotateAlarm, id: input.name, at: null }]
          await inTurn(state, `static-role/${input.name}`, () =>
            state.parts.view.commit([drop(staticRoleEntries.key(input.name))], { alarms }),
          )
          tell(state, 'static-role-delete', `static-roles/${input.name}`, `static-roles/${input.name}`)
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
        async handler({ input }, state) {
          if ((await state.parts.view.get(staticRoleEntries.key(input.name))) === null)
            throw fault('request.invalid', 'no static role found for role name')
          try {
            await rotateNow(input.name, state)
          } catch (error) {
            throw failed(
              'unable to finish rotating credentials; retries will continue in the background but it is also safe to retry manually',
              error,
            )
          }
          return empty
        },
      },
    },
    help: { synopsis: 'Rotate the password of a static role now.', description: '' },
  }),
]
