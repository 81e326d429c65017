import type { Json } from '#ground/text/json.ts'
import { FieldProblem, type Fields } from './field.ts'

/** A request's values by source; the later source wins: query or body, then the path's captures. */
export type Given = {
  readonly values: Readonly<Record<string, Json>>
  readonly captures: Readonly<Record<string, string>>
}

export type ParsedInput = {
  readonly input: Readonly<Record<string, unknown>>
  readonly sent: ReadonlySet<string>
  /** Known names that were sent as null: absent for most, a reset for PATCH. */
  readonly nulls: readonly string[]
  /** Names that no field knows, sorted. */
  readonly unknown: readonly string[]
  /** Names that body or query held and the path's captures replaced, sorted. */
  readonly replaced: readonly string[]
}

/** Names the field in what `FieldProblem` says. @source openbao sdk/framework/backend.go, "Field validation failed" */
export class InvalidField extends Error {
  override readonly name = 'InvalidField'
  readonly field: string

  constructor(field: string, problem: string) {
    super(`Field validation failed: error converting input for field "${field}": ${problem}`)
    this.field = field
  }
}

const nothing: readonly string[] = []

/**
 * @throws InvalidField naming the first field that doesn't fit.
 */
export function parseInput(fields: Fields, given: Given): ParsedInput {
  const input: Record<string, unknown> = {}
  const sent = new Set<string>()
  let nulls: string[] | null = null
  for (const name in fields) {
    const field = fields[name]!
    const captured = given.captures[name]
    const raw = captured !== undefined ? captured : Object.hasOwn(given.values, name) ? given.values[name]! : null
    if (raw === null) {
      input[name] = field.fallback
      if (Object.hasOwn(given.values, name)) (nulls ??= []).push(name)
      continue
    }
    sent.add(name)
    try {
      input[name] = field.parse(raw)
    } catch (error) {
      if (error instanceof FieldProblem) throw new InvalidField(name, error.message)
      throw error
    }
  }
  return { input, sent, nulls: nulls ?? nothing, ...strays(fields, given) }
}

function strays(fields: Fields, given: Given): { unknown: readonly string[]; replaced: readonly string[] } {
  let unknown: string[] | null = null
  let replaced: string[] | null = null
  for (const name in given.values) {
    if (given.captures[name] !== undefined) (replaced ??= []).push(name)
    else if (!Object.hasOwn(fields, name)) (unknown ??= []).push(name)
  }
  return { unknown: unknown?.sort() ?? nothing, replaced: replaced?.sort() ?? nothing }
}
