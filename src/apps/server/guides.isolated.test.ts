import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { startDev } from './dev-server.lab.ts'

const root = join(import.meta.dirname, '../../..')

/** What a page types, as one script: its console blocks, without the prompts. */
function scriptOf(page: string): string {
  const guide = readFileSync(join(root, 'docs/guides', page), 'utf8')
  const blocks = [...guide.matchAll(/^```\n(\$ [^]*?)^```$/gm)].map(match => match[1]!)
  return blocks.join('').replaceAll(/^\$ /gm, '')
}

/** Runs a script in a folder of its own, as the root token; `coffer` is that of this checkout. */
async function run(script: string, address: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'coffer-guides-'))
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  const env = {
    PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: folder,
    COFFER_ADDR: address,
    COFFER_TOKEN: 'root',
  }
  const child = spawn('sh', ['-eux', '-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise(resolve => child.once('exit', resolve)),
  ])
  assert.equal(code, 0, err)
  return out
}

test('the guide on AppRole: its commands, in their order, by a shell', async () => {
  await using server = await startDev()
  const before = 'coffer kv put secret/ci/deploy key=4711'
  const after = 'if COFFER_TOKEN=$(cat token) coffer token lookup; then exit 9; fi'
  const script = [before, scriptOf('approle.md'), after].join('\n')
  const said = await run(script, server.address)
  assert.match(said, /^4711/m)
  assert.match(said, /^secret_id_num_uses +1$/m)
})

test('the guide on people with a password: its commands, in their order, by a shell', async () => {
  await using server = await startDev()
  const script = scriptOf('userpass.md')
  const typed = script.replace('username=bob\nPassword (will be hidden):', 'username=bob password=s3cret')
  assert.notEqual(typed, script)
  const said = await run(typed, server.address)
  assert.match(said, /"lockout_threshold": 10/)
})
