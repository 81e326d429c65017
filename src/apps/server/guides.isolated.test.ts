import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDev } from './dev-server.lab.ts'
import { runAsRoot, scriptOf } from './guide-shell.lab.ts'

test('the guide on AppRole: its commands, in their order, by a shell', async () => {
  await using server = await startDev()
  const before = 'coffer kv put secret/ci/deploy key=4711'
  const after = 'if COFFER_TOKEN=$(cat token) coffer token lookup; then exit 9; fi'
  const script = [before, scriptOf('approle.md'), after].join('\n')
  const said = await runAsRoot(script, server.address)
  assert.match(said, /^4711/m)
  assert.match(said, /^secret_id_num_uses +1$/m)
})

test('the guide on people with a password: its commands, in their order, by a shell', async () => {
  await using server = await startDev()
  const script = scriptOf('userpass.md')
  const typed = script.replace('username=bob\nPassword (will be hidden):', 'username=bob password=s3cret')
  assert.notEqual(typed, script)
  const said = await runAsRoot(typed, server.address)
  assert.match(said, /"lockout_threshold": 10/)
})
