/** Where something stands: both count from 1; a column is one UTF-16 unit. */
export type Position = { readonly line: number; readonly column: number }

/**
 * A body: the whole file, what stands between braces, or a JSON object. Items keep their order and their duplicates;
 * what a repeated key means is for the reader to say.
 */
export type HclObject = { readonly kind: 'object'; readonly items: readonly HclItem[]; readonly at: Position }

/** `name = value`, or `name "label" … { }`, which may carry any number of labels. */
export type HclItem = {
  readonly name: string
  readonly labels: readonly HclLabel[]
  readonly value: HclValue
  /** Written with `=` (or with `:`, in JSON), so that JSON can't tell a block from a map. */
  readonly isAssigned: boolean
  readonly at: Position
}

export type HclLabel = { readonly text: string; readonly at: Position }

export type HclList = { readonly kind: 'list'; readonly values: readonly HclValue[]; readonly at: Position }
/** `${…}` stands as written, quotes and escapes inside it too. */
export type HclString = { readonly kind: 'string'; readonly value: string; readonly at: Position }
/** `text` is as written (`0640`, `1e3`); `value` has lost digits above 2^53. */
export type HclNumber = {
  readonly kind: 'number'
  readonly value: number
  readonly text: string
  readonly isFloat: boolean
  readonly at: Position
}
export type HclBool = { readonly kind: 'bool'; readonly value: boolean; readonly at: Position }
/** Only from JSON. */
export type HclNull = { readonly kind: 'null'; readonly at: Position }

export type HclValue = HclObject | HclList | HclString | HclNumber | HclBool | HclNull

/** Input that can't be read, with the place; the message begins with it: `agent.hcl:3:14: …`, or `At 3:14: …`. */
export class HclError extends Error {
  override readonly name = 'HclError'
  readonly file: string | null
  readonly at: Position
  /** The message without the place. */
  readonly what: string

  constructor(file: string | null, at: Position, what: string) {
    super(file === null ? `At ${at.line}:${at.column}: ${what}` : `${file}:${at.line}:${at.column}: ${what}`)
    this.file = file
    this.at = at
    this.what = what
  }
}

/** The most that is read: bytes would be counted by UTF-16 units, which is near enough for a bound. */
export const hclSizeMax = 1_048_576
/** Blocks, lists and maps inside one another. */
export const hclDepthMax = 100
