import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { simWorld } from '#ground/base/world.ts'
import { createAuthority } from '../../../test/cluster/certificates.ts'
import { readServerConfig } from './config.ts'
import { Listeners } from './listeners.ts'
import type { ServerNode } from '#core/node/node.ts'

const folder = mkdtempSync(join(tmpdir(), 'coffer-listeners-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const certFile = join(folder, 'tls.crt')
const keyFile = join(folder, 'tls.key')
// A listener asks its node for answers, and none is asked for here.
const silent = { handler: () => ({ status: 204, headers: [], body: null }), house: null } as unknown as ServerNode

const shownName = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.once('error', reject)
  })

test('a certificate that changes on disk is served half a minute later, and a broken one is not', async () => {
  const authority = await createAuthority()
  const place = async (commonName: string): Promise<void> => {
    const { cert, key } = await authority.issue({ commonName, names: ['127.0.0.1'] })
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
  }
  await place('first')
  const text = JSON.stringify({
    listener: { tcp: { address: '127.0.0.1:0', tls_cert_file: certFile, tls_key_file: keyFile } },
    storage: { inmem: {} },
  })
  const { config } = readServerConfig([{ name: 'test', text }])
  const world = simWorld({ seed: 1 })
  const listeners = new Listeners(world)
  try {
    await listeners.start(config.listeners, silent)
    const port = Number(new URL(listeners.addresses[0]!).port)
    assert.equal(await shownName(port), 'first')
    await place('second')
    await world.clock.advance(29_999)
    assert.equal(await shownName(port), 'first')
    await world.clock.advance(1)
    assert.equal(await shownName(port), 'second')
    writeFileSync(certFile, 'no certificate')
    await world.clock.advance(30_000)
    assert.equal(await shownName(port), 'second')
  } finally {
    await listeners.close(0)
  }
})
