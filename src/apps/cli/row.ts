import type { Flags } from '#ground/text/flags.ts'
import type { Context } from './context.ts'
import type { OutputOption } from './flag-sets.ts'

/**
 * A command as a value: name, flags, help and what it does. A new command is one of these in the list of its group;
 * help, flags and error handling follow from it.
 */
export type Row<F extends Flags = Flags> = {
  /** With its group: `kv get`. */
  readonly name: string
  /** One line for lists of commands. */
  readonly synopsis: string
  /** What follows the name in the usage line: `[options] KEY`. */
  readonly usage: string
  /** Paragraphs after the usage line, with at least one example; `%` stands for the program's name. */
  readonly help: string
  readonly output?: readonly OutputOption[]
  /** Title of the command's own flags; default `Command Options`. */
  readonly title?: string
  readonly flags?: F
  /** How many arguments it takes: exactly, or between. Default 0. `null`: the command checks by itself. */
  readonly args?: number | readonly [min: number, max: number] | null
  /** False for what asks no server: then there are no HTTP options. */
  readonly isRemote?: boolean
  /** It works without a token, or with one that it is given: nobody logs in for it. */
  readonly needsNoToken?: true
  /**
   * Does the work. A failure is thrown (`CliError`, or what the client throws: 2); the number, 0 when there is none, is
   * the exit code.
   */
  // A method, not a property: rows with different flags must fit into one list.
  run(context: Context<F>): Promise<number | void>
}

/** Keeps the types of the row's own flags. */
export function row<F extends Flags>(value: Row<F>): Row<F> {
  return value
}

/** A group of commands (`kv`), with what its own help says. */
export type Group = {
  readonly name: string
  readonly synopsis: string
  readonly help: string
  readonly rows: readonly Row[]
}
