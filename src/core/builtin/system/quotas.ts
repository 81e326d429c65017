import { bool, captured, int, text } from '#ground/fields/kit.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import type { Mount } from '#core/mounts/mount.ts'
import { type Rule, rulePath } from '#core/quota/rule.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const fields = {
  name: captured('Name of the quota.'),
  max_leases: int({ description: 'How many leases and tokens there may be at once.' }),
  path: text({
    description: 'A mount, a path below it, or the beginning of one and "*"; empty: everything.',
  }),
  role: text({ description: 'Only what is made under this role of the mount.' }),
  inheritable: bool({ description: 'Counts for child namespaces, too; only for a quota on everything.' }),
} as const

type Written = {
  readonly name: string
  readonly max_leases: number
  readonly path: string
  readonly role: string
  readonly inheritable: boolean
}

/** @throws Fault for a path below no mount, or with `*` elsewhere than at its end. */
function split(path: string, state: SystemState): { mount: Mount | null; suffix: string } {
  const plain = path.replace(/^\/+/, '').replace(/^root\//, '')
  if (plain === '') return { mount: null, suffix: '' }
  const invalid = fault('request.invalid', `invalid mount path ${goQuote(path)}`)
  if (plain.slice(0, -1).includes('*')) throw invalid
  const found = state.house().mounts.resolve(plain.endsWith('/') ? plain : `${plain}/`)
  if (found === null) throw invalid
  return { mount: found.mount, suffix: found.rest.replace(/\/$/, '') }
}

async function write({ input, sent }: Call<Written>, state: SystemState): Promise<Reply> {
  const { quotas } = state.house()
  const before = quotas.get(input.name)
  const was: Partial<Rule> = before ?? {}
  const maxLeases = sent.has('max_leases') ? input.max_leases : (was.maxLeases ?? 0)
  if (maxLeases <= 0) throw fault('request.invalid', "'max_leases' is invalid")
  const { mount, suffix } = split(sent.has('path') || before === null ? input.path : rulePath(before), state)
  const role = sent.has('role') ? input.role : (was.role ?? '')
  if (role !== '' && (mount === null || !mount.engine.rows.some(one => one.role !== undefined))) {
    throw fault('request.invalid', "'role' needs a 'path' that names a mount with roles")
  }
  if (input.inheritable && mount !== null) {
    throw fault('request.invalid', "'inheritable' is only for a quota whose 'path' is a namespace")
  }
  const isInheritable = mount === null && (sent.has('inheritable') ? input.inheritable : (was.isInheritable ?? true))
  await quotas.put({ name: input.name, mount: mount?.path ?? '', suffix, role, maxLeases, isInheritable })
  return empty
}

async function read({ input }: Call<{ name: string }>, state: SystemState): Promise<Reply> {
  const { quotas } = state.house()
  const rule = quotas.get(input.name)
  if (rule === null) return { kind: 'missing' }
  const { name, maxLeases, role, isInheritable } = rule
  const data = {
    type: 'lease-count',
    name,
    path: rulePath(rule),
    role,
    max_leases: maxLeases,
    counter: await quotas.used(name),
    inheritable: isInheritable,
  }
  return { kind: 'data', data }
}

/** `sys/quotas/lease-count`. @source hv api-docs/system/lease-count-quotas, server-core 2.12 */
export const quotaRows: readonly SystemRow[] = [
  row({
    path: 'quotas/lease-count',
    fields: {},
    operations: {
      list: {
        access: 'policy',
        namespaces: 'root',
        summary: 'Names of all lease-count quotas.',
        handler: (_call, state) => ({ kind: 'list', keys: [...state.house().quotas.names()].sort() }),
      },
    },
    help: { synopsis: 'Names of all lease-count quotas.', description: '' },
  }),
  row({
    path: 'quotas/lease-count/:name',
    fields,
    operations: {
      read: { access: 'policy', namespaces: 'root', summary: 'Read a lease-count quota.', handler: read },
      update: { access: 'policy', namespaces: 'root', summary: 'Write a lease-count quota.', handler: write },
      delete: {
        access: 'policy',
        namespaces: 'root',
        summary: 'Delete a lease-count quota.',
        async handler({ input }, state) {
          await state.house().quotas.remove(input.name)
          return empty
        },
      },
    },
    help: {
      synopsis: 'Bound how many leases there may be.',
      description: 'By mount, path or role; the most exact quota counts. Root tokens are never refused.',
    },
  }),
]
