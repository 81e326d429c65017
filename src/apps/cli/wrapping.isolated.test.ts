import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { doorman } from '#core/testing/engines.ts'
import { type RealServer, startReal } from '#core/testing/real-server.ts'
import { kvV1 } from '#engines/kv/v1/engine.ts'
import { kvV2 } from '#engines/kv/v2/engine.ts'
import { cliCommand } from './command.ts'
import { type Run, runCommand } from './stub-server.ts'

// Against the server itself: what is wrapped must be what comes out.

let real: RealServer

before(async () => {
  real = await startReal([kvV1, kvV2, doorman()])
  for (const line of ['secrets enable -path=secret -version=2 kv', 'secrets enable -path=old -version=1 kv'])
    await ok(line)
  await ok('kv put secret/app user=bob password=p1')
  await ok('kv put secret/app user=bob password=p2')
  await ok('kv put old/app user=bob')
})
after(() => real[Symbol.asyncDispose]())

type Given = { readonly env?: Readonly<Record<string, string>>; readonly input?: string }

async function run(line: string, { env, input }: Given = {}): Promise<Run> {
  const [name = '', ...argv] = line.split(' ')
  const all = { VAULT_ADDR: real.address, VAULT_TOKEN: real.rootToken, HOME: '/nonexistent', ...env }
  return runCommand(cliCommand(name), argv, { env: all, ...(input !== undefined && { input }) })
}

async function ok(line: string, given: Given = {}): Promise<string> {
  const { code, stdout, stderr } = await run(line, given)
  assert.equal(code, 0, `${line}: ${stderr}`)
  return stdout
}

const tokenIn = (table: string): string => /^wrapping_token: +(\S+)$/m.exec(table)?.[1] ?? ''

test('-wrap-ttl prints where the answer lies, and unwrap prints what it was', async () => {
  const out = await ok('kv get -wrap-ttl=2m secret/app')
  assert.match(
    out,
    /^Key +Value\n--- +-----\nwrapping_token: +hvs\.\w+\nwrapping_accessor: +\w+\nwrapping_token_ttl: +2m\nwrapping_token_creation_time: +2026-01-01 00:00:00 \+0000 UTC\nwrapping_token_creation_path: +secret\/data\/app\n$/,
  )
  assert.match(await ok(`unwrap ${tokenIn(out)}`), /^Key +Value\n--- +-----\ndata +map\[password:p2 user:bob\]\n/)
  const again = await run(`unwrap ${tokenIn(out)}`)
  assert.equal(again.code, 2)
  assert.match(again.stderr, /\* wrapping token is not valid or does not exist/)
})

for (const [line, inner] of [
  ['read secret/data/app', 'data'],
  ['read -wrap-ttl=60 old/app', 'user'],
  ['kv put secret/other a=b', 'version'],
  ['kv patch secret/app user=eve', 'version'],
  ['kv patch -method=rw secret/app user=eve', 'version'],
  ['kv rollback -version=1 secret/app', 'version'],
  ['kv get -version=1 secret/app', 'data'],
  ['kv get old/app', 'user'],
  ['kv metadata get secret/app', 'current_version'],
  ['token create -policy=default', 'token'],
  ['token lookup', 'policies'],
  ['write auth/token/create policies=default', 'token_policies'],
  ['write sys/wrapping/wrap a=b', 'a'],
  ['lease count', 'lease_count'],
  ['lease list -irrevocable', 'lease_count'],
  ['lease forecast', 'mounts'],
] as const) {
  test(`VAULT_WRAP_TTL wraps the answer of "${line}"`, async () => {
    const out = await ok(line, { env: { VAULT_WRAP_TTL: '60' } })
    assert.notEqual(await ok(`unwrap -field=${inner} ${tokenIn(out)}`), '')
  })
}

for (const line of ['kv list secret', 'list secret/metadata', 'list auth/token/accessors']) {
  test(`VAULT_WRAP_TTL wraps the keys of "${line}"`, async () => {
    const out = await ok(line, { env: { VAULT_WRAP_TTL: '60' } })
    assert.match(await ok(`unwrap ${tokenIn(out)}`), /^Keys\n----\n/)
  })
}

for (const [line, want] of [
  ['kv put old/x a=b', 'Success! Data written to: old/x\n'],
  ['status', /^Key +Value\n--- +-----\nSeal Type/],
  ['secrets enable -path=y kv', 'Success! Enabled the kv secrets engine at: y/\n'],
  ['delete old/none', 'Success! Data deleted (if it existed) at: old/none\n'],
] as const) {
  test(`VAULT_WRAP_TTL changes nothing of "${line}"`, async () => {
    const out = await ok(line, { env: { VAULT_WRAP_TTL: '60' } })
    if (typeof want === 'string') assert.equal(out, want)
    else assert.match(out, want)
  })
}

test('-format=json and yaml show wrap_info; -field prints one of it', async () => {
  const json = JSON.parse(await ok('kv get -wrap-ttl=60 -format=json secret/app')) as { wrap_info: { token: string } }
  assert.deepEqual(Object.keys(json.wrap_info), [
    'token',
    'accessor',
    'ttl',
    'creation_time',
    'creation_path',
    'wrapped_accessor',
  ])
  const document = JSON.parse(await ok(`unwrap -format=json ${json.wrap_info.token}`)) as { data: { data: object } }
  assert.equal((document.data.data as { user: string }).user.length, 3)
  assert.match(await ok('read -wrap-ttl=60 -format=yaml secret/data/app'), /\nwrap_info:\n {2}accessor: \w+\n/)
  const token = await ok('kv get -wrap-ttl=60 -field=wrapping_token secret/app')
  assert.match(token, /^hvs\.\w{24}$/)
  assert.equal(await ok('kv get -wrap-ttl=1h -field=wrapping_token_ttl secret/app'), '3600')
})

const wrapped = (): Promise<string> => ok('write -wrap-ttl=60 -field=wrapping_token sys/wrapping/wrap a=b')

for (const [rule, make] of [
  ['as VAULT_TOKEN', token => ['unwrap -field=a', { env: { VAULT_TOKEN: token, VAULT_WRAP_TTL: '60' } }]],
  ['from stdin', token => ['unwrap -field=a -', { input: `${token}\n` }]],
  ['as the argument', token => [`unwrap -field=a ${token}`, {}]],
  ['as the argument, with no other token', token => [`unwrap -field=a ${token}`, { env: { VAULT_TOKEN: '' } }]],
  ['as both', token => [`unwrap -field=a ${token}`, { env: { VAULT_TOKEN: token } }]],
] as readonly [string, (token: string) => [string, Given]][]) {
  test(`unwrap takes the wrapping token ${rule}`, async () => {
    const [line, given] = make(await wrapped())
    assert.equal(await ok(line, given), 'b')
  })
}

test('unwrap - wants a token on stdin', async () => {
  const { code, stderr } = await run('unwrap -', { input: '\n' })
  assert.deepEqual([code, stderr], [1, 'No wrapping token on stdin\n'])
})

test('write sys/wrapping/wrap wraps for five minutes unless told otherwise', async () => {
  assert.equal(await ok('write -field=wrapping_token_ttl sys/wrapping/wrap a=b'), '300')
  assert.equal(await ok('write -wrap-ttl=1m -field=wrapping_token_ttl sys/wrapping/wrap a=b'), '60')
})

test('unwrap shows a wrapped login, and -output-curl-string asks for the wrapping', async () => {
  await ok('auth enable -path=doorman doorman')
  const out = await ok('write -wrap-ttl=60 auth/doorman/login name=bob token_policies=p')
  assert.match(out, /\nwrapped_accessor: +\w{24}\n$/)
  assert.match(await ok(`unwrap ${tokenIn(out)}`), /\ntoken_policies +\["default" "p"\]\n/)
  assert.match(await ok('kv get -output-curl-string -wrap-ttl=5m secret/app'), /-H "X-Vault-Wrap-TTL: 5m0s"/)
})
