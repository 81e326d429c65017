import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createLog, type Log, type LogLevel, logLevels } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import { HclError } from '#ground/hcl/tree.ts'
import { ConfigFilesError, readConfigFiles } from '#ground/process/config-files.ts'
import { holdPidFile, PidFileError } from '#ground/process/pid-file.ts'
import { onSignals } from '#ground/process/signals.ts'
import { FlagError, type FlagValues, parseFlags } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import { createApiClient } from '#client/api.ts'
import { type ClientEnvironment, EnvironmentError, readEnvironment, type TlsSettings } from '#client/environment.ts'
import { kubeWay } from '#client/kube-route.ts'
import type { AgentConfig } from '#delivery/agent-config/config.ts'
import { AgentConfigError, type ReadAgentConfig, readAgentConfig } from '#delivery/agent-config/read.ts'
import { defaultAddress, parseAddress } from '#protocol/address.ts'
import type { Command, Io } from '#protocol/command.ts'
import { Agent, type AgentEnd } from './agent.ts'
import { agentFlags } from './flags.ts'

type AgentFlags = FlagValues<typeof agentFlags>

const help = (calledAs: string): string => `Usage: ${calledAs} agent [options]

  Logs in, keeps the token alive and in files, renders templates and keeps them
  fresh. SIGHUP reads the configuration anew; SIGTERM and SIGINT end it.

      $ ${calledAs} agent -config=/etc/coffer/agent.hcl

  Render everything once, then end:

      $ ${calledAs} agent -config=/etc/coffer/agent.hcl -exit-after-auth

${flagsHelp([{ title: 'Command Options', flags: agentFlags }])}`

/** `coffer agent`. Exit codes: 0 orderly end, 1 configuration, refused login or a template that can't be rendered. */
export const command: Command = {
  async run(argv, io) {
    try {
      const { values, rest } = parseFlags(agentFlags, argv)
      if (rest.length > 0) throw new FlagError('usage', `agent takes no arguments, got "${rest[0]}"`)
      return await serve(values, io)
    } catch (error) {
      if (error instanceof FlagError && error.code === 'help') {
        io.stdout(`${help(io.calledAs)}\n`)
        return 0
      }
      if (!isUsersToMend(error)) throw error
      return failed(io, (error as Error).message)
    }
  },
}

const isUsersToMend = (error: unknown): boolean =>
  error instanceof FlagError ||
  error instanceof HclError ||
  error instanceof AgentConfigError ||
  error instanceof ConfigFilesError ||
  error instanceof EnvironmentError ||
  error instanceof PidFileError

function failed(io: Io, message: string): 1 {
  io.stderr(`Error: ${message}\n`)
  sayToKubelet(io.env, message)
  return 1
}

const terminationBytesMax = 4096

/** So that `kubectl describe pod` shows why. Only in a pod: elsewhere the path would be anybody's. */
function sayToKubelet(env: Io['env'], message: string): void {
  if (env['KUBERNETES_SERVICE_HOST'] === undefined) return
  try {
    writeFileSync('/dev/termination-log', Buffer.from(message).subarray(0, terminationBytesMax), { flag: 'r+' })
  } catch {
    // A pod without the file; the log has it.
  }
}

function readFiles(flags: AgentFlags, io: Io): ReadAgentConfig {
  if (flags.config.length === 0) {
    throw new FlagError('usage', 'Must specify at least one config path using -config')
  }
  const files = flags.config.flatMap(path => readConfigFiles(resolve(io.cwd, path)))
  return readAgentConfig(files, flags['config-strict'])
}

function logOf(flags: AgentFlags, environment: ClientEnvironment, config: AgentConfig, io: Io): Log {
  const level = (flags['log-level'] || environment.logLevel || config.logLevel || 'info').toLowerCase() as LogLevel
  if (!logLevels.includes(level)) throw new FlagError('usage', `unknown log level: ${level}`)
  const format = flags['log-format'] || environment.logFormat || config.logFormat || 'standard'
  if (format !== 'standard' && format !== 'json') {
    throw new FlagError('usage', `unknown log format "${format}": standard or json`)
  }
  return createLog({ level, format, write: line => io.stdout(line), now: () => io.world.clock.now(), name: 'agent' })
}

// Flag, then environment, then file.
function tlsOf(flags: AgentFlags, { tls }: ClientEnvironment, { vault }: AgentConfig): TlsSettings {
  const pick = (flag: string, env: string | undefined, file: string | null): string | undefined =>
    flag || env || file || undefined
  const caCert = pick(flags['ca-cert'], tls.caCert, tls.caBytes === undefined ? vault.caCert : null)
  const caPath = pick(flags['ca-path'], tls.caPath, vault.caPath)
  const clientCert = pick(flags['client-cert'], tls.clientCert, vault.clientCert)
  const clientKey = pick(flags['client-key'], tls.clientKey, vault.clientKey)
  const serverName = pick(flags['tls-server-name'], tls.serverName, vault.tlsServerName)
  return {
    ...(tls.caBytes !== undefined && { caBytes: tls.caBytes }),
    ...(caCert !== undefined && { caCert }),
    ...(caPath !== undefined && { caPath }),
    ...(clientCert !== undefined && { clientCert }),
    ...(clientKey !== undefined && { clientKey }),
    ...(serverName !== undefined && { serverName }),
    skipVerify: flags['tls-skip-verify'] || tls.skipVerify || vault.tlsSkipVerify || false,
  }
}

async function runOnce(flags: AgentFlags, io: Io, world: World, read: ReadAgentConfig): Promise<AgentEnd> {
  const { config } = read
  const environment = readEnvironment(io.env)
  const text = flags.address || environment.address || config.vault.address || defaultAddress
  const where = parseAddress(text)
  const way = where.kind === 'kube' ? await kubeWay(world, io.env, where, io.isInputTerminal) : null
  const tls = tlsOf(flags, environment, config)
  const hasCa = tls.caCert !== undefined || tls.caBytes !== undefined || tls.caPath !== undefined
  const namespace = flags.namespace || environment.namespace || config.vault.namespace
  await using client = createApiClient({
    address: text,
    world,
    tls: way === null || way.caPem === null || hasCa ? tls : { ...tls, caBytes: way.caPem },
    ...(way !== null && { route: way.route }),
    ...(namespace && { namespace }),
    ...(environment.timeoutMs !== undefined && { timeoutMs: environment.timeoutMs }),
  })
  const exitAfterAuth = flags['exit-after-auth'] || config.exitAfterAuth
  return new Agent({ world, config, client, env: { ...io.env, VAULT_ADDR: text }, exitAfterAuth }).run()
}

async function serve(flags: AgentFlags, io: Io): Promise<number> {
  let read = readFiles(flags, io)
  const log = logOf(flags, readEnvironment(io.env), read.config, io)
  warn(log, read)
  if (read.config.method === null) {
    log.error('no auto_auth block found in config, the agent will not do anything')
    return failed(io, 'no auto_auth block found in the configuration: without a login there is nothing to do')
  }
  using _pid = read.config.pidFile === null ? null : holdPidFile(read.config.pidFile)
  for (;;) {
    const reload = new AbortController()
    using _hup = onSignals(['SIGHUP'], () => reload.abort())
    const world: World = { ...io.world, log, signal: AbortSignal.any([io.world.signal, reload.signal]) }
    const end = await runOnce(flags, io, world, read)
    if (end.code !== 0) return failed(io, end.error instanceof Error ? end.error.message : String(end.error))
    if (!reload.signal.aborted || io.world.signal.aborted) return 0
    read = readAgain(flags, io, log, read)
  }
}

// A file that can't be read must not end an agent that runs: it goes on with what it had.
function readAgain(flags: AgentFlags, io: Io, log: Log, before: ReadAgentConfig): ReadAgentConfig {
  try {
    const read = readFiles(flags, io)
    if (read.config.method === null) throw new AgentConfigError('no auto_auth block found')
    warn(log, read)
    log.info('configuration read anew')
    return read
  } catch (error) {
    if (!isUsersToMend(error)) throw error
    log.error('the configuration can not be read; going on with the one before', { error })
    return before
  }
}

function warn(log: Log, { warnings }: ReadAgentConfig): void {
  for (const warning of warnings) log.warn(warning)
}
