import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linesOf } from './watch.ts'

async function* chunks(parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

async function lines(parts: readonly (string | Uint8Array)[], limit?: number): Promise<string[]> {
  const got: string[] = []
  for await (const line of linesOf(chunks(parts), 'GET x', limit)) got.push(line)
  return got
}

const euro = Buffer.from('€')
const cases: readonly (readonly [rule: string, parts: (string | Uint8Array)[], want: string[]])[] = [
  ['several in a chunk', ['a\nb\n'], ['a', 'b']],
  ['one over several chunks', ['a', 'b', 'c\nd\n'], ['abc', 'd']],
  ['a character over two chunks', [euro.subarray(0, 1), euro.subarray(1), '\n'], ['€']],
  ['empty ones are left out', ['\n\r\na\n\n'], ['a']],
  ['a rest without line feed is cut off and dropped', ['a\nb'], ['a']],
]
for (const [rule, parts, want] of cases) {
  test(`watch lines: ${rule}`, async () => assert.deepEqual(await lines(parts), want))
}

test('watch lines: one beyond the bound ends the watch', async () => {
  await assert.rejects(lines(['aaaa', 'aaaaa'], 8), { code: 0, reason: 'TooLarge' })
})
