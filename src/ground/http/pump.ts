import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Bytes } from '#ground/base/brand.ts'

/**
 * Sends an iterable as the body of an answer, with back-pressure. Ends when the iterable does or the client is gone,
 * and closes the iterable in every case.
 * @param isChunked false for HTTP/1.0: the end of the connection is then the end of the body
 * @param gone aborted when the client goes away
 * @throws what the iterable throws
 */
export async function pump(
  socket: Socket,
  body: AsyncIterable<Bytes>,
  isChunked: boolean,
  gone: AbortSignal,
): Promise<void> {
  const iterator = body[Symbol.asyncIterator]()
  const left = new Promise<null>(resolve => {
    if (gone.aborted) resolve(null)
    else gone.addEventListener('abort', () => resolve(null), { once: true })
  })
  let isEnded = false
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), left])
      if (next === null) return
      if (next.done === true) {
        isEnded = true
        break
      }
      if (next.value.length > 0) writePiece(socket, next.value, isChunked)
      // Streams are few and their pieces small or slow: each piece waits for the one before to be taken.
      if (socket.writableNeedDrain)
        await Promise.race([once(socket, 'drain', { signal: gone }).catch(() => null), left])
      if (gone.aborted) return
    }
    if (isChunked) socket.write('0\r\n\r\n', 'latin1')
  } finally {
    // Not awaited when a `next` is under way: a generator that waits for what never comes would hold it up for ever.
    if (!isEnded) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

function writePiece(socket: Socket, piece: Bytes, isChunked: boolean): void {
  if (!isChunked) {
    socket.write(piece)
    return
  }
  socket.cork()
  socket.write(`${piece.length.toString(16)}\r\n`, 'latin1')
  socket.write(piece)
  socket.write('\r\n', 'latin1')
  socket.uncork()
}
