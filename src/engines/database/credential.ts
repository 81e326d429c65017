import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { type Instant, instant } from '#ground/base/clock.ts'
import { Secret } from '#ground/base/secret.ts'
import { CertificateError, inspectCertificate, splitPem } from '#ground/crypto/certificates.ts'
import type { SignatureBits } from '#ground/crypto/issue-certificate.ts'
import { TemplateError } from '#ground/template/errors.ts'
import type { JsonObject } from '#ground/text/json.ts'
import type { Parts } from '#backend/engine.ts'
import { parseNameTemplate } from '#backend/name-template.ts'
import { fault } from '#protocol/fault.ts'
import type { Credential } from './driver.ts'
import type { CredentialKind, CredentialPlan, Material } from './entries.ts'
import { failed, newPassword } from './state.ts'

type Options = Readonly<Record<string, string>>

const makePair = promisify(generateKeyPair)
const optionNames: Readonly<Record<CredentialKind, readonly string[]>> = {
  password: ['password_policy'],
  rsa_private_key: ['key_bits', 'format'],
  client_certificate: ['common_name_template', 'ca_cert', 'ca_private_key', 'key_type', 'key_bits', 'signature_bits'],
}
const rsaBits = ['2048', '3072', '4096']
const keyBits: Readonly<Record<string, readonly string[]>> = {
  rsa: rsaBits,
  ec: ['224', '256', '384', '521'],
  ed25519: [],
}
const curves: Readonly<Record<string, string>> = {
  224: 'secp224r1',
  256: 'prime256v1',
  384: 'secp384r1',
  521: 'secp521r1',
}
/** A clock that is a little behind shall take it. */
const backdatedMs = 30_000

/**
 * What a role says of its credentials.
 * @throws Fault with Vault's texts
 * @source openbao builtin/logical/database/credentials.go
 */
export function planOf(type: string, options: Options): CredentialPlan {
  const kind = type === '' ? 'password' : type
  if (!isKind(kind)) throw fault('request.invalid', `invalid credential_type "${type}"`)
  const unknown = Object.keys(options).filter(name => !optionNames[kind].includes(name))
  if (unknown.length > 0) throw refused(`${kind} has no option ${unknown.map(name => `"${name}"`).join(', ')}`)
  if (kind === 'rsa_private_key') checkRsa(options)
  if (kind === 'client_certificate') checkCertificate(options)
  return { kind, options }
}

const isKind = (type: string): type is CredentialKind => Object.hasOwn(optionNames, type)
const refused = (why: string) => fault('request.invalid', `credential_config validation failed: ${why}`)

function checkRsa({ key_bits: bits = '2048', format = 'pkcs8' }: Options): void {
  if (!rsaBits.includes(bits)) throw refused(`invalid key_bits "${bits}": one of ${rsaBits.join(', ')}`)
  if (format !== 'pkcs8') throw refused(`invalid format "${format}": pkcs8`)
}

function checkCertificate(options: Options): void {
  const { common_name_template: template = '', key_type: type = 'rsa', signature_bits: signature = '0' } = options
  if (template === '') throw refused('missing common_name_template')
  const bits = keyBits[type]
  if (bits === undefined) throw refused(`invalid key_type "${type}": rsa, ec or ed25519`)
  const asked = options['key_bits'] ?? '0'
  if (asked !== '0' && !bits.includes(asked)) throw refused(`invalid key_bits "${asked}" for ${type}`)
  if (!['0', '256', '384', '512'].includes(signature)) throw refused(`invalid signature_bits "${signature}"`)
  const [ca = '', key = ''] = [options['ca_cert'], options['ca_private_key']]
  if (ca === '' || key === '') throw refused('ca_cert and ca_private_key are needed: who signs the certificates')
  try {
    if (!inspectCertificate(firstPem(ca)).isAuthority) throw refused('ca_cert is no certificate of an authority')
    createPrivateKey(key)
  } catch (error) {
    if (error instanceof CertificateError) throw refused(`ca_cert: ${error.message}`)
    // OpenSSL's words may hold a part of the key.
    if (error instanceof Error && error.name !== 'Fault') throw refused('ca_private_key is no private key in PEM')
    throw error
  }
}

const firstPem = (text: string): string => splitPem(text)[0] ?? text

/** The options of a role as they are shown: without the authority's key. */
export function shownPlan({ kind, options }: CredentialPlan): JsonObject {
  const { ca_private_key: _, ...open } = options
  return { credential_type: kind, ...(Object.keys(open).length > 0 && { credential_config: open }) }
}

/** A credential for an account: what the database is told, and what its reader gets. */
export type Issued = { readonly username: string; readonly credential: Credential; readonly shown: JsonObject }

export type IssueAsk = {
  readonly username: string
  readonly displayName: string
  readonly roleName: string
  readonly expiresAt: Instant
  /** Where the role names none. */
  readonly passwordPolicy: string
}

/** @throws Fault */
export async function issue(plan: CredentialPlan, ask: IssueAsk, parts: Parts): Promise<Issued> {
  if (plan.kind === 'client_certificate') return certificate(plan.options, ask, parts)
  const { username } = ask
  const material = await makeMaterial(plan, ask.passwordPolicy, parts)
  return { username, credential: credentialOf(material), shown: { username, ...shownMaterial(material) } }
}

/** What a static role can have: a certificate isn't rotated, it is made anew. */
export async function makeMaterial(plan: CredentialPlan, passwordPolicy: string, parts: Parts): Promise<Material> {
  if (plan.kind === 'password') {
    const password = await newPassword(parts, plan.options['password_policy'] || passwordPolicy)
    return { kind: 'password', password }
  }
  const pair = await makePair('rsa', { modulusLength: Number(plan.options['key_bits'] ?? 2048) })
  return {
    kind: 'rsa_private_key',
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }) as string,
  }
}

export const credentialOf = (material: Material): Credential =>
  material.kind === 'password' ? material : { kind: 'rsa_private_key', publicKey: material.publicKey }

export const shownMaterial = (material: Material): JsonObject =>
  material.kind === 'password' ? { password: material.password } : { rsa_private_key: material.privateKey }

/** The common name is the account's, since databases find the account by it. */
async function certificate(options: Options, ask: IssueAsk, parts: Parts): Promise<Issued> {
  const { world } = parts
  const type = options['key_type'] ?? 'rsa'
  const commonName = named(options['common_name_template'] ?? '', ask, parts)
  const pair = await pairOf(type, options['key_bits'] ?? '0')
  const signatureBits = Number(options['signature_bits'] ?? 0)
  // It brings a library of X.509 along, which no other credential needs.
  const { issueLeaf } = await import('#ground/crypto/issue-certificate.ts')
  try {
    const authority = {
      certificate: firstPem(options['ca_cert'] ?? ''),
      key: new Secret(options['ca_private_key'] ?? ''),
    }
    const made = issueLeaf(world, authority, {
      commonName,
      notBefore: instant(world.clock.now() - backdatedMs),
      notAfter: ask.expiresAt,
      usage: 'client',
      pair,
      ...(signatureBits > 0 && { signatureBits: signatureBits as SignatureBits }),
    })
    return {
      username: commonName,
      credential: { kind: 'client_certificate', subject: commonName },
      shown: {
        username: commonName,
        client_certificate: made.certificate,
        private_key: made.key.reveal('the credential that was asked for'),
        private_key_type: 'pkcs8',
      },
    }
  } catch (error) {
    throw failed('failed to generate client certificate', error)
  }
}

function named(template: string, { displayName, roleName }: IssueAsk, { world }: Parts): string {
  try {
    const fields = { DisplayName: displayName, RoleName: roleName }
    return parseNameTemplate(world, template).generate('dbplugin.UsernameMetadata', fields)
  } catch (error) {
    if (error instanceof TemplateError) throw failed('failed to generate common name', error)
    throw error
  }
}

function pairOf(type: string, bits: string): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  if (type === 'ed25519') return makePair('ed25519')
  if (type === 'ec') return makePair('ec', { namedCurve: curves[bits] ?? 'prime256v1' })
  return makePair('rsa', { modulusLength: bits === '0' ? 2048 : Number(bits) })
}
