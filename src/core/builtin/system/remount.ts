import { captured, text } from '#ground/fields/kit.ts'
import { goQuote } from '#ground/text/quote.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const authPrefix = 'auth/'
const protectedMounts = ['audit/', 'auth/', 'sys/', 'cubbyhole/', 'identity/']
const protectedAuth = 'auth/token'

const queued =
  "Mount move has been queued. Progress will be reported in Vault's server log, tagged with the returned migration_id"

const refused = (why: string): Error => fault('request.invalid', why)
const sanitized = (path: string): string => `${path.replace(/^\/+/, '').replace(/\/+$/, '')}/`

/** @source vault vault/mount.go validateMountPath */
function checkDestination(path: string): void {
  const segments = path.split('/').slice(0, -1)
  if (segments.some(one => one === '' || one === '.' || one === '..')) {
    const cleaned = `${segments.filter(one => one !== '' && one !== '.' && one !== '..').join('/')}/`
    throw refused(`invalid destination mount: path '${path}' does not match cleaned path '${cleaned}'`)
  }
  if (/\p{C}|[\p{Z}--[ ]]/v.test(path)) {
    throw refused('invalid destination mount: path cannot contain non-printable characters')
  }
}

/** @source vault vault/logical_system.go handleRemount: the order of the checks, and their texts */
function checkPaths(from: string, to: string): void {
  checkDestination(to)
  if (!from.startsWith(authPrefix)) {
    if (protectedMounts.some(one => from.startsWith(one))) throw refused(`cannot remount ${goQuote(from)}`)
    if (protectedMounts.some(one => to.startsWith(one))) throw refused(`cannot remount to destination ${to}`)
    return
  }
  if (!to.startsWith(authPrefix)) throw refused(`cannot remount auth mount to non-auth mount ${goQuote(to)}`)
  if (from.startsWith(protectedAuth)) throw refused(`cannot remount ${goQuote(from)}`)
  if (to.startsWith(protectedAuth)) throw refused(`cannot remount to destination ${goQuote(to)}`)
  if (to === authPrefix) throw refused(`cannot remount to destination ${goQuote(to)}`)
}

async function remount({ input }: Call<{ from: string; to: string }>, state: SystemState): Promise<Reply> {
  if (input.from === '' || input.to === '') throw refused("both 'from' and 'to' path must be specified as a string")
  for (const [name, path] of Object.entries({ from: input.from, to: input.to })) {
    if (path.startsWith(' ') || path.endsWith(' ')) throw refused(`'${name}' path cannot contain trailing whitespace`)
  }
  const [from, to] = [sanitized(input.from), sanitized(input.to)]
  checkPaths(from, to)
  const id = await state.house().moves.start(from, from.startsWith(authPrefix) ? to.slice(authPrefix.length) : to)
  return { kind: 'data', data: { migration_id: id }, warnings: [queued] }
}

/** `sys/remount`. @source server-core 2.6 */
export const remountRows: readonly SystemRow[] = [
  row({
    path: 'remount',
    fields: {
      from: text({ description: 'Path of the mount; that of an auth method begins with auth/.' }),
      to: text({ description: 'The path that it gets.' }),
    },
    operations: { update: { access: 'sudo', summary: 'Move a mount to another path.', handler: remount } },
    help: {
      synopsis: 'Move a mount to another path.',
      description:
        'What it keeps, its accessor and its uuid stay; its leases and the tokens that it gave are revoked. The answer comes when the move has begun.',
    },
  }),
  row({
    path: 'remount/status/:migration_id',
    fields: { migration_id: captured('Id of the move, which its beginning answered.') },
    operations: {
      read: {
        access: 'policy',
        summary: 'How far a move is.',
        handler({ input }, state) {
          const move = state.house().moves.status(input.migration_id)
          if (move === null) return { kind: 'missing' }
          const info = { source_mount: move.source, target_mount: move.target, status: move.status }
          return { kind: 'data', data: { migration_id: input.migration_id, migration_info: info } }
        },
      },
    },
    help: { synopsis: 'How far a move is.', description: 'in-progress, success, or failure: then it is where it was.' },
  }),
]
