import type { Secret } from '#ground/base/secret.ts'
import type { FlagValues } from '#ground/text/flags.ts'
import type { Io } from '#protocol/command.ts'
import { defaultAddress, parseAddress } from '#protocol/address.ts'
import type { ApiClientOptions } from '#client/api.ts'
import { type ClientEnvironment, readEnvironment, type TlsSettings } from '#client/environment.ts'
import { type CheckoutClient, readCheckoutClient } from './checkout.ts'
import type { httpFlags } from './flag-sets.ts'
import { readTokenFile, tokenFilePath } from '#client/token-store.ts'
import { CliError } from './ui.ts'

export type HttpFlagValues = FlagValues<typeof httpFlags>

/** Where a command goes and as whom: flag, then environment, then the checkout's pair, then the defaults. */
export type Settings = {
  readonly environment: ClientEnvironment
  readonly options: Omit<ApiClientOptions, 'world'>
  readonly token: Secret | null
  readonly tokenPath: string
  /** Set when address and token come from the checkout's server. */
  readonly checkout: CheckoutClient | null
}

/** @throws CliError, EnvironmentError */
export async function resolveSettings(io: Io, flags: HttpFlagValues, given: ReadonlySet<string>): Promise<Settings> {
  const environment = readEnvironment(io.env)
  const named = flags['agent-address'] || environment.agentAddress || flags.address || environment.address || null
  const isBare = named === null && environment.token === undefined
  const checkout = isBare ? await readCheckoutClient(io.cwd) : null
  const tokenPath = tokenFilePath(io.env, environment.tokenPath)
  const namespace = given.has('ns')
    ? flags.ns
    : given.has('namespace')
      ? flags.namespace
      : (environment.namespace ?? '')
  const wrapTtlSeconds = given.has('wrap-ttl') ? flags['wrap-ttl'] : (environment.wrapTtlSeconds ?? 0)
  const address = named ?? checkout?.address ?? defaultAddress
  const tls = tlsOf(flags, environment.tls, given, checkout)
  return {
    environment,
    token: environment.token ?? checkout?.token ?? (await readTokenFile(tokenPath)),
    tokenPath,
    checkout,
    options: {
      address,
      tls,
      ...(await kubeOptions(io, address, tls)),
      namespace: canonicalNamespace(namespace),
      wrapTtlSeconds,
      // A person at a terminal would rather see the error now.
      maxRetries: environment.maxRetries ?? 0,
      timeoutMs: environment.timeoutMs ?? 60_000,
      mfa: flags.mfa.length > 0 ? flags.mfa : (environment.mfa ?? []),
      policyOverride: flags['policy-override'],
      disableRedirects: flags['disable-redirects'] || environment.disableRedirects === true,
      headers: headersOf(flags.header),
    },
  }
}

// Through a cluster: the way there, and its own CA unless the user names another.
async function kubeOptions(io: Io, text: string, tls: TlsSettings): Promise<Pick<ApiClientOptions, 'route' | 'tls'>> {
  const address = parseAddress(text)
  if (address.kind !== 'kube') return {}
  const { kubeWay } = await import('#client/kube-route.ts')
  const { route, caPem } = await kubeWay(io.world, io.env, address, io.isInputTerminal)
  const isNamed = tls.caCert !== undefined || tls.caPath !== undefined || tls.caBytes !== undefined
  return { route, tls: isNamed || caPem === null ? tls : { ...tls, caBytes: caPem } }
}

function tlsOf(
  flags: HttpFlagValues,
  environment: TlsSettings,
  given: ReadonlySet<string>,
  checkout: CheckoutClient | null,
): TlsSettings {
  const caCert = flags['ca-cert'] || checkout?.caCert
  return {
    // A CA on the command line replaces the environment's, of whatever form.
    ...(caCert || flags['ca-path'] ? {} : pick(environment, ['caCert', 'caPath', 'caBytes'])),
    ...pick(environment, ['clientCert', 'clientKey', 'serverName', 'skipVerify']),
    ...(caCert && { caCert }),
    ...(flags['ca-path'] && { caPath: flags['ca-path'] }),
    ...(flags['client-cert'] && { clientCert: flags['client-cert'] }),
    ...(flags['client-key'] && { clientKey: flags['client-key'] }),
    ...(flags['tls-server-name'] && { serverName: flags['tls-server-name'] }),
    ...(given.has('tls-skip-verify') && { skipVerify: flags['tls-skip-verify'] }),
  }
}

function pick(from: TlsSettings, names: readonly (keyof TlsSettings)[]): TlsSettings {
  return Object.fromEntries(names.filter(name => from[name] !== undefined).map(name => [name, from[name]]))
}

function canonicalNamespace(namespace: string): string {
  const bare = namespace.replace(/^\/+|\/+$/g, '')
  return bare === '' || bare === 'root' ? '' : `${bare}/`
}

function headersOf(headers: ReadonlyMap<string, string>): Record<string, string> {
  const forbidden = [...headers.keys()].filter(name => name.toLowerCase().startsWith('x-vault-'))
  if (forbidden.length > 0) {
    const names = forbidden.join(', ')
    throw new CliError(
      2,
      `failed to setup Headers[${names}]: Header starting by 'X-Vault-' are for internal usage only`,
    )
  }
  return Object.fromEntries(headers)
}
