import { text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { X509 } from '#ground/crypto/x509.ts'
import type { Peer } from '#ground/http/message.ts'
import { requireBoundAddress } from '#backend/bound-address.ts'
import type { Call } from '#backend/call.ts'
import type { Granted, HeldLogin } from '#backend/engine.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { readConfig } from './config.ts'
import { constraintFault, metadataOf } from './constraints.ts'
import type { Kit } from './kit.ts'
import { type CertState, row } from './state.ts'
import type { Trust } from './trusts.ts'

/** Certificates that a client may send beside its own, and ways that are tried, before it is refused. */
const chainMax = 10
const waysMax = 64

type Shown = { readonly leaf: X509; readonly between: readonly X509[] }
type Internal = {
  readonly role: string
  readonly commonName: string
  readonly keyId: string
  readonly issuerKeyId: string
}

function shownBy(peer: Peer, kit: Kit): Shown {
  if (peer.tls === null) throw fault('backend.failed_bare', 'tls connection not found')
  const [first, ...rest] = peer.tls.certificates
  if (first === undefined) throw fault('backend.failed_bare', 'no client certificate found')
  try {
    return { leaf: kit.readX509(first), between: rest.slice(0, chainMax).map(one => kit.readX509(one)) }
  } catch (error) {
    if (!(error instanceof kit.X509Error)) throw error
    throw fault('request.invalid', 'failed to parse certificate', { reason: error.message })
  }
}

/**
 * The first role, by name, that lets the certificate in.
 * @throws Fault 400; which role said no, and why, is for those who may ask.
 * @source openbao builtin/credential/cert/path_login.go verifyCredentials
 */
async function find(shown: Shown, trusts: readonly Trust[], state: CertState, signal: AbortSignal): Promise<Trust> {
  const { kit } = state
  const at = state.parts.world.clock.now()
  const reasons: string[] = []
  let hasPath = false
  const ways = new Map<string, Promise<readonly X509[] | string>>()
  const wayTo = (anchors: readonly X509[]): Promise<readonly X509[] | string> => {
    const key = anchors.map(one => `${one.subject} ${one.serial} ${kit.hexPairs(one.subjectKeyId)}`).join('\n')
    let way = ways.get(key)
    if (way === undefined) {
      if (ways.size >= waysMax) return Promise.resolve('too many authorities of that name')
      way = kit.pathTo({ ...shown, anchors, at })
      ways.set(key, way)
    }
    return way
  }
  for (const trust of trusts) {
    const way = await wayOf(trust, shown, at, wayTo, kit)
    if (way === null) continue
    if (typeof way === 'string') {
      reasons.push(`${trust.name}: ${way}`)
      continue
    }
    hasPath = true
    const problem = constraintFault(trust.role, shown.leaf, kit) ?? (await revocationFault(way, trust, state, signal))
    if (problem === null) return trust
    reasons.push(`${trust.name}: ${problem}`)
  }
  throw fault(
    'request.invalid',
    hasPath
      ? 'no chain matching all constraints could be found for this login certificate'
      : 'invalid certificate or no client certificate supplied',
    { reason: reasons.slice(0, 8).join('; ') || 'no role has an authority of that name' },
  )
}

/** null: the role has nothing to do with it. */
async function wayOf(
  { authorities, clients }: Trust,
  { leaf, between }: Shown,
  at: number,
  wayTo: (anchors: readonly X509[]) => Promise<readonly X509[] | string>,
  kit: Kit,
): Promise<readonly X509[] | string | null> {
  if (clients.some(one => kit.isSame(one, leaf))) {
    if (at < leaf.notBefore || at > leaf.notAfter) return 'the certificate is not valid at this time'
    return [leaf]
  }
  const issuers = new Set([leaf, ...between].map(one => one.issuer))
  const anchors = authorities.filter(one => issuers.has(one.subject))
  return anchors.length === 0 ? null : wayTo(anchors)
}

async function revocationFault(
  way: readonly X509[],
  { role }: Trust,
  { parts, revocations, responders }: CertState,
  signal: AbortSignal,
): Promise<string | null> {
  if (await revocations.areRevoked(way)) return 'a certificate of the chain is revoked'
  if (!role.ocsp.isEnabled) return null
  const [certificate, issuer] = way
  if (issuer === undefined) return 'OCSP asks for the issuer of the certificate, which is not there'
  const { ocspCacheSize } = await readConfig(parts)
  return responders.fault({ certificate: certificate!, issuer, settings: role.ocsp, signal }, ocspCacheSize)
}

const fields = { name: text({ description: 'The one role to try; empty = all.' }) } as const

async function login(call: Call<Input<typeof fields>>, state: CertState): Promise<Reply> {
  const { kit } = state
  const shown = shownBy(call.peer, kit)
  const { name } = call.input
  const all = await state.trusts.all()
  const trust = await find(shown, name === '' ? all : all.filter(one => one.name === name), state, call.signal)
  const { parameters } = trust.role.stored
  requireBoundAddress(parameters, call.remoteAddress)
  const { leaf } = shown
  const keyIds = {
    subject_key_id: kit.hexPairs(leaf.subjectKeyId),
    authority_key_id: kit.hexPairs(leaf.authorityKeyId),
  }
  const metadata = {
    ...metadataOf(trust.role, leaf, kit),
    cert_name: trust.name,
    common_name: leaf.commonName,
    serial_number: leaf.serial,
    ...keyIds,
  }
  const { putsMetadataOnAlias } = await readConfig(state.parts)
  const internal: Internal = {
    role: trust.name,
    commonName: leaf.commonName,
    keyId: keyIds.subject_key_id,
    issuerKeyId: keyIds.authority_key_id,
  }
  return {
    kind: 'login',
    login: {
      alias: { name: leaf.commonName, metadata: putsMetadataOnAlias ? metadata : {} },
      displayName: trust.role.displayName,
      metadata,
      parameters,
      renewable: true,
      internal,
    },
  }
}

/** The certificate of the login must be there, and still be let in, unless the mount doesn't bind. */
export async function renewLogin(held: HeldLogin, state: CertState): Promise<Granted> {
  const internal = held.login.internal as Internal
  const { disablesBinding } = await readConfig(state.parts)
  const trust = disablesBinding ? await state.trusts.named(internal.role) : await again(held, internal, state)
  if (trust === null) throw fault('request.invalid', `role "${internal.role}" does not exist during renewal`)
  const { policies, ttl, maxTtl, period } = trust.role.stored.parameters
  const text = (names: readonly string[]): string => names.filter(name => name !== 'default').join(',')
  if (text(policies) !== text(held.login.parameters.policies)) {
    throw fault('request.invalid', 'policies have changed, not renewing')
  }
  return { ttl, maxTtl, period }
}

async function again(held: HeldLogin, internal: Internal, state: CertState): Promise<Trust | null> {
  const { hexPairs } = state.kit
  const shown = shownBy(held.peer, state.kit)
  const { commonName, subjectKeyId, authorityKeyId } = shown.leaf
  const isSamePerson =
    commonName === internal.commonName &&
    hexPairs(subjectKeyId) === internal.keyId &&
    hexPairs(authorityKeyId) === internal.issuerKeyId
  if (!isSamePerson) {
    throw fault('request.invalid', 'client identity during renewal not matching client identity used during login')
  }
  const trust = await state.trusts.named(internal.role)
  return trust === null ? null : find(shown, [trust], state, held.signal)
}

export const loginRow = row({
  path: 'login',
  fields,
  operations: {
    update: { access: 'login', summary: 'Log in with the certificate of the connection.', handler: login },
  },
  help: {
    synopsis: 'Log in with the certificate of the connection.',
    description: 'The listener must ask for client certificates, as it does unless told otherwise.',
  },
})
