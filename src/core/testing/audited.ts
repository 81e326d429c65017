import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { doorman, notebook } from './engines.ts'
import { openTestMount, type TestServer } from './mount.ts'

/** A line of the log, as far as tests look at it. */
export type AuditLine = {
  time: string
  type: string
  error?: string
  reason?: string
  auth: Record<string, unknown>
  request: Record<string, unknown>
  response?: Record<string, unknown>
}

/** A server that writes audit lines into a folder of its own. */
export class Audited implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-audit-'))
  server!: TestServer

  static async open(options: Record<string, string> = {}): Promise<Audited> {
    const me = new Audited()
    me.server = await openTestMount(notebook, { others: [doorman()], settings: { auditDirectory: me.folder } })
    await me.server.ask('POST', 'sys/auth/doorman', { body: { type: 'doorman' } })
    const body = { type: 'file', options: { file_path: me.file, ...options } }
    assert.equal((await me.server.ask('PUT', 'sys/audit/file', { body })).status, 204)
    return me
  }

  get file(): string {
    return join(this.folder, 'audit.log')
  }

  get text(): string {
    return readFileSync(this.file, 'utf8')
  }

  get lines(): AuditLine[] {
    return this.text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line.slice(line.indexOf('{'))) as AuditLine)
  }

  async hash(input: string): Promise<string> {
    return ((await this.server.ask('POST', 'sys/audit-hash/file', { body: { input } })).data as { hash: string }).hash
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true })
  }
}
