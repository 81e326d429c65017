import { boolFlag, type Flags, intFlag, stringFlag } from '#ground/text/flags.ts'
import type { JsonObject } from '#ground/text/json.ts'
import { isTrue, own, textOf, textsOf, wholeOf } from '#protocol/members.ts'
import { isSealed } from '#client/api-error.ts'
import { initialize, isInitialized, leader, seal, sealStatus, unseal } from '#client/calls/sys.ts'
import { attempt, type Context } from '../context.ts'
import { struct } from '../render/documents.ts'
import { askHidden } from '../ask.ts'
import { readPgpKeys } from '../pgp-key.ts'
import { sealDocument, sealTable } from '../render/seal-status.ts'
import { type Row, row } from '../row.ts'
import { CliError, wrapped } from '../ui.ts'

async function leaderOf(c: Context<Flags>): Promise<JsonObject> {
  try {
    return await leader(c.client)
  } catch (error) {
    // A sealed node of a cluster can't say who leads.
    if (isSealed(error)) return { ha_enabled: true }
    throw new CliError(1, `Error checking leader status: ${(error as Error).message}`, { cause: error })
  }
}

async function showSealStatus(c: Context<Flags>, status: JsonObject): Promise<void> {
  const leading = await leaderOf(c)
  if (c.field !== '') return c.ui.field(sealField(status, leading, c.field), c.field, 'seal status')
  if (c.ui.isTable) c.ui.output(sealTable(status, leading))
  else await c.ui.document(sealDocument(status, leading))
}

function sealField(status: JsonObject, leading: JsonObject, field: string) {
  if (field === 'ha_mode') return isTrue(leading, 'is_self') ? 'active' : 'standby'
  return own(sealDocument(status, leading), field)
}

const statusRow = row({
  name: 'status',
  needsNoToken: true,
  synopsis: 'Print seal and HA status',
  usage: '[options]',
  help: `Prints whether the server is sealed and whether it is one of several. The exit code says it too:

    - 0 - unsealed
    - 1 - error
    - 2 - sealed

    $ % status -format=json`,
  output: ['field', 'format'],
  async run(c) {
    // Seal and HA state belong to the server, not to a namespace.
    const client = c.client.with({ namespace: '', wrapTtlSeconds: 0 })
    const status = await attempt('Error checking seal status', sealStatus(client), 1)
    await attempt('Error checking seal status', showSealStatus(c, status), 1)
    return isTrue(status, 'sealed') ? 2 : 0
  },
})

const initRow = row({
  name: 'operator init',
  needsNoToken: true,
  synopsis: 'Initializes a server',
  usage: '[options]',
  help: `Prepares a new server's storage and prints its unseal keys and first root token: the only time that they are shown.

    $ % operator init -key-shares=5 -key-threshold=3
    $ % operator init -format=json > init.json

With -status: exit code 0 when it is initialized, 2 when it isn't.`,
  output: ['format'],
  title: 'Common Options',
  flags: {
    status: boolFlag({ usage: 'Only print whether the server is initialized.' }),
    'key-shares': intFlag({ usage: 'Into how many unseal keys the root key is split; 5 unless set.', aliases: ['n'] }),
    'key-threshold': intFlag({ usage: 'How many of them unseal; 3 unless set.', aliases: ['t'] }),
    'pgp-keys': stringFlag({ usage: 'Files with PGP public keys, separated by commas: one for each unseal key.' }),
    'root-token-pgp-key': stringFlag({ usage: 'File with the PGP public key to encrypt the root token with.' }),
    'recovery-shares': intFlag({ usage: 'Recovery keys, with an auto-unseal only.', default: 5 }),
    'recovery-threshold': intFlag({ usage: 'How many of them are needed, with an auto-unseal only.', default: 3 }),
    'recovery-pgp-keys': stringFlag({ usage: 'As -pgp-keys, for the recovery keys.' }),
  },
  async run(c) {
    if (c.flags.status) return initStatus(c)
    const isAuto = isTrue(await attempt('Error checking seal status', sealStatus(c.probe)), 'recovery_seal')
    const shares = c.flags['key-shares'] || (isAuto ? 0 : 5)
    const threshold = c.flags['key-threshold'] || (isAuto ? 0 : 3)
    const rootTokenKey = c.flags['root-token-pgp-key']
    const body: JsonObject = {
      secret_shares: shares,
      secret_threshold: threshold,
      pgp_keys: await readPgpKeys(c, c.flags['pgp-keys']),
      root_token_pgp_key: rootTokenKey === '' ? '' : ((await readPgpKeys(c, rootTokenKey))?.[0] ?? ''),
      recovery_shares: isAuto ? c.flags['recovery-shares'] : 0,
      recovery_threshold: isAuto ? c.flags['recovery-threshold'] : 0,
      recovery_pgp_keys: await readPgpKeys(c, c.flags['recovery-pgp-keys']),
    }
    const made = await attempt('Error initializing', initialize(c.client, body))
    if (c.ui.isTable) showInit(c, made, body)
    else await c.ui.document(initDocument(made, body))
    return 0
  },
})

async function initStatus(c: Context<Flags>): Promise<number> {
  const initialized = await attempt('Error checking init status', isInitialized(c.client), 1)
  if (c.ui.isTable) c.ui.output(initialized ? 'Vault is initialized' : 'Vault is not initialized')
  else await c.ui.document({ Initialized: initialized })
  return initialized ? 0 : 2
}

function showInit(c: Context<Flags>, made: JsonObject, body: JsonObject): void {
  const shares = wholeOf(body, 'secret_shares')
  const threshold = wholeOf(body, 'secret_threshold')
  const keys = textsOf(made, 'keys_base64') ?? textsOf(made, 'keys') ?? []
  const recovery = textsOf(made, 'recovery_keys_base64') ?? textsOf(made, 'recovery_keys') ?? []
  for (const [i, key] of keys.entries()) c.ui.output(`Unseal Key ${i + 1}: ${key}`)
  for (const [i, key] of recovery.entries()) c.ui.output(`Recovery Key ${i + 1}: ${key}`)
  c.ui.output(`\nInitial Root Token: ${textOf(made, 'root_token')}`)
  if (keys.length === 0) c.ui.output('\nSuccess! Vault is initialized')
  else {
    const initialized = `Vault initialized with ${shares} key shares and a key threshold of ${threshold}.`
    c.ui.output(
      `\n${wrapped(
        `${initialized} Please securely distribute the key shares printed above. When the Vault is re-sealed, restarted, ` +
          `or stopped, you must supply at least ${threshold} of these keys to unseal it before it can start servicing requests.`,
      )}`,
    )
    c.ui.output(
      `\n${wrapped(
        `Vault does not store the generated root key. Without at least ${threshold} keys to reconstruct the root key, ` +
          'Vault will remain permanently sealed!',
      )}`,
    )
  }
  if (recovery.length > 0) {
    const count = `${wholeOf(body, 'recovery_shares')} key shares and a key threshold of ${wholeOf(body, 'recovery_threshold')}`
    c.ui.output(
      `\n${wrapped(`Recovery key initialized with ${count}. Please securely distribute the key shares printed above.`)}`,
    )
  }
}

/** What scripts read of `operator init -format=json`. */
function initDocument(made: JsonObject, body: JsonObject): JsonObject {
  const keys = textsOf(made, 'keys') ?? []
  return struct({
    unseal_keys_b64: textsOf(made, 'keys_base64') ?? [],
    unseal_keys_hex: keys,
    unseal_shares: keys.length === 0 ? 1 : (own(body, 'secret_shares') ?? 1),
    unseal_threshold: keys.length === 0 ? 1 : (own(body, 'secret_threshold') ?? 1),
    recovery_keys_b64: textsOf(made, 'recovery_keys_base64') ?? [],
    recovery_keys_hex: textsOf(made, 'recovery_keys') ?? [],
    recovery_keys_shares: own(body, 'recovery_shares') ?? 0,
    recovery_keys_threshold: own(body, 'recovery_threshold') ?? 0,
    root_token: textOf(made, 'root_token'),
  })
}

const unsealRow = row({
  name: 'operator unseal',
  needsNoToken: true,
  synopsis: 'Unseals the server',
  usage: '[options] [KEY]',
  help: `Hands one unseal key to a sealed server; enough of them unseal it. Without an argument the key is asked for, or read
from stdin, so that it stands in no shell history.

    $ % operator unseal
    Unseal Key (will be hidden):`,
  output: ['format'],
  flags: {
    reset: boolFlag({ usage: 'Forget the keys that were handed over so far.' }),
    migrate: boolFlag({ usage: 'The key is given to move from one seal to another.' }),
  },
  args: [0, 1],
  async run(c) {
    if (c.flags.reset) {
      const status = await attempt('Error resetting unseal process', unseal(c.client, { reset: true }))
      return showSealStatus(c, status)
    }
    const key = c.arg(0) === '' ? await askUnsealKey(c) : c.arg(0)
    const body = { key, reset: false, migrate: c.flags.migrate }
    await showSealStatus(c, await attempt('Error unsealing', unseal(c.client, body)))
  },
})

async function askUnsealKey(c: Context<Flags>): Promise<string> {
  if (!c.isInteractive) {
    const refusal =
      'Refusing to read from stdin with -non-interactive specified; specify unseal key as an argument to this command'
    throw new CliError(1, wrapped(refusal))
  }
  return (await askHidden(c, 'Unseal Key (will be hidden): ')).trim()
}

const sealRow = row({
  name: 'operator seal',
  synopsis: 'Seals the server',
  usage: '[options]',
  help: `Seals the server: it forgets its keys and answers nothing until it is unsealed.

    $ % operator seal`,
  async run(c) {
    await attempt('Error sealing', seal(c.client))
    c.ui.output('Success! Vault is sealed.')
  },
})

export const operatorRows: readonly Row[] = [initRow, unsealRow, sealRow]
export const statusRows: readonly Row[] = [statusRow]
