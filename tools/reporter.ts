import { writeSync } from 'node:fs'
import { inspect } from 'node:util'

/** What the reporter tells `tools/test.ts`, one JSON object a line on descriptor 3. */
export type Told =
  | { kind: 'passed'; name: string }
  | { kind: 'failed'; name: string; where: string; detail: string }
  | { kind: 'skipped'; name: string; reason: string }
  | { kind: 'file'; file: string; passed: number }
  | { kind: 'summary' }

type TestEvent = { type: string; data: EventData }
type EventData = {
  counts?: { passed: number }
  name?: string
  file?: string
  line?: number
  skip?: string | boolean
  todo?: string | boolean
  details?: { type?: string; error?: Error & { failureType?: string; code?: string; cause?: unknown } }
}

/**
 * Turns an event of node:test into what is counted; null for what isn't. A suite or a test that failed only because
 * something inside it did isn't counted again.
 */
export function told(event: TestEvent): Told | null {
  const data = event.data
  const name = data.name ?? 'unnamed'
  const isSuite = data.details?.type === 'suite'
  switch (event.type) {
    case 'test:pass':
      if (isSuite) return null
      if (data.skip !== undefined && data.skip !== false) return { kind: 'skipped', name, reason: reasonOf(data.skip) }
      if (data.todo !== undefined && data.todo !== false) return { kind: 'skipped', name, reason: 'marked as todo' }
      return { kind: 'passed', name }
    case 'test:fail': {
      const error = data.details?.error
      if (error?.failureType === 'subtestsFailed') return null
      const where = data.file ? `${data.file}:${data.line ?? 1}` : 'unknown place'
      return { kind: 'failed', name, where, detail: describeError(error) }
    }
    case 'test:summary':
      // One comes for each file that has a process of its own, and one for the whole run.
      return data.file === undefined
        ? { kind: 'summary' }
        : { kind: 'file', file: data.file, passed: data.counts?.passed ?? 0 }
    default:
      return null
  }
}

function reasonOf(skip: string | boolean): string {
  return typeof skip === 'string' && skip !== '' ? skip : 'no reason given'
}

const detailMax = 8192

function describeError(error: (Error & { cause?: unknown }) | undefined): string {
  const cause = error?.cause ?? error
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause, { depth: 4 })
  return text.length > detailMax ? `${text.slice(0, detailMax)}… (${text.length} characters)` : text
}

// oxlint-disable-next-line import/no-default-export -- node:test takes a reporter as the default export
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = told(event)
    if (line)
      writeSync(
        3,
        `${JSON.stringify(line).replace(/[\u2028\u2029]/g, char => `\\u${char.charCodeAt(0).toString(16)}`)}\n`,
      )
  }
  yield ''
}
