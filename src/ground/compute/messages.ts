/** What pool and worker say to each other. Payloads are copied (structured clone); secrets go as bytes. */
export type Ask = { readonly id: number; readonly task: string; readonly payload: unknown }

export type Answer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string }
