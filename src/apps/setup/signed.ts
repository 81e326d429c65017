import { isJsonObject, type Json } from '#ground/text/json.ts'
import { readEnvironment } from '#client/environment.ts'
import type { KubeClient } from '#kube/client.ts'
import type { Io } from '#protocol/command.ts'
import { configuredClient } from './connect.ts'
import { configureAuth } from './initialise.ts'
import { SetupError } from './material.ts'
import type { SetupPlan } from './plan.ts'

/** Who signs the tokens of the accounts; by default they are made for it, too. @throws SetupError */
export async function issuerOf(kube: KubeClient): Promise<string> {
  const document = await kube.read<Json>('/.well-known/openid-configuration')
  const issuer = isJsonObject(document) ? document['issuer'] : undefined
  if (typeof issuer !== 'string' || issuer === '')
    throw new SetupError('the cluster does not say who issues its tokens (/.well-known/openid-configuration)')
  return issuer
}

/** For the method jwt: issuer and keys as the cluster publishes them. The server need not reach the API server. */
export async function signedConfig(kube: KubeClient): Promise<Readonly<Record<string, string>>> {
  const keys = await kube.caller.text({ method: 'GET', path: '/openid/v1/jwks', accept: 'application/jwk-set+json' })
  return { jwt_validation_pubkeys: keys, bound_issuer: await issuerOf(kube) }
}

/** Pushes the keys anew, for after the cluster got others. @param address empty = as the environment says */
export async function syncKeys(
  kube: KubeClient,
  plan: Pick<SetupPlan, 'authPath' | 'external'>,
  address: string,
  io: Io,
  say: (line: string) => void,
): Promise<void> {
  await using client = await configuredClient(
    io,
    address || readEnvironment(io.env).address || plan.external?.address || '',
  )
  await configureAuth(client, plan, { type: 'jwt', config: await signedConfig(kube) }, say)
  say(`the keys of the cluster are those of ${plan.authPath}/`)
}
