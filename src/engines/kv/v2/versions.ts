import { captured, intList } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { drop, type Write } from '#backend/storage.ts'
import { fault } from '#protocol/fault.ts'
import { changed } from './data.ts'
import { isDeleted, type SecretEntry, secretKey, versionKey } from './secret.ts'
import type { Version } from './version.ts'
import { type KvState, row } from './state.ts'

const fields = {
  path: captured('Location of the secret.'),
  versions: intList({ description: 'Which versions; unknown ones are passed over.' }),
}

type VersionsCall = Call<{ readonly path: string; readonly versions: readonly number[] }>

/** Changes some versions in one commit; of a secret that isn't there, nothing. */
async function change(
  call: VersionsCall,
  state: KvState,
  event: string,
  apply: (version: Version) => Version,
  besides: (entry: SecretEntry, touched: readonly Version[]) => { text?: null; also?: Write[] } = () => ({}),
): Promise<Reply> {
  const { path, versions } = call.input
  const changedEntry = await state.parts.view.update<SecretEntry, SecretEntry | null>(secretKey(path), now => {
    if (!now) return { result: null }
    const touched = now.versions.filter(one => versions.includes(one.version))
    if (touched.length === 0) return { result: null }
    const { text, also } = besides(now, touched)
    const next = now.versions.map(one => (touched.includes(one) ? apply(one) : one))
    const entry = { ...now, versions: next, updatedAt: call.now(), ...(text === null && { text }) }
    return { entry, ...(also && { also }), result: entry }
  })
  if (changedEntry !== null) changed(state, `kv-v2/${event}`, `${event}/${path}`, changedEntry)
  return empty
}

function remove(call: VersionsCall, state: KvState): Promise<Reply> {
  if (call.input.versions.length === 0) throw fault('request.invalid', 'No version number provided')
  const now = call.now()
  return change(call, state, 'delete', version => (isDeleted(version, now) ? version : { ...version, deletedAt: now }))
}

function undelete(call: VersionsCall, state: KvState): Promise<Reply> {
  if (call.input.versions.length === 0) throw fault('request.invalid', 'No version number provided')
  return change(call, state, 'undelete', version => (version.isDestroyed ? version : { ...version, deletedAt: null }))
}

/** The value is gone for good; its metadata stays. */
function destroy(call: VersionsCall, state: KvState): Promise<Reply> {
  if (call.input.versions.length === 0) throw fault('request.invalid', 'no version number provided')
  return change(
    call,
    state,
    'destroy',
    version => ({ ...version, isDestroyed: true }),
    (entry, touched) => {
      const older = touched.filter(one => one.version !== entry.currentVersion)
      return {
        also: older.map(one => drop(versionKey(call.input.path, one.version))),
        ...(older.length < touched.length && { text: null }),
      }
    },
  )
}

const exists = (call: VersionsCall, state: KvState) => {
  const entry = state.parts.view.get(secretKey(call.input.path))
  return entry instanceof Promise ? entry.then(one => one !== null) : entry !== null
}

export const versionRows = [
  row({
    path: 'delete/*path',
    fields,
    operations: { update: { access: 'policy', summary: 'Delete versions; they can be undeleted.', handler: remove } },
    help: { synopsis: 'Delete versions of a secret.', description: 'They can be undeleted.' },
    exists,
  }),
  row({
    path: 'undelete/*path',
    fields,
    operations: { update: { access: 'policy', summary: 'Bring deleted versions back.', handler: undelete } },
    help: { synopsis: 'Bring deleted versions back.', description: 'Destroyed ones stay destroyed.' },
    exists,
  }),
  row({
    path: 'destroy/*path',
    fields,
    operations: { update: { access: 'policy', summary: 'Remove the values of versions for good.', handler: destroy } },
    help: { synopsis: 'Remove the values of versions for good.', description: 'The metadata of the versions stays.' },
    exists,
  }),
]
