import { canonicalJson, isJsonObject, type Json, renderJsonString } from '#ground/text/json.ts'
import type { WrapInfo } from '#protocol/envelope.ts'
import type { Verdict } from '#protocol/verdict.ts'
import type { AuditHasher } from './hash.ts'
import type { AuditedMount } from '#core/mounts/audited.ts'
import type { AuditedToken } from '#core/tokens/audited.ts'
import type { AuditedReply, AuditFailure, AuditSubject } from './subject.ts'

export type LineOptions = {
  /** Hash accessors, too; default true. */
  readonly hmacAccessor: boolean
  /** List answers show counts instead of keys. */
  readonly elideListResponses: boolean
  /** Stands before each line. */
  readonly prefix: string
}

/** The text that request and response line of one request share; made once. */
export type SharedText = { readonly auth: string; readonly request: string }

const noKeys: ReadonlySet<string> = new Set()
const quoted = renderJsonString
const texts = (list: readonly string[]): string => `[${list.map(quoted).join(',')}]`

/**
 * Renders audit lines for one device. Most of a line's text depends on token, mount or entry alone and is kept beside
 * those objects: a hot read hashes nothing (hot-path 4.2).
 */
export class LineWriter {
  readonly #hasher: AuditHasher
  readonly #options: LineOptions
  readonly #tokens = new WeakMap<AuditedToken, { head: string; tail: string; request: string; clientId: string }>()
  readonly #mounts = new WeakMap<AuditedMount, { request: string; response: string }>()
  readonly #replies = new WeakMap<object, string>()
  readonly #granting = new WeakMap<Verdict['granting'], string>()

  constructor(hasher: AuditHasher, options: LineOptions) {
    this.#hasher = hasher
    this.#options = options
  }

  shared(subject: AuditSubject): SharedText {
    const token = subject.token === null ? null : this.#token(subject.token)
    const results = subject.verdict === null ? '' : this.#results(subject.verdict)
    const auth = token === null ? '{"token_type":"default"}' : `${token.head}${results}${token.tail}`
    const mount = subject.mount === null ? '' : this.#mount(subject.mount).request
    let request = `{"id":"${subject.id}"`
    if (token !== null) request += token.clientId
    request += `,"operation":"${subject.operation}"${mount}`
    if (token !== null) request += token.request
    request += `,"namespace":{"id":${quoted(subject.namespace.id)}`
    if (subject.namespace.path !== '') request += `,"path":${quoted(subject.namespace.path)}`
    request += `},"path":${quoted(subject.path)}`
    if (subject.data !== null) {
      request += `,"data":${this.#hasher.json(subject.data, subject.mount?.openRequestKeys ?? noKeys)}`
    }
    if (subject.remoteAddress !== '')
      request += `,"remote_address":"${subject.remoteAddress}","remote_port":${subject.remotePort}`
    if (subject.wrapTtl > 0) request += `,"wrap_ttl":${subject.wrapTtl}`
    if (subject.headers !== null) request += `,"headers":${this.#headers(subject.headers)}`
    if (subject.certificateSerial !== null)
      request += `,"client_certificate_serial_number":${quoted(subject.certificateSerial)}`
    return { auth, request: `${request}}` }
  }

  request(time: string, shared: SharedText, failure: AuditFailure | null): string {
    return `${this.#options.prefix}{"time":"${time}","type":"request","auth":${shared.auth},"request":${shared.request}${failed(failure)}}\n`
  }

  response(
    time: string,
    shared: SharedText,
    subject: AuditSubject,
    reply: AuditedReply | null,
    failure: AuditFailure | null,
  ): string {
    const response = reply === null ? '' : `,"response":${this.#response(subject, reply)}`
    return `${this.#options.prefix}{"time":"${time}","type":"response","auth":${shared.auth},"request":${shared.request}${response}${failed(failure)}}\n`
  }

  #response(subject: AuditSubject, reply: AuditedReply): string {
    let out = ''
    if (reply.auth !== null) {
      const { head, tail } = this.#token(reply.auth)
      out += `,"auth":${head}${tail}`
    }
    if (subject.mount !== null) out += this.#mount(subject.mount).response
    if (reply.leaseId !== '') out += `,"secret":{"lease_id":${quoted(reply.leaseId)}}`
    if (reply.data !== null) out += `,"data":${this.#replyData(subject, reply)}`
    if (reply.warnings.length > 0) out += `,"warnings":${texts(reply.warnings)}`
    if (reply.wrapInfo !== null) out += `,"wrap_info":${this.#wrapInfo(reply.wrapInfo)}`
    return `{${out.slice(1)}}`
  }

  #replyData(subject: AuditSubject, reply: AuditedReply): string {
    const kept = reply.memo === null ? undefined : this.#replies.get(reply.memo)
    if (kept !== undefined) return kept
    const data = this.#options.elideListResponses && subject.operation === 'list' ? elided(reply.data) : reply.data
    const open = subject.mount?.openResponseKeys ?? noKeys
    const text = subject.operation === 'list' ? this.#hasher.list(data, open) : this.#hasher.json(data, open)
    if (reply.memo !== null) this.#replies.set(reply.memo, text)
    return text
  }

  #token(token: AuditedToken): { head: string; tail: string; request: string; clientId: string } {
    const kept = this.#tokens.get(token)
    if (kept !== undefined) return kept
    const hashed = quoted(this.#hasher.text(token.token))
    // A batch token has none, and what is empty is left out.
    const accessor = (name: string): string =>
      token.accessor === '' ? '' : `,"${name}":${this.#accessor(token.accessor)}`
    let head = `{"client_token":${hashed}${accessor('accessor')},"display_name":${quoted(token.displayName)}`
    head += `,"policies":${texts(token.policies)},"token_policies":${texts(token.tokenPolicies)}`
    if (token.identityPolicies.length > 0) head += `,"identity_policies":${texts(token.identityPolicies)}`
    let tail = ''
    if (token.metadata !== null && Object.keys(token.metadata).length > 0)
      tail += `,"metadata":${canonicalJson(token.metadata)}`
    if (token.numUses > 0) tail += `,"num_uses":${token.numUses}`
    if (token.entityId !== '') tail += `,"entity_id":"${token.entityId}"`
    tail += `,"token_type":"${token.type}"`
    if (token.ttl > 0) tail += `,"token_ttl":${token.ttl}`
    if (token.issueTime !== '') tail += `,"token_issue_time":"${token.issueTime}"`
    tail += '}'
    const made = {
      head,
      tail,
      request: `,"client_token":${hashed}${accessor('client_token_accessor')}`,
      clientId: token.entityId === '' ? '' : `,"client_id":"${token.entityId}"`,
    }
    this.#tokens.set(token, made)
    return made
  }

  #wrapInfo(info: WrapInfo): string {
    const token = quoted(this.#hasher.text(info.token.reveal('hashed for the audit')))
    let out = `{"ttl":${info.ttl},"token":${token},"accessor":${this.#accessor(info.accessor)}`
    out += `,"creation_time":"${info.creationTime}","creation_path":${quoted(info.creationPath)}`
    if (info.wrappedAccessor !== '') out += `,"wrapped_accessor":${this.#accessor(info.wrappedAccessor)}`
    return `${out}}`
  }

  #accessor(accessor: string): string {
    return quoted(this.#options.hmacAccessor ? this.#hasher.text(accessor) : accessor)
  }

  #mount(mount: AuditedMount): { request: string; response: string } {
    const kept = this.#mounts.get(mount)
    if (kept !== undefined) return kept
    const point = `,"mount_point":${quoted(mount.path)},"mount_type":"${mount.type}","mount_accessor":"${mount.accessor}"`
    const made = {
      request: `${point},"mount_running_version":"${mount.version}","mount_class":"${mount.class}"`,
      response: `${point},"mount_running_plugin_version":"${mount.version}","mount_class":"${mount.class}"`,
    }
    this.#mounts.set(mount, made)
    return made
  }

  #results(verdict: Verdict): string {
    let granting = this.#granting.get(verdict.granting)
    if (granting === undefined) {
      const names = verdict.granting.map(policy => {
        const path = policy.namespacePath === '' ? '' : `,"namespace_path":${quoted(policy.namespacePath)}`
        return `{"name":${quoted(policy.name)},"namespace_id":${quoted(policy.namespaceId)}${path},"type":"${policy.type}"}`
      })
      granting = names.length === 0 ? '' : `,"granting_policies":[${names.join(',')}]`
      this.#granting.set(verdict.granting, granting)
    }
    return `,"policy_results":{"allowed":${verdict.allowed}${granting}}`
  }

  #headers(headers: Readonly<Record<string, readonly string[]>>): string {
    return `{${Object.entries(headers)
      .map(([name, values]) => `${quoted(name)}:${texts(values)}`)
      .join(',')}}`
  }
}

function failed(failure: AuditFailure | null): string {
  if (failure === null) return ''
  const reason = failure.reason === null ? '' : `,"reason":${quoted(failure.reason)}`
  return `,"error":${quoted(failure.error)}${reason}`
}

function elided(data: Json): Json {
  if (!isJsonObject(data)) return data
  const out: Record<string, Json> = { ...data }
  for (const key of ['keys', 'key_info']) {
    const value = out[key]
    if (value === undefined || value === null) continue
    out[key] = Array.isArray(value) ? value.length : isJsonObject(value) ? Object.keys(value).length : value
  }
  return out
}
