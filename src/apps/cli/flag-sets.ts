import { boolFlag, durationFlag, type Flags, stringFlag, stringListFlag, stringMapFlag } from '#ground/text/flags.ts'

/** What a command prints by flags: `-field`, `-format`, `-detailed`; `raw` allows `-format=raw`. */
export type OutputOption = 'field' | 'format' | 'detailed' | 'raw'

/** Flags of every command that asks a server. The environment is merged in `settings.ts`; `env` is for the help. */
export const httpFlags = {
  address: stringFlag({
    usage: 'Address of the server: https://host:8200, unix:///path/to.sock, or kube://namespace/service.',
    env: 'VAULT_ADDR',
  }),
  'agent-address': stringFlag({ usage: 'Address of the Agent.', env: 'VAULT_AGENT_ADDR' }),
  'ca-cert': stringFlag({
    usage: 'File with a CA certificate in PEM form to verify the server with. It is used before -ca-path.',
    env: 'VAULT_CACERT',
  }),
  'ca-path': stringFlag({
    usage: 'Folder of CA certificates in PEM form to verify the server with.',
    env: 'VAULT_CAPATH',
  }),
  'client-cert': stringFlag({
    usage: 'File with a certificate in PEM form to show to the server; -client-key is needed too.',
    env: 'VAULT_CLIENT_CERT',
  }),
  'client-key': stringFlag({
    usage: 'File with the private key of -client-cert in PEM form.',
    env: 'VAULT_CLIENT_KEY',
  }),
  namespace: stringFlag({
    usage: 'Namespace that the command works in. -ns can be used as shortcut.',
    env: 'VAULT_NAMESPACE',
  }),
  ns: stringFlag({ usage: 'Alias of -namespace, which it beats.', isHidden: true }),
  'tls-server-name': stringFlag({
    usage: 'Name to ask for and to expect in the certificate.',
    env: 'VAULT_TLS_SERVER_NAME',
  }),
  'tls-skip-verify': boolFlag({
    usage: "Don't verify the server's certificate. Anyone in between can read and change everything then.",
    env: 'VAULT_SKIP_VERIFY',
  }),
  'disable-redirects': boolFlag({
    usage: "Don't follow the one redirect that is followed by default.",
    env: 'VAULT_DISABLE_REDIRECTS',
  }),
  'policy-override': boolFlag({ usage: 'Override a Sentinel policy whose enforcement is soft-mandatory.' }),
  'wrap-ttl': durationFlag({
    usage: 'Put the answer away for as long as this ("30s", "5m") and print a token that "unwrap" fetches it with.',
    env: 'VAULT_WRAP_TTL',
  }),
  mfa: stringListFlag({ usage: 'Second-factor credentials, sent as X-Vault-MFA.', env: 'VAULT_MFA' }),
  'output-curl-string': boolFlag({ usage: 'Print the request as a curl command instead of sending it.' }),
  'output-policy': boolFlag({ usage: 'Print a policy that allows the request instead of sending it.' }),
  header: stringMapFlag({
    usage: 'Header as key=value to send with every request; may be given several times. X-Vault-* is refused.',
  }),
  'non-interactive': boolFlag({ usage: 'Never ask for input on the terminal.' }),
} satisfies Flags

const outputFlag = {
  field: stringFlag({
    usage: 'Print only this field, without a line feed at the end, whatever the format says.',
  }),
  format: stringFlag({
    usage: 'Print in this format: "table", "json", "yaml" or "pretty"; "raw" for "read" only.',
    default: 'table',
    env: 'VAULT_FORMAT',
    completion: ['table', 'json', 'yaml', 'pretty', 'raw'],
  }),
  detailed: boolFlag({ usage: 'Print more about each entry, where the server tells more.', env: 'VAULT_DETAILED' }),
}

/** The output flags that a command has. `-format` and `-detailed` are read from anywhere on the line besides. */
export function outputFlags(options: readonly OutputOption[]): Flags {
  return Object.fromEntries(Object.entries(outputFlag).filter(([name]) => options.includes(name as OutputOption)))
}

/** Read wherever they stand before `--`. */
export const globalFlags = ['output-curl-string', 'output-policy', 'format', 'detailed']
