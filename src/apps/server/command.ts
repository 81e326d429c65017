import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { createLog, type Log, type LogLevel, logLevels } from '#ground/base/log.ts'
import { Metrics } from '#ground/base/metrics.ts'
import type { World } from '#ground/base/world.ts'
import { HclError } from '#ground/hcl/tree.ts'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { ConfigFilesError, readConfigFiles } from '#ground/process/config-files.ts'
import { holdPidFile, PidFileError } from '#ground/process/pid-file.ts'
import { onSignals } from '#ground/process/signals.ts'
import { parseGoBool } from '#ground/fields/kit.ts'
import { FlagError, type FlagValues, parseFlags } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import { ServerNode } from '#core/node/node.ts'
import { SealError } from '#core/seal/seal.ts'
import { readStaticKey, staticSeal } from '#core/seal/static.ts'
import type { Command, Io } from '#protocol/command.ts'
import { programVersion } from '#protocol/version.ts'
import { StoreError } from '#stores/store.ts'
import { catalog } from './catalog.ts'
import { ConfigError } from './config-error.ts'
import { type ReadConfig, readServerConfig, type ServerConfig } from './config.ts'
import { serverFlags } from './flags.ts'
import { enableSecret } from './furnish.ts'
import { Listeners } from './listeners.ts'
import { furnishLocal, localConfig, localFiles, prepareFolder } from './local.ts'
import { openStore } from './open-store.ts'
import { uiPages } from './page.ts'
import { portOwner } from './port-owner.ts'
import { addProcessGauges, processValues } from './process-metrics.ts'
import { openServices } from './services.ts'
import { watchVolume } from './volume.ts'

type ServerFlags = FlagValues<typeof serverFlags>

const graceMs = 10_000

const help = (calledAs: string): string => `Usage: ${calledAs} server [options]

  Starts a server and runs until it is told to end (SIGTERM, SIGINT). SIGHUP
  reads certificates and audit files anew.

  With a configuration:

      $ ${calledAs} server -config=/etc/coffer/server.hcl

  In memory, for trying things out; everything is gone at its end:

      $ ${calledAs} server -dev

${flagsHelp([{ title: 'Command Options', flags: serverFlags }])}`

/** `coffer server`. Exit codes: 0 orderly end, 1 configuration or start. */
export const command: Command = {
  async run(argv, io) {
    let flags: ServerFlags
    try {
      const parsed = parseFlags(serverFlags, argv, environmentOf(io.env))
      if (parsed.rest.length > 0) throw new FlagError('usage', `server takes no arguments, got "${parsed.rest[0]}"`)
      flags = parsed.values
    } catch (error) {
      if (!(error instanceof FlagError)) throw error
      if (error.code === 'help') io.stdout(`${help(io.calledAs)}\n`)
      else io.stderr(`${error.message}\n`)
      return error.code === 'help' ? 0 : 1
    }
    try {
      return await serve(flags, io)
    } catch (error) {
      const sentence = sentenceFor(error)
      if (sentence === null) throw error
      io.stderr(`${sentence}\n`)
      return 1
    }
  },
}

// One clear sentence for what a user can mend; anything else is our bug.
function sentenceFor(error: unknown): string | null {
  if (
    error instanceof ConfigError ||
    error instanceof ConfigFilesError ||
    error instanceof HclError ||
    error instanceof PidFileError
  )
    return `Error: ${error.message}`
  if (error instanceof SealError) return `Error: the seal does not open this storage: ${error.message}`
  if (error instanceof StoreError) return `Error: the storage can not be opened: ${error.message}`
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE' && port !== undefined) {
    const owner = portOwner(port)
    return `Error: port ${port} is taken${owner === null ? '' : ` by ${owner}`}: end that, or choose another address`
  }
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return `Error: ${(error as Error).message}`
  return null
}

function configOf(flags: ServerFlags, io: Io): ReadConfig {
  const modes = [flags.config.length > 0, flags.dev, flags.local !== ''].filter(Boolean).length
  if (modes > 1) throw new ConfigError('-config, -dev and -local exclude each other')
  if (flags.dev) {
    return readServerConfig([
      {
        name: '-dev',
        text: JSON.stringify({
          listener: { tcp: { address: flags['dev-listen-address'], tls_disable: true } },
          storage: { inmem: {} },
          audit_directory: resolve(io.cwd),
          ui: true,
        }),
      },
    ])
  }
  if (flags.local !== '') {
    const folder = resolve(io.cwd, flags.local)
    prepareFolder(folder, io.world)
    return readServerConfig([localConfig(folder, flags['local-listen-address'])])
  }
  if (flags.config.length === 0) {
    throw new ConfigError('Must specify at least one config path using -config; or try -dev')
  }
  return readServerConfig(flags.config.flatMap(path => readConfigFiles(resolve(io.cwd, path))))
}

function logOf(config: ServerConfig, flags: ServerFlags, io: Io): Log {
  const level = flags['log-level'] === '' ? config.logLevel : (flags['log-level'] as LogLevel)
  if (!logLevels.includes(level)) throw new ConfigError(`-log-level "${level}" is none of ${logLevels.join(', ')}`)
  const format =
    flags['log-format'] === 'json' ? 'json' : flags['log-format'] === 'standard' ? 'standard' : config.logFormat
  return createLog({ level, format, write: line => io.stderr(line), now: () => io.world.clock.now() })
}

async function serve(flags: ServerFlags, io: Io): Promise<number> {
  const { config, warnings } = configOf(flags, io)
  const log = logOf(config, flags, io)
  const failed = new AbortController()
  const signal = AbortSignal.any([io.world.signal, failed.signal])
  const world: World = { ...io.world, log, signal }
  for (const warning of warnings) log.warn(warning)
  using _pid = config.pidFile === null ? null : holdPidFile(config.pidFile)
  const store = await openStore(config.storage, { ...world, log: log.named('storage') })
  await using services = openServices(world, io.env)
  const listeners = new Listeners(world)
  // Port 0 is chosen by the system: the address is known once it listens.
  const address = (): string => config.apiAddress ?? listeners.addresses[0] ?? ''
  const metrics = new Metrics(world.clock)
  addProcessGauges(metrics)
  const startedAt = world.clock.now()
  const node = new ServerNode({
    world,
    store,
    settings: {
      ...config,
      lockout: { isDisabled: isLockoutDisabled(io.env), stanzas: config.lockouts },
      requestBytesMax: Math.max(...config.listeners.map(listener => listener.requestBytesMax)),
    },
    autoSeal: config.seal === null ? null : sealOf(config.seal, io, world),
    catalog,
    services: services.byName,
    address,
    metrics,
    bareMetrics: () => processValues(startedAt),
    pages: (request, state) => uiPages({ address: address(), version: programVersion, state }, request),
    onFatal: error => {
      log.error('the storage failed; the server ends, since nothing may be built on what may be lost', { error })
      failed.abort(error)
    },
  })
  try {
    await node.start()
    await listeners.start(config.listeners, node)
    await furnish(flags, io, node, address(), world)
    if (config.auditDirectory !== null) watchVolume(config.auditDirectory, { ...world, log: log.named('audit') })
    using _hup = onSignals(['SIGHUP'], () => {
      listeners.reload()
      node.reopenAudit()
    })
    await untilAborted(signal)
  } finally {
    await listeners.close(graceMs)
    await node.stop()
  }
  return failed.signal.aborted ? 1 : 0
}

function isLockoutDisabled(env: Io['env']): boolean {
  const said = environmentOf(env)('VAULT_DISABLE_USER_LOCKOUT')
  const isDisabled = parseGoBool(said ?? '')
  if (isDisabled === null) throw new ConfigError(`DISABLE_USER_LOCKOUT must be true or false, not "${said}"`)
  return isDisabled
}

function sealOf(seal: NonNullable<ServerConfig['seal']>, io: Io, world: World): ReturnType<typeof staticSeal> {
  const previous =
    seal.previousKeyId === null || seal.previousKey === null
      ? null
      : { id: seal.previousKeyId, key: readStaticKey(seal.previousKey, io.env, 'previous_key') }
  return staticSeal({
    current: { id: seal.currentKeyId, key: readStaticKey(seal.currentKey, io.env) },
    previous,
    entropy: world.entropy,
  })
}

async function furnish(flags: ServerFlags, io: Io, node: ServerNode, address: string, world: World): Promise<void> {
  io.stdout(`==> coffer server configuration:\n\n     Api Address: ${address}\n         Version: ${programVersion}\n\n`)
  if (flags.dev) await furnishDev(flags, io, node, address, world)
  else if (flags.local !== '') await furnishLocalAndSay(resolve(io.cwd, flags.local), io, node, address, world)
  else if (!(await node.status()).isInitialized)
    io.stdout(`Not initialised yet: run "${io.calledAs} operator init".\n\n`)
  io.stdout('==> Vault server started! Log data will stream in below:\n\n')
}

async function furnishDev(flags: ServerFlags, io: Io, node: ServerNode, address: string, world: World): Promise<void> {
  const ask = { secretShares: 1, secretThreshold: 1, recoveryShares: 0, recoveryThreshold: 0, sent: new Set<string>() }
  const { keys, rootToken } = await node.init(ask)
  await node.unseal(keys[0]!)
  const house = node.house!
  let token = rootToken
  if (flags['dev-root-token-id'] !== '') {
    token = await node.createRootToken(flags['dev-root-token-id'])
    await house.tokens.revoke(house.tokens.key(rootToken))
  }
  await enableSecret(house, world)
  if (!flags['dev-no-store-token']) {
    await writeFileAtomically(join(io.env['HOME'] ?? homedir(), '.vault-token'), Buffer.from(token), { mode: 0o600 })
  }
  io.stdout(
    `WARNING! dev mode is enabled! Everything is kept in memory and gone at the end.\n\nYou may need to set the following environment variables:\n\n    $ export VAULT_ADDR='${address}'\n\nUnseal Key: ${Buffer.from(keys[0]!, 'hex').toString('base64')}\nRoot Token: ${token}\n\n`,
  )
}

async function furnishLocalAndSay(
  folder: string,
  io: Io,
  node: ServerNode,
  address: string,
  world: World,
): Promise<void> {
  const isFirst = await furnishLocal(node, folder, address, world)
  const files = localFiles(folder)
  const made = isFirst
    ? `First start: made ${folder}, initialised and unsealed.\n  seal key      ${files.sealKey} (whoever reads it can unseal: keep it safe)\n  data          ${files.data}\n  audit file    ${join(files.audit, 'audit.log')} (turns at 100 MB, keeps 5)\n  secrets       kv version 2 at secret/\n  address and root token for the CLI of this checkout: ${files.client} (0600)\n`
    : `Found ${folder} from before, unsealed. Address and token: ${files.client}\n`
  io.stdout(
    `${made}\nTry, in another terminal:\n\n    $ npx coffer kv put secret/app/db username=app password=s3cr3t\n    $ npx coffer kv get -field=password secret/app/db\n    $ npx coffer status\n\n`,
  )
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

/** `VAULT_X`, `BAO_X` and `COFFER_X` are one variable; the last of them wins. */
function environmentOf(env: Io['env']): (name: string) => string | undefined {
  return name => {
    const bare = name.replace(/^VAULT_/, '')
    return env[`COFFER_${bare}`] ?? env[`BAO_${bare}`] ?? env[name]
  }
}
