/** Bounds of one execution. */
export type Limits = {
  /** Bytes of output; the default is 10 MiB. */
  readonly outputBytesMax: number
  /** Statements and commands executed; the default is 5,000,000. */
  readonly stepsMax: number
  /** Rounds of one `range`; the default is 1,000,000. */
  readonly rangeMax: number
  /** Templates that call each other; the default is 1,000 (Go: 100,000). */
  readonly depthMax: number
}

export const defaultLimits: Limits = {
  outputBytesMax: 10 * 1024 * 1024,
  stepsMax: 5_000_000,
  rangeMax: 1_000_000,
  depthMax: 1_000,
}
