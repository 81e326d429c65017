import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

// The image's root file system, entered as a container runtime does: any account, nothing of the machine's.

const checkout = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'coffer-rootfs-'))
const root = join(folder, 'rootfs')

before(() => {
  execFileSync(join(checkout, 'bin/coffer'), ['image', 'build', `-rootfs=${root}`], { stdio: 'ignore' })
})
after(() => rmSync(folder, { recursive: true, force: true }))

function inside(account: string, argv: readonly string[]): string {
  const ran = spawnSync('/usr/sbin/chroot', [`--userspec=${account}`, root, ...argv], {
    encoding: 'utf8',
    // What a pod's environment says to Node must not count: each of these would end it or be printed.
    env: {
      PATH: '/usr/local/bin:/bin',
      HOME: '/home/vault',
      COFFER_CODE_CACHE: 'require',
      NODE_OPTIONS: '--no-such-option',
      NODE_DEBUG: 'module',
    },
  })
  assert.equal(ran.status, 0, ran.stderr || String(ran.error))
  return ran.stdout.trim()
}

const version = /^(?:Coffer|Vault) v1\.\d+\.\d+\+coffer\.\d+\.\d+\.\d+$/

test('the program starts under any account, by its entry point and both of its names, from its code cache', () => {
  const dockerfile = readFileSync(join(checkout, 'deploy/Dockerfile'), 'utf8')
  const entryPoint = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? '[]') as string[]
  for (const account of ['65532:65532', '100:1000', '1234567:7']) {
    assert.match(inside(account, [...entryPoint, 'version']), version)
  }
  for (const name of ['/bin/coffer', '/bin/vault']) assert.match(inside('100:1000', [name, 'version']), version)
})

test("the command line of the original's containers runs", () => {
  const script = 'echo ${VAULT_CONFIG:-e30K} | base64 -d && touch /tmp/a && exec vault version'
  assert.match(inside('100:1000', ['/bin/sh', '-ec', script]), /^\{\}\nVault v1\./)
})

test('the token that the hook of the original looks for is where the agent puts it, for any account', () => {
  assert.match(readFileSync(join(checkout, 'deploy/Dockerfile'), 'utf8'), /^ENV HOME=\/home\/vault /m)
  const script =
    'echo hvs.x > /home/vault/.vault-token && /bin/sleep 0 && /bin/vault print token; rm /home/vault/.vault-token'
  for (const account of ['100:1000', '1234567:7']) assert.equal(inside(account, ['/bin/sh', '-c', script]), 'hvs.x')
})

test('whoever passes the image on has the licences in it', () => {
  for (const path of ['app/THIRD-PARTY', 'usr/share/doc/node/LICENSE', 'usr/share/doc/busybox-static/copyright']) {
    assert.ok(existsSync(join(root, path)), path)
  }
})

test('only /tmp and the home can be written by all', () => {
  const found = execFileSync('find', [root, '-perm', '-0002', '-not', '-type', 'l', '-printf', '%P\n'], {
    encoding: 'utf8',
  })
  assert.deepEqual(found.trim().split('\n').sort(), ['home/vault', 'tmp'])
  assert.equal(lstatSync(join(root, 'tmp')).mode & 0o7777, 0o1777)
})
