import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { silentLog } from '#ground/base/log.ts'
import { Secret } from '#ground/base/secret.ts'
import type { HttpHandler } from '#ground/http/message.ts'
import { listen } from '#ground/http/server.ts'
import { createApiClient } from './api.ts'
import { openNoticeSocket } from './notice-socket.ts'

// RFC 6455 section 4.2.2, step 5.4
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

async function serve(handler: HttpHandler) {
  const server = await listen({ address: { host: '127.0.0.1', port: 0 }, handler, clock: systemClock, log: silentLog })
  const port = 'port' in server.address ? server.address.port : 0
  const signal = new AbortController().signal
  const world = { clock: systemClock, entropy: systemEntropy, signal }
  const client = createApiClient({ address: `http://127.0.0.1:${port}`, token: new Secret('hvs.t'), world })
  return {
    client,
    [Symbol.asyncDispose]: async () => {
      await client.close()
      await server.close({ graceMs: 0 })
    },
  }
}

for (const status of [404, 403]) {
  test(`notices: ${status} means poll`, async () => {
    await using served = await serve(() => ({ status, headers: [], body: '{"errors":[]}' }))
    assert.equal(await openNoticeSocket(served.client, new AbortController().signal), null)
  })
}

test('notices: any other answer is an error', async () => {
  await using served = await serve(() => ({ status: 503, headers: [], body: '' }))
  await assert.rejects(openNoticeSocket(served.client, new AbortController().signal), { message: /status 503/ })
})

test('notices: the token is sent, the watch is heard, a change comes back', async () => {
  const seen: string[] = []
  await using served = await serve(request => {
    seen.push(`${request.path} ${request.headers.get('x-vault-token')}`)
    const key = request.headers.get('sec-websocket-key') ?? ''
    return {
      status: 101,
      headers: [
        ['Upgrade', 'websocket'],
        ['Sec-WebSocket-Accept', acceptOf(key)],
      ],
      upgrade: async socket => {
        // A frame by hand (RFC 6455 section 5.2): text, unmasked, below 126 bytes.
        const text = Buffer.from('{"path":"secret/data/app","version":2}')
        socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]))
        await new Promise(resolve => socket.once('close', resolve))
      },
    }
  })
  const signal = new AbortController().signal
  const opened = await openNoticeSocket(served.client, signal)
  assert.ok(opened)
  using socket = opened
  socket.send('{"watch":["secret/data/app"]}')
  for await (const message of socket.messages(signal)) {
    assert.equal(message, '{"path":"secret/data/app","version":2}')
    break
  }
  assert.deepEqual(seen, ['/v1/sys/notices hvs.t'])
})
