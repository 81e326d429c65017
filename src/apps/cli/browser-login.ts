import { runToEnd } from '#ground/process/child.ts'
import { DurationError, parseDurationSeconds } from '#ground/text/duration.ts'
import { type Flags, parseGoBool } from '#ground/text/flags.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { LoginError } from '#client/login/login.ts'
import { oidcLogin } from '#client/login/oidc.ts'
import type { Context } from './context.ts'

type Config = Readonly<Record<string, string>>

const portDefault = '8250'
/** Of a day at most. */
const secondsMax = 86_400

/** `login -method=oidc`: the browser is sent to the provider and awaited here. */
export function browserLogin(c: Context<Flags>, config: Config): Promise<Envelope> {
  const { role = '', mount = 'oidc', listenaddress: host = 'localhost', callbackmethod: scheme = 'http' } = config
  const port = portOf('port', config['port'] ?? portDefault)
  const { callbackhost = 'localhost', callbackport = String(port) } = config
  if (scheme !== 'http' && scheme !== 'https') throw new LoginError('callbackmethod must be http or https')
  const isShownOnly = config['skip_browser'] !== undefined && parseGoBool(config['skip_browser'])
  return oidcLogin({
    role,
    mount,
    listen: { host, port },
    callback: { scheme, host: callbackhost, port: portOf('callbackport', callbackport) },
    timeoutMs: timeoutOf(config['timeout'] ?? '5m') * 1000,
    world: c.io.world,
    show: address => show(c, address, isShownOnly),
  }).login(c.client, { signal: c.io.world.signal })
}

function portOf(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new LoginError(`${name} must be a port`)
}

function timeoutOf(text: string): number {
  try {
    const seconds = parseDurationSeconds(text)
    if (seconds > 0 && seconds <= secondsMax) return seconds
  } catch (error) {
    if (!(error instanceof DurationError)) throw error
  }
  throw new LoginError('timeout must be a duration like 5m')
}

function show(c: Context<Flags>, address: string, isShownOnly: boolean): void {
  const how = isShownOnly ? 'Open the following link in your browser:' : 'Launching browser to:'
  c.ui.warn(`Complete the login via your OIDC provider. ${how}\n\n    ${address}\n\n`)
  if (!isShownOnly) void launch(c, address)
  c.ui.warn('Waiting for OIDC authentication to complete...')
}

// Others on this machine may see the address: without the client's nonce it is worth nothing to them.
async function launch(c: Context<Flags>, address: string): Promise<void> {
  const { env, world } = c.io
  const [opener, ...before] = { darwin: ['open'], win32: ['rundll32', 'url.dll,FileProtocolHandler'] }[
    process.platform as string
  ] ?? ['xdg-open']
  const options = { env, clock: world.clock, signal: world.signal, output: 'ignore', timeoutMs: 30_000 } as const
  try {
    const { code } = await runToEnd([opener!, ...before, address], options)
    if (code === 0) return
  } catch (error) {
    if (world.signal.aborted) return
    if (!(error instanceof Error)) throw error
  }
  c.ui.warn('No browser could be launched: open the link above yourself.')
}
