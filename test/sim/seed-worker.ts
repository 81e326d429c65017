import { parentPort } from 'node:worker_threads'
import { liveThrough } from './leases.ts'

export type Ask = { readonly seed: number; readonly days: number }
/** `fault`: the text that says what was wrong, and how to play it again. */
export type Answer = Awaited<ReturnType<typeof liveThrough>> | { readonly fault: string }

async function answerTo({ seed, days }: Ask): Promise<Answer> {
  try {
    return await liveThrough(seed, days)
  } catch (error) {
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

const port = parentPort!
port.on('message', (ask: Ask) => {
  void answerTo(ask).then(answer => port.postMessage(answer, []))
})
