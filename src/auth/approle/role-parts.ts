import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Row } from '#backend/engine.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { requireBlocks } from './cidrs.ts'
import { type Role, roleKey } from './entries.ts'
import { mergedRole, requirePeriod, type RoleInput, roleFields, showRole } from './role.ts'
import { changeRole } from './roles.ts'
import { type ApproleState, row } from './state.ts'

/** One setting of a role at a path of its own, so that a policy can let somebody change it and nothing else. */
type Part = {
  readonly path: string
  /** Its fields, the old name last. */
  readonly names: readonly (keyof RoleInput)[]
  /** What a write without it is told that is missing; default: the first of its names. */
  readonly missing?: string
  /** An empty list is as good as none. */
  readonly isList?: true
  readonly warning?: string
}

const parts: readonly Part[] = [
  { path: 'policies', names: ['token_policies', 'policies'] },
  {
    path: 'bound-cidr-list',
    names: ['bound_cidr_list'],
    isList: true,
    warning:
      'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.',
  },
  { path: 'secret-id-bound-cidrs', names: ['secret_id_bound_cidrs'], missing: 'bound_cidr_list', isList: true },
  { path: 'token-bound-cidrs', names: ['token_bound_cidrs'] },
  { path: 'bind-secret-id', names: ['bind_secret_id'] },
  { path: 'secret-id-num-uses', names: ['secret_id_num_uses'] },
  { path: 'secret-id-ttl', names: ['secret_id_ttl'] },
  { path: 'period', names: ['token_period', 'period'], missing: 'period' },
  { path: 'token-num-uses', names: ['token_num_uses'] },
  { path: 'token-ttl', names: ['token_ttl'] },
  { path: 'token-max-ttl', names: ['token_max_ttl'] },
]

const defaults = Object.fromEntries(
  Object.entries(roleFields).map(([name, field]) => [name, field.fallback]),
) as RoleInput

const shownPart = (role: Role, { names }: Part): Json => {
  const all: { readonly [name: string]: Json } = {
    ...showRole(role),
    bound_cidr_list: showRole(role)['secret_id_bound_cidrs']!,
  }
  return Object.fromEntries(names.filter(name => all[name] !== undefined).map(name => [name, all[name]!]))
}

function rowOfPart(part: Part): Row<ApproleState> {
  const { path, names, warning } = part
  const setting = names[0]!
  const fields = { role_name: roleFields.role_name, ...Object.fromEntries(names.map(name => [name, roleFields[name]])) }
  return row({
    path: `role/:role_name/${path}`,
    fields,
    foldCase: true,
    operations: {
      read: {
        access: 'policy',
        summary: `Read ${setting} of a role.`,
        async handler(call, { parts: { view } }): Promise<Reply> {
          const role = await view.get(roleKey(call.input.role_name))
          if (role === null) return missing
          return { kind: 'data', data: shownPart(role, part), ...(warning !== undefined && { warnings: [warning] }) }
        },
      },
      update: {
        access: 'policy',
        summary: `Set ${setting} of a role.`,
        handler: (call, state) => writePart(part, call as Call<never>, state),
      },
      delete: {
        access: 'policy',
        summary: `Set ${setting} of a role back to its default.`,
        async handler(call, state): Promise<Reply> {
          if ((await state.parts.view.get(roleKey(call.input.role_name))) === null) return empty
          return change(call.input.role_name, state, role => mergedRole(role, defaults, new Set(names)))
        },
      },
    },
    help: { synopsis: `${setting} of a role.`, description: 'All else of the role stays.' },
  })
}

async function writePart(part: Part, call: Call<RoleInput>, state: ApproleState): Promise<Reply> {
  const { names } = part
  const { sent } = call
  const input = { ...defaults, ...call.input }
  return change(input.role_name, state, role => {
    const isEmpty = part.isList === true && (input[names[0]!] as readonly string[]).length === 0
    if (isEmpty || !names.some(name => sent.has(name))) {
      throw fault('request.invalid', `missing ${part.missing ?? names[0]!}`)
    }
    if (part.isList) requireBlocks(input[names[0]!] as readonly string[], 'failed to validate CIDR blocks')
    const next = mergedRole(role, input, sent)
    if (part.path === 'period') requirePeriod(next, state)
    return next
  })
}

async function change(name: string, state: ApproleState, how: (now: Role) => Role): Promise<Reply> {
  await changeRole(state, name, now => {
    if (now === null) throw fault('path.unsupported', 'unsupported path')
    return how(now)
  })
  return empty
}

const roleIdRow = row({
  path: 'role/:role_name/role-id',
  fields: { role_name: roleFields.role_name, role_id: roleFields.role_id },
  foldCase: true,
  operations: {
    read: {
      access: 'policy',
      summary: 'Read the role id: what logins name the role by.',
      async handler(call, { parts: { view } }) {
        const role = await view.get(roleKey(call.input.role_name))
        return role === null ? missing : { kind: 'data', data: { role_id: role.roleId } }
      },
    },
    update: {
      access: 'policy',
      summary: 'Set the role id; the one before is none any more.',
      handler: (call, state) =>
        change(call.input.role_name, state, role => {
          if (call.input.role_id.trim() === '') throw fault('request.invalid', 'missing role_id')
          return mergedRole(role, { ...defaults, role_id: call.input.role_id }, call.sent)
        }),
    },
  },
  help: { synopsis: 'The role id.', description: 'Not a secret by itself: a login needs a secret id, too.' },
})

const localRow = row({
  path: 'role/:role_name/local-secret-ids',
  fields: { role_name: roleFields.role_name },
  foldCase: true,
  operations: {
    read: {
      access: 'policy',
      summary: 'Read local_secret_ids of a role.',
      async handler(call, { parts: { view } }) {
        const role = await view.get(roleKey(call.input.role_name))
        return role === null ? missing : { kind: 'data', data: { local_secret_ids: role.localSecretIds } }
      },
    },
  },
  help: { synopsis: 'local_secret_ids of a role.', description: 'Set when the role is made, and never again.' },
})

export const rolePartRows = [...parts.map(rowOfPart), roleIdRow, localRow]
