import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { instant, systemClock } from '#ground/base/clock.ts'
import { systemEntropy } from '#ground/base/entropy.ts'
import { issueAuthority, issueLeaf } from '#ground/crypto/issue-certificate.ts'
import { certAuth } from '#auth/cert/engine.ts'
import { startReal } from '#core/testing/real-server.ts'
import { cliCommand } from './command.ts'
import { runCommand } from './stub-server.ts'

const world = { clock: systemClock, entropy: systemEntropy }
const validity = { notBefore: instant(systemClock.now() - 60_000), notAfter: instant(systemClock.now() + 3_600_000) }

test('the guide on client certificates: its commands, in their order, over TLS', async () => {
  const guide = await readFile(join(import.meta.dirname, '../../../docs/guides/cert.md'), 'utf8')
  const commands = [...guide.matchAll(/^\$ coffer (.*)$/gm)].map(match => match[1]!)
  const folder = await mkdtemp(join(tmpdir(), 'coffer-cert-'))
  try {
    const ca = issueAuthority(world, { commonName: 'CA', ...validity })
    const server = issueLeaf(world, ca, {
      commonName: 'coffer',
      usage: 'server',
      ipAddresses: ['127.0.0.1'],
      ...validity,
    })
    for (const [name, of] of [
      ['web', ca],
      ['stranger', issueAuthority(world, { commonName: 'CA', ...validity })],
    ] as const) {
      const leaf = issueLeaf(world, of, { commonName: 'web-1', usage: 'client', ...validity })
      await writeFile(join(folder, `${name}.pem`), leaf.certificate)
      await writeFile(join(folder, `${name}-key.pem`), leaf.key.reveal('the file of a test'))
    }
    await writeFile(join(folder, 'ca.pem'), ca.certificate)
    await using real = await startReal([certAuth], { tls: { certificate: server.certificate, key: server.key } })
    const env = { VAULT_ADDR: real.address, VAULT_CACERT: join(folder, 'ca.pem'), HOME: folder }
    const run = (line: string, token = real.rootToken) => {
      const [name = '', ...argv] = line.replaceAll(/([\w-]+)\.pem/g, `${folder}/$1.pem`).split(' ')
      return runCommand(cliCommand(name), argv, { env: { ...env, ...(token !== '' && { VAULT_TOKEN: token }) } })
    }
    for (const line of commands) {
      const end = await run(line, line.startsWith('login') ? '' : undefined)
      assert.equal(end.code, 0, `${line}: ${end.stderr}`)
      if (line.startsWith('login')) assert.match(end.stdout, /\ntoken_meta_common_name +web-1\n/)
    }
    for (const [who, line] of [
      ['nobody', 'login -method=cert'],
      ['a stranger', 'login -method=cert -client-cert=stranger.pem -client-key=stranger-key.pem'],
    ] as const) {
      const end = await run(line, '')
      assert.equal(end.code, 2, who)
      assert.match(
        end.stderr,
        who === 'nobody' ? /no client certificate found/ : /invalid certificate or no client certificate supplied/,
      )
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
