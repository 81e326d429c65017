import type { Seconds } from '#ground/base/clock.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { IntentId } from '#backend/storage.ts'
import type { KubeClient } from '#kube/client.ts'
import { tokenRequest } from '#kube/reviews.ts'
import { fault } from '#protocol/fault.ts'
import {
  type Ask,
  asJson,
  type Intended,
  isRefusal,
  type MadeObject,
  makeObject,
  planObjects,
  reasonOf,
  removeMade,
  textOf,
} from './objects.ts'
import type { KubernetesState } from './state.ts'
import { tokenTtl } from './ttl.ts'

export const intentKind = 'objects'

type AccountAsk = {
  readonly ask: Ask
  readonly isUnique: boolean
  readonly account: string
  readonly ttl: Seconds
  readonly audiences: readonly string[]
}

type Account = { readonly token: string; readonly held: Json; readonly settles: IntentId | null }

/** A step failed; `isSure`: it is known what it left behind. */
class StepFailed extends Error {
  override readonly name = 'StepFailed'
  readonly isSure: boolean

  constructor(text: string, cause: unknown, isSure: boolean) {
    super(`${text}: ${textOf(cause)}`, { cause })
    this.isSure = isSure
  }
}

/**
 * Makes what the role wants and a token. The intent is durable before the first object; when a step fails, what was
 * made goes at once, and the intent stays only where it isn't sure that this was all.
 */
export async function makeAccount(
  account: AccountAsk,
  client: KubeClient,
  { signal }: Pick<Call, 'signal'>,
  { parts }: KubernetesState,
): Promise<Account> {
  const { ask, isUnique } = account
  const plan = planObjects(ask)
  const intended: Intended = { objects: plan.map(({ ref }) => ref), mark: ask.mark, isUnique }
  const settles = plan.length === 0 ? null : await parts.view.intend(intentKind, asJson(intended))
  const made: MadeObject[] = []
  try {
    for (const planned of plan) {
      const object = await makeObject(client, planned, made[0], signal).catch((error: unknown) => {
        throw new StepFailed(planned.failure, error, isRefusal(error))
      })
      made.push(object)
    }
    const token = await requestToken(account, client, signal)
    const held = asJson({ namespace: ask.namespace, role: ask.role.name, objects: made })
    return { token, held, settles }
  } catch (error) {
    if (settles !== null) await takeBack(made, settles, error, client, parts)
    if (error instanceof StepFailed) throw fault('backend.failed', error.message, { reason: reasonOf(error.cause) })
    throw error
  }
}

async function requestToken(
  { ask, account, ttl, audiences }: AccountAsk,
  client: KubeClient,
  signal: AbortSignal,
): Promise<string> {
  const { namespace, name } = ask
  const spec = { expirationSeconds: ttl, ...(audiences.length > 0 && { audiences }) }
  const answer = await tokenRequest(client, namespace, account, spec, { signal }).catch((error: unknown) => {
    // A token that came to be unseen ends with its account.
    throw new StepFailed(`failed to create a service account token for ${namespace}/${account}`, error, true)
  })
  const token = answer.token.reveal('answer to who asked for kubernetes credentials')
  if (tokenTtl(token) === null) {
    const cause = new Error('it has no exp and iat')
    throw new StepFailed(`failed to read TTL of created Kubernetes token for ${namespace}/${name}`, cause, true)
  }
  return token
}

/** Rights don't wait for the recovery of intents. The request may be over: its signal counts no more. */
async function takeBack(
  made: readonly MadeObject[],
  settles: IntentId,
  error: unknown,
  client: KubeClient,
  { view, world }: KubernetesState['parts'],
): Promise<void> {
  try {
    await removeMade(client, made)
    if (error instanceof StepFailed && error.isSure) await view.commit([], { settles })
  } catch (problem) {
    world.log.warn('what was made for kubernetes credentials could not be deleted yet', { error: textOf(problem) })
  }
}
