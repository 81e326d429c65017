/**
 * What the compute workers can do: steps that would hold the main thread for more than 5 ms and that Node doesn't do
 * off it by itself (password hashes in JavaScript). The types of payload and result stand here once, for both sides.
 */
export const computeTasks = {
  /** Says that a worker is there. */
  ping: (payload: { readonly text: string }): string => payload.text,
}

export type ComputeTasks = typeof computeTasks
