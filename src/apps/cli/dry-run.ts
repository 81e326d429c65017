import type { TlsSettings } from '#client/environment.ts'
import type { ApiAnswer, ApiClient, ApiRequest, ClientChange } from '#client/api.ts'
import { goQuote } from '#ground/text/quote.ts'

/** Thrown instead of a request being sent; says what would have been. */
export class DryRun extends Error {
  override readonly name = 'DryRun'
  readonly text: string

  constructor(text: string) {
    super('nothing was sent')
    this.text = text
  }
}

export type DryRunKind = 'curl' | 'policy'

/** A client whose first request ends the command with its description. */
export function dryRunClient(client: ApiClient, kind: DryRunKind, tls: TlsSettings, program: string): ApiClient {
  const describe = (request: ApiRequest): Promise<ApiAnswer> => {
    throw new DryRun(kind === 'curl' ? curlText(client, request, tls, program) : policyText(request))
  }
  return {
    address: client.address,
    token: client.token,
    namespace: client.namespace,
    wrapTtlSeconds: client.wrapTtlSeconds,
    request: async request => describe(request),
    transfer: async request => {
      await describe({ method: request.method, path: request.path })
      throw new DryRun('')
    },
    describe: request => client.describe(request),
    with: (change: ClientChange) => dryRunClient(client.with(change), kind, tls, program),
    dial: async request => {
      await describe({ method: 'GET', ...request })
      throw new DryRun('')
    },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`

/** The token is left to be asked for at the time: it never stands in a shell's history. */
function curlText(client: ApiClient, request: ApiRequest, tls: TlsSettings, program: string): string {
  const { url, headers, body } = client.describe(request)
  const parts = ['curl']
  if (tls.skipVerify) parts.push('--insecure')
  if (request.method !== 'GET') parts.push(`-X ${request.method}`)
  if (tls.caCert) parts.push(`--cacert ${quoted(tls.caCert)}`)
  if (tls.caPath) parts.push(`--capath ${quoted(tls.caPath)}`)
  if (tls.clientCert) parts.push(`--cert ${quoted(tls.clientCert)}`)
  if (tls.clientKey) parts.push(`--key ${quoted(tls.clientKey)}`)
  for (const [name, value] of headers) {
    parts.push(name === 'X-Vault-Token' ? `-H "${name}: $(${program} print token)"` : `-H "${name}: ${value}"`)
  }
  if (body !== null) parts.push(`-d ${quoted(body)}`)
  if (client.address.kind === 'unix') parts.push(`--unix-socket ${quoted(client.address.path)}`)
  return `${parts.join(' ')} ${goQuote(url)}`
}

const capabilities: Readonly<Record<string, readonly string[]>> = {
  GET: ['read'],
  POST: ['create', 'update'],
  PUT: ['create', 'update'],
  PATCH: ['patch'],
  DELETE: ['delete'],
}

// Paths whose policy needs sudo besides. @source openbao api/plugin_helpers.go sudoPaths
const sudoPaths = [
  /^auth\/token\/accessors\/?$/,
  /^pki\/root(\/sign-self-issued)?$/,
  /^sys\/audit(\/.+)?$/,
  /^sys\/auth\/.+$/,
  /^sys\/config\/(auditing\/request-headers(\/.+)?|cors|ui\/headers(\/.*)?)$/,
  /^sys\/leases$/,
  /^sys\/leases\/(lookup\/?.*|revoke-force\/.+|revoke-prefix\/.+)$/,
  /^sys\/plugins\/catalog\/.+$/,
  /^sys\/raw(\/.+)?$/,
  /^sys\/(remount|rotate|rotate\/keyring|rotate\/root)$/,
  /^sys\/(revoke-force|revoke-prefix)\/.+$/,
  /^sys\/internal\/inspect\/(request|router\/.+)$/,
]

function policyText(request: ApiRequest): string {
  // As it is sent: without outer and double slashes.
  const path = request.path.split('/').filter(Boolean).join('/')
  const wants = request.query?.['list'] === true ? ['list'] : [...(capabilities[request.method] ?? [])]
  if (sudoPaths.some(pattern => pattern.test(path))) wants.push('sudo')
  return `path "${path}" {\n  capabilities = [${wants.map(word => `"${word}"`).join(', ')}]\n}`
}
