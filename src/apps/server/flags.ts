import { boolFlag, stringFlag, stringListFlag } from '#ground/text/flags.ts'

/** Flags of `coffer server`; Vault's, and `-local`, which is `npm start`. */
export const serverFlags = {
  config: stringListFlag({ usage: 'Path to a configuration file or folder; may be given several times.' }),
  dev: boolFlag({ usage: 'Run in memory, unsealed, with a root token: for trying things out.' }),
  'dev-root-token-id': stringFlag({ usage: 'The root token of -dev.', env: 'VAULT_DEV_ROOT_TOKEN_ID' }),
  'dev-listen-address': stringFlag({
    default: '127.0.0.1:8200',
    usage: 'Where -dev listens.',
    env: 'VAULT_DEV_LISTEN_ADDRESS',
  }),
  'dev-no-store-token': boolFlag({ usage: 'Do not write the root token of -dev to the token file.' }),
  local: stringFlag({
    usage: 'Keep everything in this folder, initialise it at the first start: what npm start does.',
  }),
  'local-listen-address': stringFlag({ default: '127.0.0.1:8200', usage: 'Where -local listens.' }),
  'log-level': stringFlag({ usage: 'trace, debug, info, warn or error.', env: 'VAULT_LOG_LEVEL' }),
  'log-format': stringFlag({ usage: 'standard or json.', env: 'VAULT_LOG_FORMAT' }),
}
