import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { bool, commaList, optionalBool, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { put } from '#backend/storage.ts'
import { hasCertificate } from '#kube/one-server.ts'
import { fault } from '#protocol/fault.ts'
import { configKey, type KubernetesConfig } from './config-entry.ts'
import { type KubernetesState, row } from './state.ts'

const fields = {
  kubernetes_host: text({ description: 'The API server with its scheme: https://10.96.0.1:443.' }),
  kubernetes_ca_cert: text({ description: 'PEM of the CA of the API server; empty = that of the pod.' }),
  token_reviewer_jwt: text({
    description: "Token that may review others; empty = that of the pod, else the login's own.",
    isSecret: true,
  }),
  pem_keys: commaList({ description: 'Public keys or certificates (PEM) that sign the tokens.' }),
  issuer: text({ description: 'Expected issuer, when disable_iss_validation is false.', isDeprecated: true }),
  disable_iss_validation: bool({
    description: 'Leave the issuer to the API server.',
    fallback: true,
    isDeprecated: true,
  }),
  disable_local_ca_jwt: bool({ description: 'Do not read token and CA of the pod that this server runs in.' }),
  use_annotations_as_alias_metadata: optionalBool({
    description: 'Put annotations of the service account on the alias.',
  }),
} as const

// Every write replaces all; nothing is merged.
async function write(call: Call<Input<typeof fields>>, state: KubernetesState): Promise<Reply> {
  const { input } = call
  if (input.kubernetes_host === '') throw fault('request.invalid', 'no host provided')
  if (!/^https?:\/\/[^/\s]+/.test(input.kubernetes_host)) {
    throw fault('request.invalid', 'kubernetes_host must be a URL with its scheme, like https://10.96.0.1:443')
  }
  if (input.disable_local_ca_jwt && input.kubernetes_ca_cert === '') {
    throw fault('request.invalid', 'kubernetes_ca_cert must be given when disable_local_ca_jwt is true')
  }
  if (input.kubernetes_ca_cert !== '' && !hasCertificate(input.kubernetes_ca_cert)) {
    throw fault('request.invalid', 'The provided CA PEM data contains no valid certificates')
  }
  const pemKeys = splitPem(input.pem_keys)
  for (const pem of pemKeys) publicKey(pem)
  const entry: KubernetesConfig = {
    host: input.kubernetes_host,
    caCert: input.kubernetes_ca_cert,
    reviewerJwt: input.token_reviewer_jwt,
    pemKeys,
    issuer: input.issuer,
    disablesIssuerCheck: input.disable_iss_validation,
    disablesLocal: input.disable_local_ca_jwt,
    usesAnnotations: input.use_annotations_as_alias_metadata ?? false,
  }
  await state.parts.view.commit([put(configKey, entry)])
  state.reviewers.reset()
  return empty
}

const pemBlock = /-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g

// A list by commas, or several blocks in one text.
const splitPem = (given: readonly string[]): readonly string[] => {
  const joined = given.join('\n')
  return joined.trim() === '' ? [] : (joined.match(pemBlock) ?? [joined])
}

/** @throws Fault naming the field when it is neither key nor certificate. */
export function publicKey(pem: string): KeyObject {
  try {
    return pem.includes('CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem)
  } catch {
    throw fault('request.invalid', 'pem_keys: a block is neither a public key nor a certificate in PEM')
  }
}

async function read(_call: unknown, state: KubernetesState): Promise<Reply> {
  const entry = await state.parts.view.get(configKey)
  if (entry === null) return missing
  return {
    kind: 'data',
    data: {
      kubernetes_host: entry.host,
      kubernetes_ca_cert: entry.caCert,
      pem_keys: entry.pemKeys,
      issuer: entry.issuer,
      disable_iss_validation: entry.disablesIssuerCheck,
      disable_local_ca_jwt: entry.disablesLocal,
      token_reviewer_jwt_set: entry.reviewerJwt !== '',
      use_annotations_as_alias_metadata: entry.usesAnnotations,
    },
  }
}

export const configRow = row({
  path: 'config',
  fields,
  operations: {
    read: { access: 'policy', summary: 'Where the API server is; the reviewer token is not shown.', handler: read },
    update: { access: 'policy', summary: 'Say where the API server is and who reviews.', handler: write },
  },
  help: { synopsis: 'The API server and who asks it.', description: 'A write replaces the whole configuration.' },
})
