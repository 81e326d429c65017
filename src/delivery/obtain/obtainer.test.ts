import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '#ground/base/clock.ts'
import { scriptedClient, type ScriptedAnswer, type SentRequest } from '#client/scripted-wire.ts'
import { Obtainer } from './obtainer.ts'
import { gone, kv, order, start, withPw } from './scripted-obtainer.ts'

test('a query of two templates is fetched once', async () => {
  const run = start(() => kv('one'), [withPw, `x${withPw}`])
  await run.advance(10)
  assert.deepEqual(run.texts, ['one', 'xone'])
  assert.deepEqual(run.reads(), ['GET /v1/secret/data/app'])
  await run.obtainer.close()
})

for (const missingKey of ['default', 'error'] as const) {
  test(`before the data is there a field of nothing is no failure: missing keys ${missingKey}`, async () => {
    const run = start(
      () => kv('one'),
      ['{{ (secret "secret/app").Data.data.pw }}'],
      missingKey === 'error' ? { missingKey } : {},
    )
    await run.advance(10)
    assert.deepEqual(run.texts, ['one'])
    assert.deepEqual(run.failures, [])
    await run.obtainer.close()
  })
}

test('a field that the data lacks is written as no value, or fails with its name and writes nothing', async () => {
  const lacking = '{{ with secret "secret/app" }}{{ .Data.data.user }}{{ end }}'
  const lenient = start(() => kv('one'), [lacking])
  await lenient.advance(10)
  assert.deepEqual([lenient.texts, lenient.failures], [['<no value>'], []])
  await lenient.obtainer.close()
  const strict = start(() => kv('one'), [lacking], { missingKey: 'error' })
  await strict.advance(10)
  assert.deepEqual(strict.texts, [])
  assert.equal(strict.failures.length, 1)
  assert.match(strict.failures[0]!, /map has no entry for key "user"/)
  await strict.obtainer.close()
})

test('nothing is written while something is missing, and what is found inside is fetched then', async () => {
  const run = start(
    ({ target }) => (target.endsWith('app') ? kv('next') : kv('inner')),
    [
      '{{ with secret "secret/app" }}{{ with secret (printf "secret/%s" .Data.data.pw) }}{{ .Data.data.pw }}{{ end }}{{ end }}',
    ],
  )
  await run.advance(10)
  assert.deepEqual(run.texts, ['inner'])
  assert.deepEqual(run.reads(), ['GET /v1/secret/data/app', 'GET /v1/secret/data/next'])
  await run.obtainer.close()
})

test('a static value is read again within 85 to 95 % of the interval, and equal data delivers nothing', async () => {
  const run = start(() => kv('one'), [withPw])
  await run.advance(10)
  await run.advance(254_000)
  assert.equal(run.reads().length, 1)
  await run.advance(32_000)
  for (let i = 0; i < 4; i++) await run.advance(1)
  assert.equal(run.reads().length, 2)
  assert.deepEqual(run.texts, ['one'])
  await run.obtainer.close()
})

test('a change that is told delivers the new value at once', async () => {
  let value = 'one'
  const run = start(() => kv(value), [withPw])
  await run.advance(10)
  value = 'two'
  run.obtainer.changed('secret/data/app')
  await run.advance(10)
  assert.deepEqual(run.texts, ['one', 'two'])
  await run.obtainer.close()
})

for (const [rule, path, duration, data, seconds] of [
  ['a short ttl of its own', 'old/app', 60, '{"pw":"one","ttl":"1m"}', 60],
  ['a ttl longer than the interval', 'old/app', 3600, '{"pw":"one","ttl":"1h"}', 300],
  ["the mount's default", 'old/app', 2_764_800, '{"pw":"one"}', 300],
  ['a secret below a folder named data', 'old/data/app', 60, '{"pw":"one","ttl":"1m"}', 60],
] as const) {
  test(`kv version 1 is read by its path and again within its lease_duration: ${rule}`, async () => {
    const secret: ScriptedAnswer = { status: 200, body: `{"lease_id":"","lease_duration":${duration},"data":${data}}` }
    const run = start(() => secret, [`{{ with secret "${path}" }}{{ .Data.pw }} {{ .LeaseDuration }}{{ end }}`])
    await run.advance(10)
    assert.deepEqual(run.texts, [`one ${duration}`])
    assert.deepEqual(run.reads(), [`GET /v1/${path}`])
    await run.advance(seconds * 840)
    assert.equal(run.reads().length, 1)
    await run.advance(seconds * 120)
    assert.equal(run.reads().length, 2)
    await run.obtainer.close()
  })
}

test("the injector's own template shows the keys of a secret of kv version 1", async () => {
  const secret: ScriptedAnswer = { status: 200, body: '{"lease_duration":60,"data":{"ttl":"1m","pw":"one","n":1.0}}' }
  const template = '{{ with secret "old/app" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}'
  const run = start(() => secret, [template])
  await run.advance(10)
  assert.deepEqual(run.texts, ['n: 1.0\npw: one\nttl: 1m\n'])
  await run.obtainer.close()
})

test('a failing read is tried again with a doubling wait, then it is a failure; another try mends it', async () => {
  let isThere = false
  const run = start(() => (isThere ? kv('late') : { status: 404, body: '{"errors":[]}' }), [withPw])
  await run.advance(10)
  assert.equal(run.reads().length, 1)
  await run.advance(250)
  assert.equal(run.reads().length, 2)
  await run.advance(500)
  assert.equal(run.reads().length, 3)
  assert.match(run.failures[0]!, /no secret exists at secret\/data\/app \(exceeded maximum retries\)/)
  await run.advance(600_000)
  assert.equal(run.reads().length, 3)
  isThere = true
  run.obtainer.tryAgain()
  await run.advance(10)
  assert.deepEqual(run.texts, ['late'])
  await run.obtainer.close()
})

test('a secret that is not there yet is watched, and delivered as soon as a notice says that it came', async () => {
  let isThere = false
  const watched: string[][] = []
  const run = start(() => (isThere ? kv('late') : { status: 404, body: '{"errors":[]}' }), [withPw], {
    onPaths: paths => watched.push([...paths]),
  })
  await run.advance(10)
  assert.deepEqual(watched, [['secret/data/app']])
  await run.advance(600_000)
  assert.equal(run.failures.length, 1, 'its tries are used up')
  isThere = true
  run.obtainer.changed('secret/data/other')
  await run.advance(10)
  assert.deepEqual(run.texts, [])
  run.obtainer.changed('secret/data/app')
  await run.advance(10)
  assert.deepEqual(run.texts, ['late'])
  assert.deepEqual(watched.at(-1), ['secret/data/app'])
  await run.obtainer.close()
})

test('a secret that was deleted and comes back is delivered by its notice', async () => {
  let body: ScriptedAnswer = kv('one')
  const run = start(() => body, [withPw])
  await run.advance(10)
  body = { status: 404, body: '{"data":{"data":null,"metadata":{"version":1,"deletion_time":"2026-01-01T00:00:00Z"}}}' }
  run.obtainer.changed('secret/data/app')
  await run.advance(600_000)
  assert.deepEqual(run.texts, ['one'], 'what was written stays')
  body = kv('two')
  run.obtainer.changed('secret/data/app')
  await run.advance(10)
  assert.deepEqual(run.texts, ['one', 'two'])
  await run.obtainer.close()
})

test('a key that a secret lacks is a failure, and mended by the notice of the version that has it', async () => {
  let key = 'other'
  const run = start(
    () => ({ status: 200, body: `{"data":{"data":{"${key}":"x"},"metadata":{"version":1}}}` }),
    [withPw],
    { missingKey: 'error' },
  )
  await run.advance(10)
  assert.match(run.failures.join(), /map has no entry for key "pw"/)
  assert.deepEqual(run.texts, [])
  key = 'pw'
  run.obtainer.changed('secret/data/app')
  await run.advance(10)
  assert.deepEqual(run.texts, ['x'])
  await run.obtainer.close()
})

const preflights = ({ sent }: { sent: readonly SentRequest[] }): number =>
  sent.filter(({ target }) => target.includes('ui/mounts')).length

test('the mount is asked about once for all reads of it, and again after nothing was there', async () => {
  let isThere = true
  const run = start(() => (isThere ? kv('one') : { status: 404, body: '{"errors":[]}' }), [withPw])
  await run.advance(10)
  for (let n = 0; n < 5; n++) {
    run.obtainer.changed('secret/data/app')
    await run.advance(10)
  }
  assert.deepEqual([run.reads().length, preflights(run)], [6, 1])
  isThere = false
  run.obtainer.changed('secret/data/app')
  await run.advance(10)
  isThere = true
  await run.advance(10_000)
  assert.equal(preflights(run), 2)
  await run.obtainer.close()
})

test('a path whose mount is not told to this token is read as it is written', async () => {
  const scripted = scriptedClient(({ target }) => {
    if (target.includes('ui/mounts'))
      return { status: 403, body: '{"errors":["preflight capability check returned 403"]}' }
    return target === '/v1/secret/data/app' ? kv('one') : { status: 404, body: '{"errors":[]}' }
  })
  const texts: string[] = []
  const obtainer = new Obtainer({
    world: scripted.world,
    client: scripted.client.with({ maxRetries: 0 }),
    env: {},
    staticInterval: seconds(300),
    retriesMax: 0,
    onTokenInvalid: () => undefined,
  })
  obtainer.add(order('0', withPw.replace('secret/app', 'secret/data/app'), 'default', texts, []))
  await scripted.world.clock.advance(10)
  assert.deepEqual(texts, ['one'])
  await obtainer.close()
})

test('a write is shared by its arguments in any order, sent again in its time, and not for a notice', async () => {
  let made = 0
  const run = start(
    ({ method }) => {
      assert.equal(method, 'PUT')
      return { status: 200, body: `{"data":{"certificate":"c${++made}"},"lease_duration":0}` }
    },
    [
      '{{ with secret "pki/issue/r" "common_name=a" "ttl=1h" }}{{ .Data.certificate }}{{ end }}',
      '{{ with secret "pki/issue/r" "ttl=1h" "common_name=a" }}key of {{ .Data.certificate }}{{ end }}',
    ],
  )
  await run.advance(10)
  assert.deepEqual(run.texts.toSorted(), ['c1', 'key of c1'])
  run.obtainer.changed(null)
  await run.advance(10)
  assert.equal(made, 1, 'asking again would make another')
  await run.advance(300_000)
  for (let n = 0; n < 4; n++) await run.advance(1)
  assert.equal(made, 2)
  await run.obtainer.close()
})

test('a mount that became version 2 is read as such by the next try', async () => {
  let version = '1'
  const scripted = scriptedClient(({ target }) => {
    if (target.includes('ui/mounts')) {
      return { status: 200, body: `{"data":{"path":"secret/","options":{"version":"${version}"}}}` }
    }
    if (target === '/v1/secret/data/app' && version === '2') return kv('two')
    if (target === '/v1/secret/app' && version === '1') return { status: 200, body: '{"data":{"pw":"one"}}' }
    return { status: 404, body: '{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}' }
  })
  const texts: string[] = []
  const obtainer = new Obtainer({
    world: scripted.world,
    client: scripted.client.with({ maxRetries: 0 }),
    env: {},
    staticInterval: seconds(300),
    retriesMax: 2,
    onTokenInvalid: () => undefined,
  })
  const either =
    '{{ with secret "secret/app" }}{{ if .Data.data }}{{ .Data.data.pw }}{{ else }}{{ .Data.pw }}{{ end }}{{ end }}'
  obtainer.add(order('0', either, 'default', texts, []))
  await scripted.world.clock.advance(10)
  version = '2'
  obtainer.changed(null)
  for (let tick = 0; tick < 4; tick++) await scripted.world.clock.advance(2_500)
  assert.deepEqual(texts, ['one', 'two'])
  await obtainer.close()
})

test('a token that nobody knows is told, a refusal by policy is not', async () => {
  const run = start(() => gone, [withPw])
  await run.advance(10)
  assert.equal(run.invalid(), 1)
  await run.obtainer.close()
  const denied = start(
    () => ({ status: 403, body: '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}' }),
    [withPw],
  )
  await denied.advance(10)
  assert.equal(denied.invalid(), 0)
  await denied.obtainer.close()
})

test('a template that can not be parsed is a failure with its place, without values', async () => {
  const run = start(() => kv('one'), ['{{ nofunction }}'])
  await run.advance(10)
  assert.match(run.failures[0]!, /nofunction/)
  await run.obtainer.close()
})
