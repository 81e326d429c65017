import type { Io } from '#protocol/command.ts'
import { isJsonObject, type Json } from '#ground/text/json.ts'
import { goQuote } from '#ground/text/quote.ts'
import { wrapText } from '#ground/text/flags-help.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { envelopeDocument, indentedJson, yamlText } from './render/documents.ts'
import { envelopeTable, fieldOf, objectTable } from './render/secret.ts'
import { table } from './render/columns.ts'
import { goValue } from './render/value.ts'

export const formats = ['table', 'json', 'yaml', 'yml', 'pretty', 'raw'] as const
export type Format = (typeof formats)[number]

/** A failure that ends a command: the text goes to stderr, the code out. 1 is the user's side, 2 the server's. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(exitCode: number, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Prose at 78 columns. */
export const wrapped = (text: string): string => wrapText(text, 78).join('\n')

/** What a command prints, in the format asked for. Results go to stdout, everything else to stderr. */
export class Ui {
  readonly format: Format
  readonly isDetailed: boolean
  readonly #io: Io
  readonly #isColoured: boolean

  constructor(io: Io, options: { format: Format; isDetailed: boolean; isColoured: boolean }) {
    this.#io = io
    this.format = options.format
    this.isDetailed = options.isDetailed
    this.#isColoured = options.isColoured
  }

  get isTable(): boolean {
    return this.format === 'table'
  }

  output(text: string): void {
    this.#io.stdout(`${text}\n`)
  }

  warn(text: string): void {
    this.#io.stderr(this.#isColoured ? `\u001b[33m${text}\u001b[0m\n` : `${text}\n`)
  }

  error(text: string): void {
    this.#io.stderr(this.#isColoured ? `\u001b[31m${text}\u001b[0m\n` : `${text}\n`)
  }

  /** A success line, which only people read: other formats print nothing. */
  success(text: string): void {
    if (this.isTable) this.output(text)
  }

  /** An answer whole. */
  async envelope(envelope: Envelope): Promise<void> {
    if (!this.isTable) return this.document(envelopeDocument(envelope))
    this.warnings(envelope)
    const text = envelopeTable(envelope)
    if (text !== '') this.output(text)
  }

  warnings(envelope: Envelope): void {
    if (envelope.warnings.length === 0) return
    this.warn('WARNING! The following warnings were returned from Vault:\n')
    for (const warning of envelope.warnings) {
      this.warn(
        wrapText(`* ${warning}`, 76)
          .map(line => `  ${line}`)
          .join('\n'),
      )
      this.warn('')
    }
  }

  /** A tree that is no answer of its own: a table of its members, a list of texts, or a document. */
  async data(data: Json): Promise<void> {
    if (!this.isTable) return this.document(data)
    if (Array.isArray(data))
      this.output(
        table(
          [goValue(data[0] ?? '')],
          data.slice(1).map(item => [goValue(item)]),
        ),
      )
    else if (isJsonObject(data)) {
      const text = objectTable(data)
      if (text !== '') this.output(text)
    } else this.output(goValue(data))
  }

  /** The keys of a list, sorted under `Keys`. */
  async keys(envelope: Envelope, keys: readonly string[]): Promise<void> {
    if (!this.isTable) return this.document(this.isDetailed ? envelopeDocument(envelope) : keys)
    this.warnings(envelope)
    if (keys.length > 0)
      this.output(
        table(
          ['Keys'],
          [...keys].sort().map(key => [key]),
        ),
      )
  }

  async document(data: Json): Promise<void> {
    switch (this.format) {
      case 'json':
        return this.output(indentedJson(data))
      case 'yaml':
      case 'yml':
        return this.output(await yamlText(data))
      case 'pretty':
        throw new CliError(1, 'Could not parse output: cannot use the pretty formatter for this type')
      case 'table':
      case 'raw':
        throw new CliError(1, 'This command does not support the -format=raw option.')
    }
  }

  /** One value by `-field`: without a line feed unless a person looks at it. */
  async field(value: Json | undefined, field: string, of: string): Promise<void> {
    if (value === undefined || value === null) throw new CliError(1, `Field ${goQuote(field)} not present in ${of}`)
    if (this.format === 'json') return this.#raw(indentedJson(value))
    if (this.format === 'yaml' || this.format === 'yml') return this.#raw(`${await yamlText(value)}\n`)
    this.#raw(goValue(value))
  }

  async envelopeField(envelope: Envelope, field: string): Promise<void> {
    if (this.isTable) this.warnings(envelope)
    return this.field(fieldOf(envelope, field), field, 'secret')
  }

  #raw(text: string): void {
    this.#io.stdout(this.#io.isOutputTerminal ? `${text}\n` : text)
  }
}
