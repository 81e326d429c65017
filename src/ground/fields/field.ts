import type { Json } from '#ground/text/json.ts'

/** How a field shows in OpenAPI, `?help=1` and the CLI. */
export type FieldType = 'string' | 'boolean' | 'integer' | 'number' | 'array' | 'object' | 'any'

/**
 * One named input or output of a path, and everything derived from it: Vault's coercions at parsing, the TypeScript
 * type, OpenAPI, help, CLI flag, redaction.
 */
export type Field<T> = {
  readonly type: FieldType
  /** `seconds` and `date-time` add meaning for OpenAPI and help. */
  readonly format?: 'seconds' | 'date-time' | 'comma-separated' | 'key-value'
  readonly description: string
  /** The value when the field isn't sent; undefined when that is to be told apart. */
  readonly fallback: T
  readonly isRequired?: true
  /** Shown as sensitive in OpenAPI and help. */
  readonly isSecret?: true
  readonly isDeprecated?: true
  /** Fields only of the path's captures or the query are not part of a body. */
  readonly from?: 'path' | 'query'
  readonly choices?: readonly string[]
  /**
   * @returns the value with Vault's weak typing: "5" for an int, "a,b" for a list, "1h" for a duration.
   * @throws FieldProblem with what is wrong, without the field's name and without a secret's text.
   * @source openbao sdk/framework/field_data.go
   */
  parse(raw: Json): T
}

/** Thrown by a field's parser; the kit adds the name. */
export class FieldProblem extends Error {
  override readonly name = 'FieldProblem'
}

// Heterogeneous tables need a common type; each use of a field is typed again by Input<F>.
export type Fields = Readonly<Record<string, Field<unknown>>>

export type ValueOf<F> = F extends Field<infer T> ? T : never

/** What a handler gets: every field parsed, with its fallback where it wasn't sent. */
export type Input<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> }
