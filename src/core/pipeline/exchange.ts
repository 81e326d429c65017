import type { Bytes, Maybe } from '#ground/base/brand.ts'
import type { Instant } from '#ground/base/clock.ts'
import { InvalidField, parseInput, type ParsedInput } from '#ground/fields/parse.ts'
import { BodyError, type HttpRequest, type HttpResponse, type HttpUpgrade } from '#ground/http/message.ts'
import { cidrContains, parseCidr } from '#ground/text/cidr.ts'
import type { Json, JsonObject } from '#ground/text/json.ts'
import type { WrapAsk } from '#backend/call.ts'
import type { Access, Action, Row } from '#backend/engine.ts'
import { rootNamespace } from '#backend/namespace.ts'
import type { Reply } from '#backend/reply.ts'
import type { AuditTrail } from '#core/audit/broker.ts'
import { AuditBlocked } from '#core/audit/broker.ts'
import type { AuditSubject } from '#core/audit/subject.ts'
import type { Lockout } from '#core/lockout/lockout.ts'
import type { Mount } from '#core/mounts/mount.ts'
import { KeyProblem } from '#core/storage/view.ts'
import type { LiveToken } from '#core/tokens/live.ts'
import { Fault, fault, faultTexts, invalidTokenText } from '#protocol/fault.ts'
import { headerNames } from '#protocol/headers.ts'
import type { Operation, Verdict } from '#protocol/verdict.ts'
import { StoreError } from '#stores/store.ts'
import { faultResponse } from './answer.ts'
import { bodyFault, readValues } from './body.ts'
import { clientToken, RequestCall } from './call.ts'
import type { Charge, House, PipelineOptions } from './deps.ts'
import { finish } from './finish.ts'
import type { Ending, Finished } from './finished.ts'
import type { Target } from './target.ts'
import { findWrapping, namedToken, readWrapAsk, wrapUp } from './wrap.ts'

type Answer = HttpResponse | HttpUpgrade

const noRoom = "the disk of the server's storage is full: nothing was written. Make room; no restart is needed"
const noBytes = new Uint8Array(0)
const noValues: Readonly<Record<string, Json>> = {}
const noParsed: ParsedInput = { input: {}, sent: new Set(), nulls: [], unknown: [], replaced: [] }

/**
 * One request's way through the server, a method a step, in the one order (design 3). Each step goes on at once when it
 * needn't wait, so that a hot read is one synchronous call without a promise in it.
 */
export class Exchange {
  readonly #options: PipelineOptions
  readonly #house: House | null
  readonly #request: HttpRequest
  readonly #target: Target
  readonly #id: string
  readonly #mount: Mount | null
  readonly #rest: string
  readonly #row: Row<unknown> | null
  readonly #captures: Readonly<Record<string, string>>
  readonly #action: Action<unknown> | null
  #raw: Bytes | null = null
  #values: Readonly<Record<string, Json>> = noValues
  #own: JsonObject | null = null
  #parsed: ParsedInput = noParsed
  #operation: Operation
  #wrap: WrapAsk | null = null
  #live: LiveToken | null = null
  /** The token is the wrapping token that it is all about. */
  #isOwnWrapping = false
  #usesLeft: number | null = null
  #verdict: Verdict | null = null
  #call: RequestCall | null = null
  #misfit: Fault | null = null
  #trail: AuditTrail | null = null
  #role: string | null = null
  #charged: Charge | null = null

  constructor(options: PipelineOptions, house: House | null, request: HttpRequest, target: Target, id: string) {
    this.#options = options
    this.#house = house
    this.#request = request
    this.#target = target
    this.#id = id
    this.#operation = target.operation
    const found = house === null ? this.#sealedRoute(target) : this.#route(house, target.path)
    this.#mount = found?.mount ?? null
    this.#rest = found?.rest ?? target.path
    const isListing = target.operation === 'list' || target.operation === 'scan'
    const match = this.#mount?.router.match(this.#rest, isListing) ?? null
    this.#row = match?.row ?? null
    this.#captures = match?.captures ?? {}
    this.#action = this.#pick()
  }

  run(): Maybe<Answer> {
    try {
      const answer = this.#start()
      return answer instanceof Promise ? this.#waited(answer) : answer
    } catch (error) {
      return this.#refuse(error)
    }
  }

  /** Who waits holds its mount, whose state is closed after the answer. */
  async #waited(answer: Promise<Answer>): Promise<Answer> {
    const inFlight = this.#mount?.inFlight
    inFlight?.enter()
    try {
      return await answer
    } catch (error) {
      return await this.#refuse(error)
    } finally {
      inFlight?.leave()
    }
  }

  #sealedRoute(target: Target): { mount: Mount; rest: string } | null {
    const { system } = this.#options
    return target.path.startsWith(system.path) ? { mount: system, rest: target.path.slice(system.path.length) } : null
  }

  #route(house: House, path: string): { mount: Mount; rest: string } | null {
    const { system } = this.#options
    if (path.startsWith(system.path)) return { mount: system, rest: path.slice(system.path.length) }
    return house.mounts.resolve(path)
  }

  #pick(): Action<unknown> | null {
    const { operation } = this.#target
    if (this.#row === null || operation === 'help') return null
    return this.#row.operations[operation] ?? null
  }

  #start(): Maybe<Answer> {
    if (this.#house === null && this.#action?.sealed !== 'serve') throw fault('server.sealed', 'Vault is sealed')
    this.#checkNamespace()
    this.#wrap = readWrapAsk(this.#request.headers, this.#action, this.#operation)
    const limited = this.#options.rateLimits.beforeBody(this.#request, this.#target.path)
    if (limited !== null) return limited
    const isUnread = this.#request.body.length === 0 || this.#row?.body === 'stream'
    const body = isUnread ? noBytes : this.#request.body.bytes(this.#options.settings.bodyBytesMax)
    return body instanceof Promise ? body.then(bytes => this.#read(bytes)) : this.#read(body)
  }

  // Until there are more namespaces than the root one, every other name is unknown; so says Vault, before any token.
  #checkNamespace(): void {
    const named = this.#request.headers.get(headerNames.namespace)?.replace(/^\/+|\/+$/g, '')
    if (named !== undefined && named !== '' && named !== 'root') throw fault('route.unknown', 'namespace not found')
  }

  #read(bytes: Bytes): Maybe<Answer> {
    const { operation, query } = this.#target
    const takesBody = operation === 'update' || operation === 'patch'
    if (this.#row?.body === 'raw') {
      this.#raw = bytes
      this.#values = query
    } else if (takesBody && this.#row?.body === 'own') {
      this.#own = this.#bodyValues(bytes)
      this.#values = this.#own
    } else this.#values = takesBody && bytes.length > 0 ? this.#bodyValues(bytes) : query
    return this.#identify()
  }

  #bodyValues(bytes: Bytes): JsonObject {
    return readValues(bytes, this.#request.headers.get(headerNames.contentType), this.#options.settings.json)
  }

  #identify(): Maybe<Answer> {
    const access = this.#action?.access
    if (this.#house === null || access === 'unauthenticated' || access === 'login') return this.#prepare()
    const token = clientToken(this.#request)
    if (token === null) {
      if (access === 'optional') return this.#prepare()
      throw fault('token.invalid', 'permission denied', { reason: 'the request carries no token' })
    }
    if (access === 'wrapping' && namedToken(this.#values, token) === null) return this.#unwrapOwn(this.#house, token)
    const live = this.#house.tokens.find(token)
    return live instanceof Promise ? live.then(found => this.#admit(found)) : this.#admit(live)
  }

  /** A wrapping token stands for itself. Its use is taken with what it wraps, in one commit. */
  async #unwrapOwn(house: House, token: string): Promise<Answer> {
    this.#live = await findWrapping(house, token)
    this.#isOwnWrapping = true
    return this.#prepare()
  }

  #admit(live: LiveToken | null): Maybe<Answer> {
    if (live === null)
      throw fault('token.invalid', invalidTokenText, { reason: 'the token is unknown, expired, revoked or used up' })
    const { boundCidrs } = live.entry
    if (boundCidrs.length > 0 && !boundCidrs.some(cidr => cidrContains(parseCidr(cidr), this.#address()))) {
      throw fault('token.invalid', invalidTokenText, { reason: `the token is bound to ${boundCidrs.join(', ')}` })
    }
    if (live.entity?.isDisabled) {
      throw fault('permission.bare', 'permission denied', { reason: `entity ${live.entity.id} is disabled` })
    }
    this.#live = live
    if (live.entry.numUses === 0) return this.#prepare()
    return this.#house!.tokens.useOne(live.key).then(left => {
      if (left === null)
        throw fault('token.invalid', invalidTokenText, { reason: 'the last use of the token was taken' })
      this.#usesLeft = left
      return this.#prepare()
    })
  }

  #prepare(): Maybe<Answer> {
    if (this.#row === null || this.#action === null) return this.#authorise()
    try {
      this.#parsed = this.#parse(this.#row)
    } catch (error) {
      if (!(error instanceof InvalidField)) throw error
      // Who may not ask isn't told what the path takes; only an existence check needs its fields before.
      this.#misfit = fault('request.invalid', error.message)
      if (this.#needsExistence(this.#row, this.#action)) throw this.#misfit
      return this.#authorise()
    }
    this.#call = this.#makeCall()
    if (!this.#needsExistence(this.#row, this.#action)) return this.#authorise()
    const exists = this.#row.exists!(this.#call, this.#mount!.state)
    return exists instanceof Promise ? exists.then(is => this.#settle(is)) : this.#settle(exists)
  }

  #needsExistence(row: Row<unknown>, action: Action<unknown>): boolean {
    return this.#operation === 'update' && row.exists !== undefined && action.access === 'policy'
  }

  // Keys of the caller's own are no fields, whatever their names.
  #parse(row: Row<unknown>): ParsedInput {
    return parseInput(row.fields, { values: this.#own === null ? this.#values : noValues, captures: this.#captures })
  }

  #settle(exists: boolean): Maybe<Answer> {
    if (!exists) {
      this.#operation = 'create'
      this.#call = this.#makeCall()
    }
    return this.#authorise()
  }

  #authorise(): Maybe<Answer> {
    const access = this.#access()
    if (this.#live === null || this.#house === null || (access !== 'policy' && access !== 'sudo'))
      return this.#judged(null)
    const verdict = this.#house.judge(this.#live, {
      path: this.#target.path,
      operation: this.#operation,
      values: this.#operation === 'delete' ? null : this.#values,
      wrapTtl: this.#wrap?.ttlSeconds ?? 0,
    })
    return verdict instanceof Promise ? verdict.then(one => this.#judged(one)) : this.#judged(verdict)
  }

  #access(): Access {
    const access = this.#action?.access ?? (this.#operation === 'help' ? 'token' : 'policy')
    return access === 'wrapping' && !this.#isOwnWrapping ? 'policy' : access
  }

  #judged(verdict: Verdict | null): Maybe<Answer> {
    this.#verdict = verdict
    if (verdict !== null) {
      if (!verdict.allowed) throw fault('permission.denied', 'permission denied', { reason: verdict.reason })
      if (verdict.limit !== null) this.#limitPage(verdict.limit)
      if (verdict.demands !== null) {
        throw fault('permission.denied', 'permission denied', {
          reason: `the rule "${verdict.pattern ?? ''}" asks for a second factor or a control group, which this server does not have`,
        })
      }
      if (this.#action?.access === 'sudo' && !verdict.hasSudo) {
        throw fault('permission.denied', 'permission denied', {
          reason: `${this.#target.path} needs "sudo" beside the capability of the operation; the rule "${verdict.pattern ?? ''}" doesn't grant it`,
        })
      }
    }
    if (this.#mount === null) {
      throw fault('route.unknown', `no handler for route "${this.#target.path}". route entry not found.`)
    }
    if (this.#row === null) throw fault('path.unsupported', 'unsupported path')
    if (this.#operation !== 'help') {
      if (this.#action === null) throw fault('operation.unsupported', 'unsupported operation')
      if (this.#misfit !== null) throw this.#misfit
      if (this.#action.leases || this.#action.access === 'login') return this.#count(this.#row, this.#mount)
    }
    this.#audit(null)
    return this.#handle()
  }

  /** A lease or token may come of it: quotas are charged before the engine runs. */
  #count(row: Row<unknown>, mount: Mount): Maybe<Answer> {
    const role = row.role?.(this.#call!, mount.state) ?? null
    return role instanceof Promise ? role.then(one => this.#charge(mount, one)) : this.#charge(mount, role)
  }

  #charge(mount: Mount, role: string | null): Maybe<Answer> {
    this.#role = role
    const isRoot = this.#live?.isRoot ?? false
    const at = { mount: mount.path, path: this.#target.path, role, isRoot }
    const charged = this.#house?.quotas.charge(at) ?? null
    return charged instanceof Promise ? charged.then(one => this.#proceed(one)) : this.#proceed(charged)
  }

  #proceed(charged: Charge | null): Maybe<Answer> {
    this.#charged = charged
    this.#audit(null)
    return this.#handle()
  }

  /** A rule bounds the page: what the request says of `limit` counts no more. */
  #limitPage(limit: number): void {
    if (this.#row === null || this.#misfit !== null || !Object.hasOwn(this.#row.fields, 'limit')) return
    this.#values = { ...this.#values, limit }
    this.#parsed = this.#parse(this.#row)
    this.#call = this.#makeCall()
  }

  #handle(): Maybe<Answer> {
    const action = this.#action
    const row = this.#row!
    if (action === null) {
      const help = `Request:        ${this.#rest}\nMatching Route: ^${row.path}$\n\n${row.help.synopsis}\n\n${row.help.description}\n`
      return this.#answer({ kind: 'bare', status: 200, body: { help, see_also: null, openapi: null } })
    }
    // Effects of a read go through a commit, which flushes by itself; anything else may reach the outside at once.
    if (this.#operation !== 'read' && this.#operation !== 'list') this.#house?.audit.flush()
    const reply =
      action.access === 'login' && row.alias !== undefined && this.#house?.lockout.isFor(this.#mount!)
        ? this.#logIn(row, this.#mount!, this.#call!, this.#house.lockout)
        : action.handler(this.#call!, this.#mount!.state)
    return reply instanceof Promise ? reply.then(one => this.#answer(one)) : this.#answer(reply)
  }

  /** A login under a name that may be locked out. */
  async #logIn(row: Row<unknown>, mount: Mount, call: RequestCall, lockout: Lockout): Promise<Reply> {
    const alias = (await row.alias?.(call, mount.state)) ?? null
    const login = (): Maybe<Reply> => this.#action!.handler(call, mount.state)
    return alias === null ? login() : lockout.guard(mount, alias, login)
  }

  #answer(reply: Reply): Maybe<Answer> {
    const ending: Ending = {
      id: this.#id,
      operation: this.#operation,
      path: this.#target.path,
      mount: this.#mount!,
      house: this.#house,
      live: this.#live,
      now: this.#now(),
      unknown: this.#takesAnything() ? [] : this.#parsed.unknown,
      replaced: this.#parsed.replaced,
      audits: this.#action?.audit !== false,
      isLastUse: this.#usesLeft === 0,
      role: this.#role,
      charged: this.#charged,
      wrap: this.#live === null && this.#action?.access === 'optional' ? null : this.#wrap,
    }
    const made = finish(ending, reply)
    const finished =
      made instanceof Promise ? made.then(one => wrapUp(ending, reply, one)) : wrapUp(ending, reply, made)
    return finished instanceof Promise ? finished.then(done => this.#close(done)) : this.#close(finished)
  }

  #takesAnything(): boolean {
    return this.#row?.body !== undefined && this.#row.body !== 'json'
  }

  #close(finished: Finished): Maybe<Answer> {
    this.#charged?.[Symbol.dispose]()
    // A stream goes on after its head, under the same deadline.
    if (!isStreamed(finished.answer)) this.#call?.end()
    if (this.#trail !== null && finished.audited !== null)
      this.#house!.audit.response(this.#trail, finished.audited, null)
    if (finished.answer.status === 101) this.#house?.audit.flush()
    return this.#spend(finished.answer)
  }

  /** The last use of a token ends it once the answer is made. */
  #spend(answer: Answer): Maybe<Answer> {
    if (this.#usesLeft !== 0 || this.#live === null) return answer
    return this.#house!.tokens.revoke(this.#live.key).then(() => answer)
  }

  #refuse(error: unknown): Maybe<Answer> {
    this.#charged?.[Symbol.dispose]()
    this.#call?.end()
    const problem = this.#asFault(error)
    const failure = { error: faultTexts(problem).join('; ') || problem.text, reason: problem.reason ?? null }
    try {
      if (this.#house !== null && this.#action?.audit !== false && problem.code !== 'server.sealed') {
        if (this.#trail === null) this.#audit(failure)
        if (this.#trail !== null) this.#house.audit.response(this.#trail, null, failure)
      }
    } catch (blocked) {
      this.#options.world.log.error('a refusal could not be audited', { request: this.#id, error: blocked })
    }
    if (problem.reason !== undefined) {
      this.#options.refusals.add(this.#id, {
        operation: this.#operation,
        path: this.#target.path,
        policy: this.#verdict?.sources.map(source => source.name).join(', ') ?? null,
        rule: this.#verdict?.pattern ?? null,
        capabilities: this.#verdict?.capabilities ?? [],
        reason: problem.reason,
      })
    }
    return this.#spend(faultResponse(this.#id, problem))
  }

  #asFault(error: unknown): Fault {
    if (error instanceof Fault) {
      if (error.cause !== undefined) this.#log('a request failed', error)
      return error
    }
    if (error instanceof BodyError) return bodyFault(error)
    if (error instanceof KeyProblem) return fault('request.invalid', error.message)
    if (error instanceof AuditBlocked) return fault('internal', 'internal error')
    // The store told it in the log, once.
    if (error instanceof StoreError && error.code === 'full') return fault('storage.full', noRoom)
    // Nobody reads this answer any more, and nothing is broken.
    if (this.#request.signal.aborted) return fault('internal', 'the client went away')
    this.#log('a request met an error of ours', error)
    return fault('internal', 'internal error')
  }

  #log(message: string, error: unknown): void {
    const stack = error instanceof Error ? (error.cause instanceof Error ? error.cause.stack : error.stack) : undefined
    this.#options.world.log.error(message, { request: this.#id, path: this.#target.path, error, stack })
  }

  #audit(failure: { error: string; reason: string | null } | null): void {
    if (this.#house === null || this.#action?.audit === false) return
    this.#trail = this.#house.audit.request(this.#subject(), failure)
  }

  #subject(): AuditSubject {
    return {
      id: this.#id,
      operation: this.#operation,
      path: this.#target.path,
      namespace: rootNamespace,
      remoteAddress: this.#address(),
      remotePort: this.#request.peer.port,
      data: this.#values === noValues || Object.keys(this.#values).length === 0 ? null : this.#values,
      mount: this.#mount?.audited ?? null,
      token: this.#live?.audited ?? null,
      verdict: this.#verdict,
      wrapTtl: this.#wrap?.ttlSeconds ?? 0,
      headers: null,
      certificateSerial: null,
    }
  }

  #makeCall(): RequestCall {
    this.#call?.end()
    return new RequestCall({
      id: this.#id,
      operation: this.#operation,
      path: this.#rest,
      mountPath: this.#mount!.path,
      input: this.#parsed.input,
      sent: this.#parsed.sent,
      nulls: this.#parsed.nulls,
      body: this.#own ?? noValues,
      raw: this.#raw,
      isStreamed: this.#row?.body === 'stream',
      request: this.#request,
      remoteAddress: this.#address(),
      live: this.#live,
      wrap: this.#wrap,
      world: this.#options.world,
      deadlineMs: this.#action?.deadline === false ? null : this.#options.settings.requestMsMax,
      may: (path, operation) => this.#may(path, operation),
    })
  }

  #may(path: string, operation: Operation | 'sudo'): Maybe<Verdict> {
    if (this.#live === null || this.#house === null) throw fault('token.invalid', 'permission denied')
    const verdict = this.#house.judge(this.#live, {
      path,
      operation: operation === 'sudo' ? 'update' : operation,
      values: null,
      wrapTtl: 0,
    })
    if (operation !== 'sudo') return verdict
    const sudo = (one: Verdict): Verdict => Object.create(one, { allowed: { value: one.hasSudo } }) as Verdict
    return verdict instanceof Promise ? verdict.then(sudo) : sudo(verdict)
  }

  #now(): Instant {
    return this.#options.world.clock.now()
  }

  #address(): string {
    return this.#request.peer.address
  }
}

const isStreamed = (answer: Answer): boolean =>
  'body' in answer && typeof answer.body === 'object' && answer.body !== null && Symbol.asyncIterator in answer.body
