import { builtins } from './builtins.ts'
import { toBytes } from './bytes.ts'
import { TemplateExecError } from './errors.ts'
import { Evaluator, type MissingKey, type Program } from './evaluator.ts'
import type { FunctionTable } from './function.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { parseTrees } from './parser.ts'
import type { Value } from './value.ts'

export type ParseOptions = {
  /** Instead of `{{` and `}}`; an empty one is the default. */
  readonly delims?: { readonly left: string; readonly right: string }
  /** Besides Go's builtins, which they may replace. A name that neither has fails the parse. */
  readonly functions?: FunctionTable
}

export type ExecuteOptions = {
  /** The default is `default`; consul-template uses `zero`, or `error` with `error_on_missing_key`. */
  readonly missingKey?: MissingKey
  /** Functions of this execution, which replace those of the same name that the parse knew. */
  readonly functions?: FunctionTable
  /** What isn't given has its default. */
  readonly limits?: Partial<Limits>
}

/** A parsed template; it may be executed any number of times. */
export class Template {
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  /** The names of the templates that the text defines, in the order of the text's parse. */
  get names(): readonly string[] {
    return [...this.#program.trees.keys()]
  }

  /**
   * The output for `data`. Bytes that are no UTF-8 are escaped as in `bytes.ts`; `render` gives them as they are.
   * @throws TemplateExecError, and whatever a function throws that is no `FunctionError`, `NotReady` among them.
   */
  execute(data: Value, options: ExecuteOptions = {}): string {
    const functions = options.functions
      ? new Map([...this.#program.functions, ...options.functions])
      : this.#program.functions
    const program = { ...this.#program, functions }
    const limits = { ...defaultLimits, ...options.limits }
    try {
      return new Evaluator(program, program.name, options.missingKey ?? 'default', limits).execute(data)
    } catch (error) {
      const excess = excessOf(error)
      throw excess === null ? error : new TemplateExecError(`template: ${program.name}: ${excess}`)
    }
  }

  /** The output as bytes, as they belong in a file. */
  render(data: Value, options: ExecuteOptions = {}): Uint8Array {
    return toBytes(this.execute(data, options))
  }
}

/**
 * What the engine ran out of. The depths of calls, blocks and parentheses are bounded each, but not their product; the
 * output is bounded, but not what a variable may hold.
 */
function excessOf(error: unknown): string | null {
  if (!(error instanceof RangeError)) return null
  if (error.message.includes('call stack')) return 'nested too deep'
  return error.message.includes('string length') ? 'a value grew too long' : null
}

/**
 * Parses a Go text/template.
 * @param name stands in error texts; consul-template's templates have an empty one.
 * @throws TemplateParseError
 */
export function parseTemplate(name: string, text: string, options: ParseOptions = {}): Template {
  const functions = options.functions ?? new Map()
  const delims = { left: options.delims?.left || '{{', right: options.delims?.right || '}}' }
  const isFunction = (word: string): boolean => functions.has(word) || builtins.has(word)
  return new Template({ name, text, trees: parseTrees(name, text, delims, isFunction), builtins, functions })
}
