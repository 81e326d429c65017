import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NumberLiteral, RawJson } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { parseEnvelope, renderEnvelope, renderErrors } from './envelope.ts'

test('an envelope comes back as it was rendered', () => {
  const body = renderEnvelope({
    requestId: 'r-1',
    leaseDuration: 2764800,
    data: new RawJson('{"n":1.0,"s":"a\\u003cb"}'),
    warnings: ['careful'],
    mountType: 'kv',
  })
  assert.equal(
    body,
    '{"request_id":"r-1","lease_id":"","renewable":false,"lease_duration":2764800,"data":{"n":1.0,"s":"a\\u003cb"},' +
      '"wrap_info":null,"warnings":["careful"],"auth":null,"mount_type":"kv"}\n',
  )
  const read = parseEnvelope(parseJson(body))
  assert.equal(read?.leaseDuration, 2764800)
  assert.deepEqual(read?.warnings, ['careful'])
  assert.deepEqual(read?.data?.['n'], new NumberLiteral('1.0'))
})

test('keys at top level never replace the envelope itself', () => {
  const body = renderEnvelope({ requestId: 'r', data: { keys: ['a'] }, topLevel: { keys: ['a'], data: 'x', auth: 1 } })
  assert.deepEqual(JSON.parse(body).keys, ['a'])
  assert.deepEqual(JSON.parse(body).data, { keys: ['a'] })
  assert.equal(JSON.parse(body).auth, null)
})

test('a body without an envelope is taken whole as data', () => {
  const read = parseEnvelope({ initialized: true, sealed: false })
  assert.deepEqual(read?.data, { initialized: true, sealed: false })
})

for (const [rule, body] of [
  ['errors alone say nothing', { errors: [] }],
  ['an empty object says nothing', {}],
  ['a list is no envelope', []],
  ['null is no envelope', null],
] as const) {
  test(rule, () => assert.equal(parseEnvelope(body), null))
}

test('a login is read with its token hidden', () => {
  const read = parseEnvelope({
    request_id: 'r',
    auth: {
      client_token: 'hvs.x',
      policies: ['default'],
      lease_duration: 60,
      renewable: true,
      metadata: { role: 'app' },
    },
  })
  assert.equal(read?.auth?.clientToken.reveal('test'), 'hvs.x')
  assert.ok(!JSON.stringify(read).includes('hvs.x'))
  assert.deepEqual(read?.auth?.metadata, { role: 'app' })
  assert.equal(read?.auth?.identityPolicies, null)
})

test('errors are never null and may carry data', () => {
  assert.equal(renderErrors([]), '{"errors":[]}\n')
  assert.equal(renderErrors(['a'], { b: 1 }), '{"errors":["a"],"data":{"b":1}}\n')
})
