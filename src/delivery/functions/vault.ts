import { FunctionError } from '#ground/template/errors.ts'
import { define, type FunctionTable, functionTable } from '#ground/template/function.ts'
import { TypedList, type Value } from '#ground/template/value.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { type Query, readQuery } from './query.ts'
import { secretValue } from './values.ts'

/** What a pass knows: the data of a query, or null while it is on its way. Asking notes the need. */
export type Lookup = {
  secret(query: Query): Envelope | null
  keys(query: Query): readonly string[] | null
}

// The same envelope gives the same value, however many templates ask for it.
const values = new WeakMap<Envelope, Value>()

function valueFor(envelope: Envelope): Value {
  const kept = values.get(envelope)
  if (kept !== undefined) return kept
  const made = secretValue(envelope)
  values.set(envelope, made)
  return made
}

// @source consul-template template/funcs.go secretFunc
function writeData(pairs: readonly string[]): Readonly<Record<string, string>> {
  const data: Record<string, string> = {}
  for (const pair of pairs) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    // The pair may hold a secret: its text stays out of the error.
    if (at < 0) throw new FunctionError('not k=v pair')
    data[pair.slice(0, at).trim()] = pair.slice(at + 1).trim()
  }
  return data
}

/** The functions that read from a server. They return at once: an untyped nil or an empty list until the data is there. */
export function vaultFunctions(lookup: Lookup): FunctionTable {
  return functionTable([
    define(
      'secret',
      ['string', '...string'],
      'interface {}',
      'Reads a path, or with k=v pairs writes to it.',
      (path, ...pairs) => {
        if (path === '') return null
        const data = writeData(pairs)
        const query: Query =
          pairs.length === 0 ? readQuery(path) : { kind: 'write', path: path.replace(/^\/+|\/+$/g, ''), data }
        const envelope = lookup.secret(query)
        return envelope === null ? null : valueFor(envelope)
      },
    ),
    define('secrets', ['string'], '[]string', 'Lists the names below a path, sorted.', path => {
      const bare = path.replace(/^\/+|\/+$/g, '')
      const keys = bare === '' ? [] : (lookup.keys({ kind: 'list', path: bare }) ?? [])
      return new TypedList('string', [...keys].sort())
    }),
  ])
}
