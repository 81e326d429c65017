import { stringList, text } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import type { Call } from '#backend/call.ts'
import type { Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import type { Verdict } from '#protocol/verdict.ts'
import { row, type SystemRow } from './state.ts'

const fields = {
  paths: stringList({ description: 'Paths to ask about.' }),
  path: stringList({ description: 'Old name of paths.', isDeprecated: true }),
} as const

type Asked = { readonly paths: readonly string[]; readonly path: readonly string[] }

function pathsOf({ paths, path }: Asked): readonly string[] {
  const asked = paths.length > 0 ? paths : path
  if (asked.length === 0) throw fault('request.invalid', 'paths must be supplied')
  if (asked.length > 1_000) throw fault('request.invalid', 'at most 1000 paths can be asked for at once')
  return asked.map(one => one.replace(/^\/+/, ''))
}

/** Words of a verdict as clients know them: `root`, `deny`, or the sorted list. @source openbao vault/capabilities.go */
export function capabilityWords(verdict: Verdict): readonly string[] {
  if (verdict.isRoot) return ['root']
  const words = verdict.capabilities.filter(word => word !== 'deny')
  return words.length === 0 ? ['deny'] : [...words].sort()
}

async function answer(asked: Asked, judge: (path: string) => Promise<Verdict> | Verdict): Promise<Reply> {
  const words: [path: string, words: Json][] = []
  for (const path of pathsOf(asked)) words.push([path, capabilityWords(await judge(path))])
  if (words.length === 1) words.push(['capabilities', words[0]![1]])
  // Paths are the caller's own: one may be called `__proto__`.
  return { kind: 'data', data: Object.fromEntries(words), topLevel: true }
}

// Capabilities are judged as a list: the path without its last slash counts, too.
const ask = (call: Call, path: string): Promise<Verdict> | Verdict => call.may(path, 'list')

async function known(verdict: Promise<Verdict | null>, unknown: string): Promise<Verdict> {
  const found = await verdict
  if (found === null) throw fault('request.invalid', unknown)
  return found
}

export const capabilityRows: readonly SystemRow[] = [
  row({
    path: 'capabilities-self',
    fields,
    operations: {
      update: {
        access: 'policy',
        summary: 'What the calling token may do.',
        handler: call => answer(call.input, path => ask(call, path)),
      },
    },
    help: {
      synopsis: 'What the calling token may do on paths.',
      description: 'Parameters of requests are not considered.',
    },
  }),
  row({
    path: 'capabilities',
    fields: { ...fields, token: text({ description: 'The token to ask about.', isSecret: true }) },
    operations: {
      update: {
        access: 'policy',
        summary: 'What a token may do.',
        async handler(call, state) {
          pathsOf(call.input)
          const { token } = call.input
          if (token === '') throw fault('request.invalid', 'missing token')
          return answer(call.input, path => known(state.judgeToken(token, path, 'list'), 'invalid token'))
        },
      },
    },
    help: {
      synopsis: 'What a token may do on paths.',
      description: 'Parameters of requests are not considered.',
    },
  }),
  row({
    path: 'capabilities-accessor',
    fields: { ...fields, accessor: text({ description: 'The accessor of the token to ask about.' }) },
    operations: {
      update: {
        access: 'policy',
        summary: 'What the token behind an accessor may do.',
        handler(call, state) {
          if (call.input.accessor === '') throw fault('request.invalid', 'missing accessor')
          const { accessor } = call.input
          return answer(call.input, path => known(state.judgeFor(accessor, path, 'list'), 'invalid accessor'))
        },
      },
    },
    help: {
      synopsis: 'What a token may do on paths, by its accessor.',
      description: 'Parameters of requests are not considered.',
    },
  }),
]
