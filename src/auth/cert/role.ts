import { captured, commaList, optionalBool, optionalText } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop } from '#backend/storage.ts'
import { applyTokenInput, noParameters, showTokenParameters, tokenFields } from '#backend/token-parameters.ts'
import { fault } from '#protocol/fault.ts'
import { splitExtension } from './constraints.ts'
import type { Kit } from './kit.ts'
import { certificatesOf } from './pem.ts'
import { type CertRole, roleEntries } from './role-entry.ts'
import { type CertState, row } from './state.ts'

const fields = {
  name: captured('Name of the role.'),
  certificate: optionalText({ description: 'PEM: the authority whose clients are let in, or one client.' }),
  allowed_names: commaList({ description: 'Globs of common name, DNS names and addresses; one must fit.' }),
  allowed_common_names: commaList({ description: 'Globs of the common name.' }),
  allowed_dns_sans: commaList({ description: 'Globs of DNS names.' }),
  allowed_email_sans: commaList({ description: 'Globs of e-mail addresses.' }),
  allowed_uri_sans: commaList({ description: 'Globs of URIs.' }),
  allowed_organizational_units: commaList({ description: 'Globs of organizational units.' }),
  required_extensions: commaList({ description: 'oid:glob or hex:oid:glob; all must be met.' }),
  allowed_metadata_extensions: commaList({ description: "OIDs whose values become the token's metadata." }),
  display_name: optionalText({ description: 'Display name of the tokens; default: the name of the role.' }),
  ocsp_enabled: optionalBool({ description: 'Ask whether the certificate was revoked.' }),
  ocsp_ca_certificates: optionalText({ description: 'PEM: who may sign the answers beside the issuer.' }),
  ocsp_servers_override: commaList({ description: 'Whom to ask instead of the address in the certificate.' }),
  ocsp_fail_open: optionalBool({ description: 'Let in when nobody answers.' }),
  ocsp_query_all_servers: optionalBool({ description: 'Ask all, and let in only when all say so.' }),
  ...tokenFields,
} as const

type RoleInput = Input<typeof fields>

const emptyRole: CertRole = {
  certificate: '',
  names: [],
  commonNames: [],
  dnsNames: [],
  emails: [],
  uris: [],
  organizationalUnits: [],
  requiredExtensions: [],
  metadataExtensions: [],
  displayName: '',
  ocsp: { isEnabled: false, authorities: '', servers: [], failsOpen: false, asksAll: false },
  stored: noParameters,
}

const lists = [
  ['allowed_names', 'names'],
  ['allowed_common_names', 'commonNames'],
  ['allowed_dns_sans', 'dnsNames'],
  ['allowed_email_sans', 'emails'],
  ['allowed_uri_sans', 'uris'],
  ['allowed_organizational_units', 'organizationalUnits'],
  ['required_extensions', 'requiredExtensions'],
  ['allowed_metadata_extensions', 'metadataExtensions'],
] as const

/** @source openbao builtin/credential/cert/path_certs.go: what isn't sent stays */
function merged(now: CertRole, input: RoleInput, sent: ReadonlySet<string>, kit: Kit): CertRole {
  const next: { -readonly [K in keyof CertRole]: CertRole[K] } = { ...now }
  for (const [name, member] of lists) if (sent.has(name)) next[member] = input[name]
  next.certificate = input.certificate ?? now.certificate
  next.displayName = input.display_name ?? now.displayName
  if (next.displayName === '') next.displayName = input.name
  next.ocsp = {
    isEnabled: input.ocsp_enabled ?? now.ocsp.isEnabled,
    authorities: input.ocsp_ca_certificates ?? now.ocsp.authorities,
    servers: sent.has('ocsp_servers_override') ? input.ocsp_servers_override : now.ocsp.servers,
    failsOpen: input.ocsp_fail_open ?? now.ocsp.failsOpen,
    asksAll: input.ocsp_query_all_servers ?? now.ocsp.asksAll,
  }
  next.stored = applyTokenInput(now.stored, input, sent)
  return checked(next, kit)
}

function checked(role: CertRole, kit: Kit): CertRole {
  const [first] = certificatesOf(role.certificate, kit)
  if (!first!.isAuthority && !kit.servesClients(first!)) {
    throw fault(
      'request.invalid',
      'nonCA certificates should have TLS client authentication set as an extended key usage',
    )
  }
  for (const required of role.requiredExtensions) {
    const { oid, pattern } = splitExtension(required.replace(/^hex:/, ''))
    if (isOid(oid) && pattern !== '') continue
    throw fault('request.invalid', `required_extensions: "${required}" is neither oid:value nor hex:oid:value`)
  }
  const odd = role.metadataExtensions.find(oid => !isOid(oid))
  if (odd !== undefined) throw fault('request.invalid', `allowed_metadata_extensions: "${odd}" is no OID`)
  if (role.ocsp.authorities !== '') certificatesOf(role.ocsp.authorities, kit)
  for (const server of role.ocsp.servers) {
    if (!/^https?:\/\/[^\s/]/.test(server)) {
      throw fault('request.invalid', `ocsp_servers_override: "${server}" is no address with http:// or https://`)
    }
  }
  return role
}

const isOid = (text: string): boolean => /^[0-2](\.\d+)+$/.test(text)

async function write(call: Call<RoleInput>, state: CertState): Promise<Reply> {
  const { input, sent } = call
  const role = await state.parts.view.update<CertRole, CertRole>(roleEntries.key(input.name), now => {
    const entry = merged(now ?? emptyRole, input, sent, state.kit)
    return { entry, result: entry }
  })
  state.trusts.forget()
  return { kind: 'empty', warnings: warningsOf(role, state) }
}

function warningsOf({ stored }: CertRole, { parts }: CertState): readonly string[] {
  const { ttl, maxTtl } = stored.parameters
  const warnings: string[] = []
  if (ttl > parts.mount.defaultTtl()) {
    warnings.push(
      `Given ttl of ${ttl} seconds is greater than current mount/system default of ${parts.mount.defaultTtl()} seconds`,
    )
  }
  if (maxTtl > parts.mount.maxTtl()) {
    warnings.push(
      `Given max_ttl of ${maxTtl} seconds is greater than current mount/system default of ${parts.mount.maxTtl()} seconds`,
    )
  }
  return warnings
}

function show(role: CertRole): Json {
  const shown: Record<string, Json> = {
    certificate: role.certificate,
    display_name: role.displayName,
    ocsp_enabled: role.ocsp.isEnabled,
    ocsp_ca_certificates: role.ocsp.authorities,
    ocsp_servers_override: role.ocsp.servers,
    ocsp_fail_open: role.ocsp.failsOpen,
    ocsp_query_all_servers: role.ocsp.asksAll,
    ...showTokenParameters(role.stored),
  }
  for (const [name, member] of lists) shown[name] = role[member]
  return shown
}

export const roleRows = [
  namesRow<CertState>('certs', roleEntries, 'Names of all roles.'),
  row({
    path: 'certs/:name',
    fields,
    exists: async (call, { parts }) => (await parts.view.get(roleEntries.key(call.input.name))) !== null,
    operations: {
      read: {
        access: 'policy',
        summary: 'Read a role.',
        async handler(call, { parts }) {
          const role = await parts.view.get(roleEntries.key(call.input.name))
          return role === null ? missing : { kind: 'data', data: show(role) }
        },
      },
      update: { access: 'policy', summary: 'Write a role: whose certificates, which policies.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Delete a role; its tokens can not be renewed any more.',
        async handler(call, { parts, trusts }) {
          await parts.view.commit([drop(roleEntries.key(call.input.name))])
          trusts.forget()
          return empty
        },
      },
    },
    help: {
      synopsis: 'Whose certificates are let in, and what they get.',
      description: 'The certificate of an authority lets in its clients, that of a client only this one.',
    },
  }),
]
