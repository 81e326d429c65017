import { readFile } from 'node:fs/promises'
import { seconds } from '#ground/base/clock.ts'
import { Gate } from '#ground/base/queue.ts'
import { backoffMs } from '#ground/base/retry.ts'
import type { World } from '#ground/base/world.ts'
import { runToEnd } from '#ground/process/child.ts'
import type { ApiClient } from '#client/api.ts'
import type { LoginMethod } from '#client/login/login.ts'
import type { OpenNotices } from '#client/notices.ts'
import { ServerReturn } from '#client/server-return.ts'
import type { AgentConfig, ExecStanza, TemplateStanza } from '#delivery/agent-config/config.ts'
import { Obtainer } from '#delivery/obtain/obtainer.ts'
import type { Parcel } from '#delivery/recipe.ts'
import { FileSink } from '#delivery/sinks/file.ts'
import { AuthLoop, type Held } from './auth.ts'
import { Estate } from './estate.ts'
import { Farewell } from './farewell.ts'
import type { Handover, HandoverPlace } from './handover.ts'
import { Pushed } from './pushed.ts'
import { TokenSinks } from './token-sinks.ts'

export type AgentOptions = {
  readonly world: World
  readonly config: AgentConfig
  /** Its retries are those of templates; no token. */
  readonly client: ApiClient
  readonly env: Readonly<Record<string, string | undefined>>
  /** Every sink written and every template rendered once: then end. */
  readonly exitAfterAuth: boolean
  /** What an agent before this one left. */
  readonly handover: Handover | null
  /** Where it leaves what the next one goes on with; null: nowhere. */
  readonly handsOverAt: HandoverPlace | null
  /** How to log in; default: as the configuration says. */
  readonly login?: LoginMethod
  /** Where a template's bytes land; default: its file. */
  readonly sinkFor?: (stanza: TemplateStanza) => Pick<FileSink, 'land'>
  /** How to follow changes; default: by a WebSocket. */
  readonly openNotices?: OpenNotices
}

/** Login answers 400 or 403 so many times in a row before an init container gives up. */
const refusalsMax = 3

/**
 * A token that is revoked so shortly before the agent is told to end was revoked by the hook that vault-k8s gives a pod:
 * what the agent has made since, because it noticed, is nobody's. ms.
 */
const hookMs = 10_000

/** How the agent ended: 0 or 1, and for 1 why. */
export type AgentEnd = { readonly code: 0 } | { readonly code: 1; readonly error: unknown }

const fileSinkFor = (stanza: TemplateStanza): FileSink =>
  new FileSink({
    path: stanza.destination,
    mode: stanza.perms,
    user: stanza.user,
    group: stanza.group,
    createsFolders: stanza.createDestDirs,
  })

/** One agent: a login loop, token files, templates that are kept fresh. */
export class Agent {
  readonly #options: AgentOptions
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #sinks: TokenSinks
  readonly #auth: AuthLoop
  readonly #serverReturn: ServerReturn
  readonly #farewell: Farewell
  readonly #estate: Estate | null
  readonly #rendered = new Set<TemplateStanza>()
  // Commands of templates run one after the other.
  readonly #commands = new Gate(1)
  #held: Held | null = null
  #obtainer: Obtainer | null = null
  #pushed: Pushed | null = null
  #failures = 0
  #isTryingAgain = false
  #isDone = false
  #end: AgentEnd = { code: 0 }

  constructor(options: AgentOptions) {
    this.#options = options
    const { world, config, client } = options
    this.#signal = AbortSignal.any([world.signal, this.#stop.signal])
    this.#sinks = new TokenSinks(world, config.sinks)
    this.#serverReturn = new ServerReturn(world, client)
    this.#farewell = new Farewell(world, client)
    for (const token of options.handover?.before ?? []) this.#farewell.met(token)
    this.#estate = options.handsOverAt === null ? null : new Estate(world, options.handsOverAt, () => this.#handover())
    this.#auth = new AuthLoop({
      world: { ...world, log: world.log.named('auth.handler') },
      client: client.with({ maxRetries: 0 }),
      method: config.method!,
      ...(options.login !== undefined && { login: options.login }),
      serverReturn: this.#serverReturn,
      refusalsMax: options.exitAfterAuth ? refusalsMax : null,
      handedOver: options.handover?.held ?? null,
      onToken: held => this.#onToken(held),
      onRenewed: () => this.#keep(),
    })
  }

  /** Runs until stopped, done or failed. */
  async run(): Promise<AgentEnd> {
    try {
      await this.#sinks.check()
      await this.#auth.run(this.#signal)
    } catch (error) {
      if (!this.#signal.aborted) this.#fail(error)
    } finally {
      await this.#obtainer?.close()
      await this.#estate?.settled()
      await this.#sayFarewell()
    }
    return this.#end
  }

  async #sayFarewell(): Promise<void> {
    const { config, exitAfterAuth, world } = this.#options
    const { goneAtMs } = this.#auth
    const isHooked = goneAtMs !== null && world.clock.now() - goneAtMs < hookMs
    if (exitAfterAuth || !(config.revokeOnShutdown || isHooked)) return
    await this.#estate?.forget()
    await this.#farewell.revoke(isHooked ? seconds(0) : config.revokeGrace)
  }

  #fail(error: unknown): void {
    if (this.#end.code === 0) this.#end = { code: 1, error }
    this.#stop.abort()
  }

  async #onToken(held: Held): Promise<void> {
    this.#held = held
    this.#farewell.met(held)
    await this.#sinks.write(held.token, this.#signal)
    const client = this.#options.client.with({ token: held.token })
    if (this.#obtainer === null) await this.#startTemplates(client, held)
    else {
      this.#obtainer.setClient(client.with({ maxRetries: 2 }), () => held.expiresAtMs)
      this.#pushed?.setClient(client)
    }
    this.#keep()
    await this.#checkDone()
  }

  async #startTemplates(client: ApiClient, held: Held): Promise<void> {
    const { world, config, env, exitAfterAuth, openNotices } = this.#options
    if (config.templates.length === 0) return
    const { templateConfig, vault } = config
    if (!exitAfterAuth) {
      this.#pushed = new Pushed({
        client,
        world: { ...world, log: world.log.named('notices') },
        signal: this.#signal,
        onChange: path => this.#obtainer?.changed(path),
        onRefused: () => void this.#auth.check(this.#signal),
        ...(openNotices !== undefined && { open: openNotices }),
      })
    }
    this.#obtainer = new Obtainer({
      world: { ...world, log: world.log.named('template') },
      client: client.with({ maxRetries: 2 }),
      tokenEndsAtMs: () => held.expiresAtMs,
      outlive: (untilMs, signal) => this.#auth.outlive(untilMs, signal),
      serverReturn: this.#serverReturn,
      env,
      staticInterval: templateConfig.staticSecretRenderInterval,
      retriesMax: vault.numRetries,
      onTokenInvalid: token => this.#auth.tokenInvalid(token),
      ...(this.#options.handover !== null && { primed: this.#options.handover.fetched }),
      onPaths: paths => this.#pushed?.watch(paths),
      onKept: () => this.#keep(),
    })
    try {
      for (const stanza of config.templates) await this.#addTemplate(stanza)
    } catch (error) {
      // A template that can't be read won't be there after another login.
      this.#fail(error)
    }
  }

  async #addTemplate(stanza: TemplateStanza): Promise<void> {
    const text = stanza.text.kind === 'contents' ? stanza.text.contents : await readFile(stanza.text.path, 'utf8')
    const sink = (this.#options.sinkFor ?? fileSinkFor)(stanza)
    this.#obtainer?.add({
      recipe: {
        name: stanza.destination,
        sources: [],
        shape: {
          kind: 'template',
          name: stanza.name,
          text,
          delimiters: stanza.delimiters,
          missingKey: stanza.errorOnMissingKey ? 'error' : 'default',
        },
        freshness: { pollEvery: this.#options.config.templateConfig.staticSecretRenderInterval, pushed: true },
      },
      sandboxPath: stanza.sandboxPath,
      deliver: (parcel, signal) => this.#deliver(stanza, sink, parcel, signal),
      onFailed: error => this.#templateFailed(stanza, error),
    })
  }

  async #deliver(
    stanza: TemplateStanza,
    sink: Pick<FileSink, 'land'>,
    parcel: Parcel,
    signal: AbortSignal,
  ): Promise<void> {
    const { log } = this.#options.world
    // Killed in between, the next agent would not know of what its consumer has.
    await this.#estate?.settled()
    const landed = await sink.land(parcel)
    if (landed === 'changed') {
      log
        .named('template')
        .info('rendered', { destination: stanza.destination, from: parcel.origins.map(origin => origin.path) })
      if (stanza.exec !== null) await this.#commands.run(() => this.#runCommand(stanza.exec!, signal))
    }
    this.#rendered.add(stanza)
    if (this.#rendered.size === this.#options.config.templates.length) this.#failures = 0
    await this.#checkDone()
  }

  async #runCommand(exec: ExecStanza, signal: AbortSignal): Promise<void> {
    const { world, env, config } = this.#options
    const argv = exec.isShell ? ['/bin/sh', '-c', exec.command[0]!] : exec.command
    const result = await runToEnd(argv, {
      env: { ...env, VAULT_ADDR: config.vault.address ?? env['VAULT_ADDR'] },
      timeoutMs: exec.timeout * 1000,
      clock: world.clock,
      signal,
    })
    if (result.isTimedOut) throw new Error(`template command was ended after ${exec.timeout} s`)
    if (result.code !== 0) throw new Error(`template command failed with exit code ${result.code ?? result.signal}`)
  }

  #templateFailed(stanza: TemplateStanza, error: unknown): void {
    const { world, config } = this.#options
    world.log.named('template').error('template failed', { destination: stanza.destination, error })
    if (!stanza.errorFatal) return
    if (config.templateConfig.exitOnRetryFailure || this.#options.exitAfterAuth) {
      this.#fail(
        new Error(`template for ${stanza.destination}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        }),
      )
    } else this.#tryTemplatesAgain()
  }

  // Without exit_on_retry_failure the agent goes on: what failed is tried again after a wait that grows to 5 minutes.
  #tryTemplatesAgain(): void {
    if (this.#isTryingAgain) return
    this.#isTryingAgain = true
    this.#failures++
    const { world } = this.#options
    const waitMs = backoffMs({ waitMs: 1000, waitMsMax: 300_000 }, this.#failures)
    const retry = world.clock.sleep(waitMs * (1 - 0.25 * world.entropy.fraction()), this.#signal)
    void retry.then(
      () => {
        this.#isTryingAgain = false
        this.#obtainer?.tryAgain()
      },
      () => undefined,
    )
  }

  async #checkDone(): Promise<void> {
    const { exitAfterAuth, config, world } = this.#options
    if (!exitAfterAuth || this.#isDone || this.#signal.aborted || !this.#sinks.areWritten) return
    if (this.#rendered.size < config.templates.length) return
    this.#isDone = true
    this.#estate?.changed()
    world.log.info('exiting after authentication and rendering')
    this.#stop.abort()
  }

  // An init agent leaves all at its end; the one that stays what would else be made anew.
  #keep(): void {
    if (!this.#options.exitAfterAuth) this.#estate?.changed()
  }

  #handover(): Handover | null {
    if (this.#held === null) return null
    const { tokens } = this.#farewell
    return {
      held: this.#held,
      before: tokens.filter(token => token !== this.#held),
      fetched: this.#obtainer?.held(this.#options.exitAfterAuth ? 'all' : 'made') ?? new Map(),
    }
  }
}
