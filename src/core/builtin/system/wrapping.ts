import { seconds } from '#ground/base/clock.ts'
import type { Input } from '#ground/fields/field.ts'
import { text } from '#ground/fields/kit.ts'
import { formatRfc3339Nano } from '#ground/text/time.ts'
import type { Call } from '#backend/call.ts'
import type { Action } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { bodyOf } from '#core/tokens/wrapped.ts'
import { invalidWrapping, malformedWrapping } from '#core/tokens/wrapping.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const fields = {
  token: text({ description: "The wrapping token. Absent: the caller's own token is it.", isSecret: true }),
} as const

type WrappingCall = Call<Input<typeof fields>>

/** The wrapping token that is meant. @source openbao vault/wrapping.go validateWrappingToken: texts and status */
async function tokenOf(call: WrappingCall, state: SystemState): Promise<string> {
  if (call.sent.has('token') && call.input.token === '') throw malformedWrapping('empty token in request body')
  const sent = call.sent.has('token') ? call.input.token : state.sentTokenOf(call)
  if (sent === null) throw malformedWrapping('token is empty')
  return state.house().wrappings.meant(sent)
}

function wrap(call: Call): Reply {
  if (call.wrap === null) throw fault('request.invalid', 'endpoint requires response wrapping to be used')
  return { kind: 'data', data: call.body, wrap: { ttlSeconds: seconds(0), format: 'token' } }
}

async function unwrap(call: WrappingCall, state: SystemState): Promise<Reply> {
  const answer = await state.house().wrappings.take(await tokenOf(call, state))
  if (answer === null) throw invalidWrapping(false)
  const { status, contentType } = answer
  return { kind: 'unwrapped', status, contentType, body: bodyOf(answer) }
}

async function rewrap(call: WrappingCall, state: SystemState): Promise<Reply> {
  const info = await state.house().wrappings.renew(await tokenOf(call, state), call.wrap?.format ?? 'token')
  if (info === null) throw invalidWrapping(false)
  return { kind: 'rewrapped', info }
}

async function lookup(call: WrappingCall, state: SystemState): Promise<Reply> {
  const found = await state.house().wrappings.look(await tokenOf(call, state))
  if (found === null) throw invalidWrapping(false)
  const { creationTtl, createdAt, path } = found.entry
  const data = { creation_path: path, creation_time: formatRfc3339Nano(createdAt), creation_ttl: creationTtl }
  return { kind: 'data', data }
}

async function pubkey(_call: Call, state: SystemState): Promise<Reply> {
  const { x, y } = await state.house().wrappings.signingKey()
  return { kind: 'data', data: { jwt_curve: 'p521', jwt_x: x, jwt_y: y } }
}

const lookupAction: Action<SystemState, typeof fields> = {
  access: 'unauthenticated',
  summary: 'Where and when a wrapping token was made; it stays good.',
  handler: lookup,
}

/** @source server-core 2.11, 6 */
export const wrappingRows: readonly SystemRow[] = [
  row({
    path: 'wrapping/wrap',
    fields: {},
    body: 'own',
    operations: { update: { access: 'policy', summary: 'Wrap what is sent.', handler: wrap } },
    help: { synopsis: 'Wrap what is sent.', description: 'Any object, for as long as X-Vault-Wrap-TTL says.' },
  }),
  row({
    path: 'wrapping/unwrap',
    fields,
    operations: { update: { access: 'wrapping', summary: 'The answer that was wrapped; once.', handler: unwrap } },
    help: {
      synopsis: 'Fetch an answer that was wrapped.',
      description:
        'By the wrapping token as the own token, or in the field token beside a token of the caller. This works once: a refusal of a token that should be good means that somebody else has the answer.',
    },
  }),
  row({
    path: 'wrapping/rewrap',
    fields,
    operations: { update: { access: 'wrapping', summary: 'Wrap the same answer anew.', handler: rewrap } },
    help: {
      synopsis: 'Change one wrapping token for another.',
      description: 'The answer stays what it is, the time begins anew, and the old token ends.',
    },
  }),
  row({
    path: 'wrapping/lookup',
    fields,
    operations: { read: lookupAction, update: lookupAction },
    help: {
      synopsis: 'Where and when a wrapping token was made.',
      description: 'Whoever gets a wrapping token should look whether creation_path is what was asked for.',
    },
  }),
  row({
    path: 'wrapping/pubkey',
    fields: {},
    operations: {
      read: {
        access: 'unauthenticated',
        summary: 'What wrapping tokens in JWT form are signed with.',
        handler: pubkey,
      },
    },
    help: { synopsis: 'The public key of wrapping tokens in JWT form.', description: 'A point on P-521, in decimal.' },
  }),
]
