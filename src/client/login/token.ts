import { Secret } from '#ground/base/secret.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { type AuthBlock, emptyEnvelope, type Envelope } from '#protocol/envelope.ts'
import { isTrue, textMapOf, textOf, textsOf, wholeOf } from '#protocol/members.ts'
import type { ApiClient } from '../api.ts'
import { lookupSelf } from '../calls/token.ts'
import type { LoginMethod, LoginOptions } from './login.ts'

/** "Logs in" with a token that is there already: asks the server what it is worth. */
export function tokenLogin(options: { readonly token: Secret }): LoginMethod {
  return {
    describes: 'token',
    login: (client, call = {}) => lookUp(client, options.token, call),
  }
}

/** Looks a token up with itself and gives it the form of a login. */
export async function lookUp(client: ApiClient, token: Secret, call: LoginOptions): Promise<Envelope> {
  const options = { ...(call.signal && { signal: call.signal }), wrapTtlSeconds: 0 }
  const data = await lookupSelf(client.with({ token }), options)
  return { ...emptyEnvelope, auth: authFromLookup(token, data) }
}

/** An envelope that holds nothing but a token, for a login that was not verified. */
export function unverified(token: Secret): Envelope {
  return { ...emptyEnvelope, auth: authFromLookup(token, {}) }
}

// `lookup` tells the same facts as a login under other names, in `data` instead of `auth`.
function authFromLookup(token: Secret, data: JsonObject): AuthBlock {
  const id = textOf(data, 'id')
  const tokenPolicies = textsOf(data, 'policies')
  const identityPolicies = textsOf(data, 'identity_policies')
  const all = [...new Set([...(tokenPolicies ?? []), ...(identityPolicies ?? [])])].sort()
  return {
    clientToken: id === '' ? token : new Secret(id),
    accessor: textOf(data, 'accessor'),
    policies: tokenPolicies || identityPolicies ? all : null,
    tokenPolicies,
    identityPolicies,
    metadata: textMapOf(data, 'meta'),
    leaseDuration: wholeOf(data, 'ttl'),
    renewable: isTrue(data, 'renewable'),
    entityId: textOf(data, 'entity_id'),
    tokenType: textOf(data, 'type'),
    orphan: isTrue(data, 'orphan'),
    numUses: wholeOf(data, 'num_uses'),
    mfaRequirement: null,
  }
}
