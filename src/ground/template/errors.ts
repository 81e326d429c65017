/**
 * A template that can't be parsed or executed. The text is Go's, with what may be data left out: it holds names and
 * pieces of the template's own text, never a value.
 */
export class TemplateError extends Error {
  override readonly name: string = 'TemplateError'
}

/** The text of the template breaks its grammar: `template: NAME:LINE: …`. */
export class TemplateParseError extends TemplateError {
  override readonly name = 'TemplateParseError'
}

/** Execution stopped: `template: NAME:LINE:COLUMN: executing "NAME" at <…>: …`. */
export class TemplateExecError extends TemplateError {
  override readonly name = 'TemplateExecError'
}

/**
 * What a template function throws to stop the execution with its own words. Its message reaches logs and users, so it
 * must not hold an argument's value; anything else that a function throws is our bug and passes through unchanged.
 */
export class FunctionError extends Error {
  override readonly name = 'FunctionError'
}

/** Stands in error texts for what Go would print of a value. */
export const redacted = '[redacted]'

/**
 * What a host's function throws when the data it stands for isn't there yet and no empty value will do. It passes
 * through the evaluator unchanged. A function that can return an empty value should note what is missing and do so: then
 * one pass finds all that a template needs.
 */
export class NotReady extends Error {
  override readonly name = 'NotReady'
  /** What is waited for, as the host names it. */
  readonly what: string

  constructor(what: string) {
    super(`not ready: ${what}`)
    this.what = what
  }
}
