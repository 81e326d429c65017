import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { CallOptions, KubeClient } from './client.ts'
import { errorOfAnswer, KubeError } from './errors.ts'
import { choosePod, type PodAsk, type PodPort } from './pod-choice.ts'
import { pods } from './resources.ts'
import { pathOfTarget, queryText } from './target.ts'

/**
 * Two channels for each port, data and error; each begins with the port's number, 2 bytes, little-endian. The API
 * server hands this older protocol on to the container runtime as it is, which spares us SPDY; what it lacks is a half
 * close.
 * @source k8s.io/kubelet pkg/cri/streaming/portforward/websocket.go
 */
const subprotocol = 'v4.channel.k8s.io'
const dataChannel = 0
const errorChannel = 1
const frameBytesMax = 32 * 1024
const messageBytesMax = 1024 * 1024
const openMs = 15_000
const refusalBytesMax = 64 * 1024

/**
 * A connection to a port of a pod, through the API server: what is written to the stream arrives at the pod's port.
 * Needs `get`, and from Kubernetes 1.35 on `create` too, on pods/portforward (a WebSocket opens by GET) beside what
 * `choosePod` needs. A port that nobody listens on ends the stream with the runtime's words. Ending the writing side ends both.
 * @throws KubeError when there is no such pod, no right, or no answer within 15 s
 */
export async function openPodStream(client: KubeClient, ask: PodAsk, options: CallOptions = {}): Promise<Duplex> {
  const place = await choosePod(client, ask, options)
  return openPort(client, place, options)
}

/** As `openPodStream`, for a pod and port that are known. */
export async function openPort(client: KubeClient, place: PodPort, options: CallOptions = {}): Promise<Duplex> {
  const signal = options.signal ?? client.world.signal
  const path = pathOfTarget({ ...pods, namespace: place.namespace, name: place.pod, subresource: 'portforward' })
  const { stream, headers } = await client.caller.dial(signal)
  const base = new URL(client.config.server)
  const url = `ws://${base.host}${base.pathname.replace(/\/$/, '')}${path}${queryText({ ports: place.port })}`
  const socket = new WebSocket(url, [subprotocol], {
    // The connection is there already, TLS and all.
    createConnection: () => stream,
    headers: Object.fromEntries(headers),
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    followRedirects: false,
  })
  await opened(client, socket, `GET ${path}`, signal, options.deadlineMs ?? openMs)
  return new PortStream(socket, place, signal)
}

function opened(
  client: KubeClient,
  socket: WebSocket,
  operation: string,
  signal: AbortSignal,
  ms: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const refuse = (error: unknown): void => {
    reject(error)
    socket.terminate()
  }
  const unreachable = (reason: string, message: string, cause?: unknown): KubeError =>
    new KubeError({ code: 0, reason, message: `port-forward: ${message}`, operation, cause })
  const onAbort = (): void => refuse(signal.reason)
  const timer = client.world.clock.after(ms, () =>
    refuse(unreachable('Timeout', `the Kubernetes API gave no answer within ${ms} ms`)),
  )
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('error', cause => refuse(unreachable('Unreachable', cause.message, cause)))
  socket.on('unexpected-response', (_request, response) => {
    let body = ''
    response.on('data', (chunk: Buffer) => {
      if (body.length < refusalBytesMax) body += chunk.toString('utf8')
    })
    response.on('error', cause => refuse(unreachable('Unreachable', cause.message, cause)))
    response.on('end', () => refuse(errorOfAnswer(operation, response.statusCode ?? 0, body, undefined)))
  })
  socket.on('open', () => {
    // Nothing is read before somebody listens.
    socket.pause()
    resolve()
  })
  return promise.finally(() => {
    timer[Symbol.dispose]()
    signal.removeEventListener('abort', onAbort)
  })
}

class PortStream extends Duplex {
  readonly #socket: WebSocket
  readonly #place: PodPort
  readonly #signal: AbortSignal
  /** Bytes of the port's number that are still to come, for each channel. */
  readonly #prefix = [2, 2]
  readonly #onAbort: () => void

  constructor(socket: WebSocket, place: PodPort, signal: AbortSignal) {
    super({ allowHalfOpen: false })
    this.#socket = socket
    this.#place = place
    this.#signal = signal
    this.#onAbort = () => this.destroy(signal.reason as Error)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    socket.on('message', (data: Buffer) => this.#receive(data))
    socket.on('close', () => this.push(null))
    socket.on('error', error => this.destroy(error))
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    for (let start = 0; start < chunk.length; start += frameBytesMax) {
      const part = chunk.subarray(start, start + frameBytesMax)
      const frame = Buffer.allocUnsafe(part.length + 1)
      frame[0] = dataChannel
      part.copy(frame, 1)
      const isLast = start + frameBytesMax >= chunk.length
      this.#socket.send(frame, isLast ? error => done(error) : () => undefined)
    }
    if (chunk.length === 0) done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.close(1000)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#socket.terminate()
    done(error)
  }

  #receive(message: Buffer): void {
    const channel = message[0]
    if (channel !== dataChannel && channel !== errorChannel) return
    let payload = message.subarray(1)
    const awaited = this.#prefix[channel] ?? 0
    if (awaited > 0) {
      this.#prefix[channel] = Math.max(0, awaited - payload.length)
      payload = payload.subarray(Math.min(awaited, payload.length))
    }
    if (payload.length === 0) return
    if (channel === errorChannel) {
      const { namespace, pod, port } = this.#place
      const message = `port ${port} of pod ${namespace}/${pod}: ${payload.toString('utf8').trim()}`
      this.destroy(new KubeError({ code: 0, reason: 'Unreachable', message, operation: 'port-forward' }))
      return
    }
    if (!this.push(payload)) this.#socket.pause()
  }
}
