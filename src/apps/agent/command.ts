import { appendFileSync, closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { type LogLevel, logLevels } from '#ground/base/log.ts'
import type { World } from '#ground/base/world.ts'
import { HclError } from '#ground/hcl/tree.ts'
import { ConfigFilesError, readConfigFiles } from '#ground/process/config-files.ts'
import { holdPidFile, PidFileError } from '#ground/process/pid-file.ts'
import { onSignals } from '#ground/process/signals.ts'
import { FlagError, type FlagValues, parseFlags } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import { createApiClient } from '#client/api.ts'
import { type ClientEnvironment, EnvironmentError, readEnvironment, type TlsSettings } from '#client/environment.ts'
import { clientTls, TlsSettingsError } from '#client/tls.ts'
import type { AgentConfig } from '#delivery/agent-config/config.ts'
import { AgentConfigError, type ReadAgentConfig, readAgentConfig } from '#delivery/agent-config/read.ts'
import { defaultAddress, parseAddress } from '#protocol/address.ts'
import type { Command, Io } from '#protocol/command.ts'
import { Agent, type AgentEnd } from './agent.ts'
import { agentFlags } from './flags.ts'
import { handoverFolder, takeOver } from './handover.ts'
import { LevelLog } from './level-log.ts'

type AgentFlags = FlagValues<typeof agentFlags>

const help = (calledAs: string): string => `Usage: ${calledAs} agent [options]

  Logs in, keeps the token alive and in files, renders templates and keeps them
  fresh. SIGHUP reads the log level anew; SIGTERM and SIGINT end it.

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
  error instanceof TlsSettingsError ||
  error instanceof PidFileError

function failed(io: Io, message: string): 1 {
  io.stderr(`Error: ${message}\n`)
  sayToKubelet(io.env, message)
  return 1
}

const terminationBytesMax = 4096

/** So that `kubectl describe pod` shows why: the kubelet's file is written when it is there, and never made. */
function sayToKubelet(env: Io['env'], message: string): void {
  try {
    const file = openSync(env['COFFER_TERMINATION_LOG'] || '/dev/termination-log', 'r+')
    try {
      ftruncateSync(file)
      writeSync(file, Buffer.from(message).subarray(0, terminationBytesMax))
    } finally {
      closeSync(file)
    }
  } catch {
    // No pod; the log has it.
  }
}

function readFiles(flags: AgentFlags, io: Io): ReadAgentConfig {
  if (flags.config.length === 0) {
    throw new FlagError('usage', 'Must specify at least one config path using -config')
  }
  const files = flags.config.flatMap(path => readConfigFiles(resolve(io.cwd, path)))
  return readAgentConfig(files, flags['config-strict'])
}

function levelOf(flags: AgentFlags, environment: ClientEnvironment, config: AgentConfig): LogLevel {
  const level = (flags['log-level'] || environment.logLevel || config.logLevel || 'info').toLowerCase()
  const found = logLevels.find(one => one === (level === 'err' ? 'error' : level))
  if (found === undefined) throw new FlagError('usage', `unknown log level: ${level}`)
  return found
}

function logOf(flags: AgentFlags, environment: ClientEnvironment, config: AgentConfig, io: Io): LevelLog {
  const format = flags['log-format'] || environment.logFormat || config.logFormat || 'standard'
  if (format !== 'standard' && format !== 'json') {
    throw new FlagError('usage', `unknown log format "${format}": standard or json`)
  }
  const toFile = fileWriter(flags['log-file'] || config.logFile, io)
  return LevelLog.create(levelOf(flags, environment, config), {
    format,
    write: line => {
      io.stdout(line)
      toFile?.(line)
    },
    now: () => io.world.clock.now(),
    name: 'agent',
  })
}

// Opened for each line, so that the file may be moved away under us.
function fileWriter(name: string | null, io: Io): ((line: string) => void) | null {
  if (!name) return null
  const path = resolve(io.cwd, name)
  const append = (line: string): void => appendFileSync(path, line, { mode: 0o640 })
  try {
    append('')
  } catch (error) {
    throw new ConfigFilesError(`the log file ${path} can not be written: ${(error as NodeJS.ErrnoException).code}`)
  }
  return line => {
    try {
      append(line)
    } catch {
      // The standard output has the line.
    }
  }
}

// Flag, then environment, then file.
function tlsOf(flags: AgentFlags, { tls }: ClientEnvironment, { vault }: AgentConfig): TlsSettings {
  const pick = (flag: string, env: string | undefined, file: string | null): string | undefined =>
    flag || env || file || undefined
  const caCert = pick(flags['ca-cert'], tls.caCert, vault.caCert)
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

/** @throws TlsSettingsError at once for a file that is missing, which no retry would mend */
function checkedTls(flags: AgentFlags, environment: ClientEnvironment, config: AgentConfig): TlsSettings {
  const tls = tlsOf(flags, environment, config)
  const { caCert, caBytes, caPath, clientCert, clientKey } = tls
  if ([caCert, caBytes, caPath, clientCert, clientKey].some(one => one !== undefined)) clientTls(tls)
  return tls
}

async function runAgent(flags: AgentFlags, io: Io, world: World, config: AgentConfig): Promise<AgentEnd> {
  const environment = readEnvironment(io.env)
  const text = flags.address || environment.address || config.vault.address || defaultAddress
  const where = parseAddress(text)
  const tls = checkedTls(flags, environment, config)
  // What speaks with API servers is loaded only for such an address.
  const way =
    where.kind === 'kube'
      ? await (await import('#client/kube-route.ts')).kubeWay(world, io.env, where, io.isInputTerminal)
      : null
  const hasCa = tls.caCert !== undefined || tls.caBytes !== undefined || tls.caPath !== undefined
  const namespace = flags.namespace || environment.namespace || config.method?.namespace || config.vault.namespace
  const exitAfterAuth = flags['exit-after-auth'] || config.exitAfterAuth
  const handsOverAt = config.handoverPath === null ? null : handoverFolder(config.handoverPath)
  const handover =
    handsOverAt === null ? null : await takeOver({ ...world, log: world.log.named('handover') }, handsOverAt)
  await using client = createApiClient({
    address: text,
    // Its requests have the agent's signal; those that end its tokens come after that.
    world: { ...world, signal: new AbortController().signal },
    tls: way === null || way.caPem === null || hasCa ? tls : { ...tls, caBytes: way.caPem },
    ...(way !== null && { route: way.route }),
    ...(namespace && { namespace }),
    ...(environment.timeoutMs !== undefined && { timeoutMs: environment.timeoutMs }),
  })
  const env = { ...io.env, VAULT_ADDR: text }
  return new Agent({ world, config, client, env, exitAfterAuth, handover, handsOverAt }).run()
}

async function serve(flags: AgentFlags, io: Io): Promise<number> {
  const { config, warnings } = readFiles(flags, io)
  const log = logOf(flags, readEnvironment(io.env), config, io)
  for (const warning of warnings) log.warn(warning)
  using _pid = config.pidFile === null ? null : holdPidFile(config.pidFile)
  using _hup = onSignals(['SIGHUP'], () => readLevelAgain(flags, io, log))
  log.info('agent started', { pid: process.pid })
  const end = await runAgent(flags, io, { ...io.world, log }, config)
  if (end.code === 0) return 0
  return failed(io, end.error instanceof Error ? end.error.message : String(end.error))
}

// A file that can't be read must not end an agent that runs.
function readLevelAgain(flags: AgentFlags, io: Io, log: LevelLog): void {
  try {
    const level = levelOf(flags, readEnvironment(io.env), readFiles(flags, io).config)
    log.setLevel(level)
    log.info('log level read anew', { level })
  } catch (error) {
    log.error('the configuration can not be read; going on as before', { error })
  }
}
