import { type ApiClient, createApiClient } from '#client/api.ts'
import { EnvironmentError, readEnvironment } from '#client/environment.ts'
import {
  FlagError,
  type Flags,
  type FlagValues,
  misplacedFlagsHint,
  parseFlags,
  parseGoBool,
} from '#ground/text/flags.ts'
import type { Io } from '#protocol/command.ts'
import type { AuthBlock } from '#protocol/envelope.ts'
import { Context } from './context.ts'
import { DryRun, dryRunClient } from './dry-run.ts'
import { globalFlags, httpFlags } from './flag-sets.ts'
import { flagSetsOf, rowHelp } from './help.ts'
import type { Row } from './row.ts'
import { openSession } from './session.ts'
import { type HttpFlagValues, resolveSettings } from './settings.ts'
import { CliError, type Format, formats, Ui } from './ui.ts'

type Globals = {
  readonly format: string
  readonly isDetailed: boolean
  readonly isCurl: boolean
  readonly isPolicy: boolean
}

/** Parses a command's line, runs it, prints its failure. @returns the exit code */
export async function runRow(row: Row, argv: readonly string[], io: Io): Promise<number> {
  if (asksForHelp(argv)) {
    io.stdout(`${rowHelp(row, io.calledAs)}\n`)
    return 0
  }
  let ui = new Ui(io, { format: 'table', isDetailed: false, isColoured: false })
  const globals = readGlobals(argv, io)
  try {
    ui = uiOf(globals, io)
    return await runParsed(row, argv, io, ui, globals)
  } catch (error) {
    return report(error, row, ui, io, globals)
  }
}

async function runParsed(row: Row, argv: readonly string[], io: Io, ui: Ui, globals: Globals): Promise<number> {
  const flags: Flags = Object.assign({}, ...flagSetsOf(row).map(set => set.flags))
  const parsed = parseFlags(flags, argv)
  // What follows `--` is somebody else's.
  const hint = argv.includes('--') ? null : misplacedFlagsHint(parsed.rest, globalFlags)
  if (hint !== null && ui.isTable) ui.warn(hint)
  if (ui.format === 'raw' && !row.output?.includes('raw')) {
    throw new CliError(1, 'This command does not support the -format=raw option.')
  }
  checkArgs(row, parsed.rest.length)
  const http = parsed.values as unknown as HttpFlagValues
  const settings = await resolveSettings(io, row.isRemote === false ? noHttpFlags : http, parsed.given)
  await using plain = createApiClient({ ...settings.options, token: settings.token, world: io.world })
  const patient = { ...io.world, signal: new AbortController().signal }
  await using parting = createApiClient({
    ...settings.options,
    timeoutMs: partingMs,
    token: settings.token,
    world: patient,
  })
  const kind = globals.isCurl ? 'curl' : globals.isPolicy ? 'policy' : null
  const contextWith = (real: ApiClient, session: AuthBlock | null): Context<Flags> =>
    new Context({
      io,
      ui,
      flags: parsed.values as FlagValues<Flags>,
      given: parsed.given,
      args: parsed.rest,
      field: typeof parsed.values['field'] === 'string' ? parsed.values['field'] : '',
      isInteractive: parsed.values['non-interactive'] !== true,
      settings,
      client: kind === null ? real : dryRunClient(real, kind, settings.options.tls ?? {}, io.calledAs),
      probe: real.with({ wrapTtlSeconds: 0 }),
      isDryRun: kind !== null,
      parting: parting.with({ token: real.token, wrapTtlSeconds: 0, maxRetries: 0 }),
      session,
    })
  const { login, token } = settings.environment
  // A token that is named weighs more than a way to get one, that more than one that lies about.
  const logsIn = login !== undefined && token === undefined && row.isRemote !== false && !row.needsNoToken
  await using session = logsIn ? await openSession(contextWith(plain.with({ token: null }), null), login) : null
  const context = contextWith(session?.client ?? plain, session?.auth ?? null)
  const code = (await row.run(context)) ?? 0
  if (kind === null) return code
  throw new CliError(1, kind === 'curl' ? 'Could not generate cURL command' : 'Could not generate policy')
}

/** How long the end of a command waits for the server, ms. */
const partingMs = 5_000

const noHttpFlags: HttpFlagValues = parseFlags(httpFlags, []).values

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).some(arg => arg === '-h' || arg === '-help' || arg === '--help')
}

function checkArgs(row: Row, count: number): void {
  if (row.args === null) return
  const [min, max] = typeof row.args === 'number' ? [row.args, row.args] : (row.args ?? [0, 0])
  const expected = min === max ? `${min}` : max === Number.POSITIVE_INFINITY ? `at least ${min}` : `${min}-${max}`
  if (count < min) throw new CliError(1, `Not enough arguments (expected ${expected}, got ${count})`)
  if (count > max) throw new CliError(1, `Too many arguments (expected ${expected}, got ${count})`)
}

/** The flags that are read wherever they stand, before `--`. @source openbao command/main.go setupEnv */
function readGlobals(argv: readonly string[], io: Io): Globals {
  let format = ''
  let isDetailed = false
  let isCurl = false
  let isPolicy = false
  for (const [i, arg] of argv.entries()) {
    if (arg === '--') break
    const [name, value] = arg.replace(/^--?/, '').split('=', 2)
    if (!arg.startsWith('-')) continue
    if (name === 'format') format = value ?? argv[i + 1] ?? ''
    else if (name === 'detailed') isDetailed = value === undefined || isTrueText(value)
    else if (name === 'output-curl-string') isCurl = value !== 'false'
    else if (name === 'output-policy') isPolicy = value !== 'false'
  }
  return { format: format || formatOfEnvironment(io), isDetailed, isCurl, isPolicy }
}

// What no boolean is, the flag parser refuses.
function isTrueText(text: string): boolean {
  try {
    return parseGoBool(text)
  } catch {
    return false
  }
}

function formatOfEnvironment(io: Io): string {
  try {
    return readEnvironment(io.env).format ?? 'table'
  } catch {
    return 'table'
  }
}

function uiOf(globals: Globals, io: Io): Ui {
  const format = globals.format.toLowerCase()
  if (!formats.includes(format as Format)) throw new CliError(1, `Invalid output format: ${format}`)
  const environment = readEnvironment(io.env)
  const isColoured = io.isOutputTerminal && format === 'table' && !environment.noColor && !io.env['NO_COLOR']
  return new Ui(io, {
    format: format as Format,
    isDetailed: globals.isDetailed || environment.detailed === true,
    isColoured,
  })
}

function report(error: unknown, row: Row, ui: Ui, io: Io, globals: Globals): number {
  if (error instanceof DryRun) {
    ui.output(error.text)
    return 0
  }
  if (error instanceof FlagError) {
    ui.error(error.message)
    return 1
  }
  if (error instanceof CliError) {
    if (error.message !== '') ui.error(error.message)
    return error.exitCode
  }
  if (error instanceof EnvironmentError) {
    ui.error(`failed to read environment: ${error.message}`)
    return 2
  }
  const name = error instanceof Error ? error.name : ''
  const message = error instanceof Error ? error.message : String(error)
  if (known.has(name) || error instanceof RangeError) {
    ui.error(message)
    return 2
  }
  io.world.log.error('command failed', { command: row.name, error, format: globals.format })
  ui.error(`internal error in "${row.name}": ${message}`)
  return 2
}

const known = new Set([
  'ApiError',
  'ConnectError',
  'AddressError',
  'LoginError',
  'TlsSettingsError',
  'KubeError',
  'KubeConfigError',
])
