import type { Maybe } from '#ground/base/brand.ts'
import type { Input } from '#ground/fields/field.ts'
import { captured } from '#ground/fields/kit.ts'
import { canonicalJson, RawJson } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { type Engine, rowOf } from '#backend/engine.ts'
import { asFolder, listOf, pagingFields, scanOf } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, type Key, put } from '#backend/storage.ts'
import { type Cubbyholes, type Kept, keptCodec } from '#core/tokens/cubbyholes.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import type { Wrappings } from '#core/tokens/wrapping.ts'
import { fault, invalidTokenText } from '#protocol/fault.ts'
import { builtinVersion } from '#protocol/version.ts'

/** What `cubbyhole/` works on. */
export type CubbyholeState = {
  readonly cubbyholes: Pick<Cubbyholes, 'of' | 'write'>
  readonly wrappings: Pick<Wrappings, 'answerOf'>
  /** The caller's token, which a call doesn't carry; null without one. */
  callerOf(call: Call): LiveToken | null
}

const fields = { path: captured('Location of the secret, or of a folder.'), ...pagingFields }

type CubbyholeCall = Call<Input<typeof fields>>

const keyOf = (path: string): Key<Kept> => ({ codec: keptCodec, id: path })
// The mount itself, and what is written as a folder: no secret can be there.
const isFolder = (path: string): boolean => path === '' || path.endsWith('/')

/** The token whose cubbyhole it is. @source openbao vault/router.go routeCommon: the text */
function owner(call: Call, state: CubbyholeState): LiveToken {
  const live = state.callerOf(call)
  if (live === null) throw fault('token.invalid', invalidTokenText, { reason: 'a cubbyhole belongs to a token' })
  if (live.caller.tokenType !== 'service')
    throw fault('request.invalid', 'cubbyhole operations are only supported by "service" type tokens')
  return live
}

function keptAt(call: CubbyholeCall, state: CubbyholeState): Maybe<Kept | null> {
  const view = state.cubbyholes.of(owner(call, state))
  return isFolder(call.input.path) ? null : view.get(keyOf(call.input.path))
}

function read(call: CubbyholeCall, state: CubbyholeState): Maybe<Reply> {
  const live = state.callerOf(call)
  if (live?.entry.wraps && call.input.path === 'response') return readWrapped(live, state)
  const kept = keptAt(call, state)
  return kept instanceof Promise ? kept.then(shown) : shown(kept)
}

/** How clients unwrapped before there was a path for it. @source openbao vault/logical_cubbyhole.go: the text */
async function readWrapped(live: LiveToken, state: CubbyholeState): Promise<Reply> {
  const answer = await state.wrappings.answerOf(live.key)
  if (answer === null) return missing
  const warning =
    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it provides additional security checks and other benefits."
  // Without the line feed that ends it on the wire.
  return { kind: 'data', data: { response: answer.body.replace(/\n$/, '') }, warnings: [warning] }
}

const shown = (kept: Kept | null): Reply =>
  kept === null ? missing : { kind: 'data', data: new RawJson(kept.text), memo: kept }

/** Its mistakes are bare errors in the original, data before path: 500. @source openbao vault/logical_cubbyhole.go */
async function write(call: CubbyholeCall, state: CubbyholeState): Promise<Reply> {
  const live = owner(call, state)
  if (Object.keys(call.body).length === 0) throw fault('backend.failed', 'missing data fields')
  if (call.input.path === '') throw fault('backend.failed', 'missing path')
  const isKept = await state.cubbyholes.write(live, put(keyOf(call.input.path), { text: canonicalJson(call.body) }))
  if (!isKept) throw fault('token.invalid', invalidTokenText, { reason: 'the token ended while it wrote' })
  return empty
}

async function remove(call: CubbyholeCall, state: CubbyholeState): Promise<Reply> {
  const view = state.cubbyholes.of(owner(call, state))
  if (!isFolder(call.input.path)) await view.commit([drop(keyOf(call.input.path))])
  return empty
}

const secretRow = rowOf<CubbyholeState>()({
  path: '*path',
  fields,
  body: 'own',
  exists(call, state) {
    const kept = keptAt(call, state)
    return kept instanceof Promise ? kept.then(one => one !== null) : kept !== null
  },
  operations: {
    read: { access: 'policy', summary: "Read a secret of the caller's own.", handler: read },
    update: { access: 'policy', summary: "Write a secret of the caller's own.", handler: write },
    delete: { access: 'policy', summary: "Delete a secret of the caller's own, for good.", handler: remove },
    list: {
      access: 'policy',
      summary: "The caller's own secrets and folders below a path.",
      handler: (call, state) =>
        listOf(state.cubbyholes.of(owner(call, state)), keptCodec, asFolder(call.input.path), call),
    },
    scan: {
      access: 'policy',
      summary: "All of the caller's own secrets below a path, at any depth.",
      handler: (call, state) =>
        scanOf(state.cubbyholes.of(owner(call, state)), keptCodec, asFolder(call.input.path), call),
    },
  },
  help: {
    synopsis: "Secrets that are one token's alone.",
    description:
      'Each token has its own: no other, not even a root token, reads or lists them, and a policy only says whether a token may use its own. They end with the token. Each path holds one JSON object; a write replaces it whole.',
  },
})

/** The built-in engine at `cubbyhole/`. It tells nobody of changes: others would learn of them by the path. */
export function cubbyholeEngine(state: CubbyholeState): Engine<CubbyholeState> {
  return {
    type: 'cubbyhole',
    kind: 'secret',
    version: builtinVersion,
    description: 'per-token private secret storage',
    codecs: [keptCodec],
    rows: [secretRow],
    open: () => state,
  }
}
