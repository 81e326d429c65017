import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const read: readonly (readonly [rule: string, text: string, headers: Record<string, string>, want: object])[] = [
  ['JSON, whatever the Content-Type says', '{"word":"x"}', { 'Content-Type': 'text/plain' }, { word: 'x' }],
  ['JSON that curl calls a form', ' \n{"word":"x"}', form, { word: 'x' }],
  ['a form', 'word=a+b%26&count=2', form, { word: 'a b&', count: 2 }],
  ['a key that a form repeats is joined with commas', 'word=a&word=b', form, { word: 'a,b' }],
  ['nothing', '', {}, { word: '', count: 0 }],
  ['blanks', ' \n', {}, { word: '' }],
  ['null', 'null', {}, { word: '' }],
  ['only the first JSON value', '{"word":"x"}{"word":"y"}', {}, { word: 'x' }],
  ['the last of doubled keys', '{"word":"x","word":"y"}', {}, { word: 'y' }],
  ['keys by their case', '{"Word":"x"}', {}, { word: '' }],
  ['null as absent', '{"word":null}', {}, { word: '' }],
  ['a number as text', '{"word":1.50}', {}, { word: '1.50' }],
  ['true as text', '{"word":true}', {}, { word: 'true' }],
  ['text as a number', '{"count":"5"}', {}, { count: 5 }],
  ['words as truth', '{"flag":"1"}', {}, { flag: true }],
  ['one text as a list', '{"names":"a,b"}', {}, { names: ['a,b'] }],
  ['a list', '{"names":["a",1]}', {}, { names: ['a', '1'] }],
]
for (const [rule, text, headers, want] of read) {
  test(`body: ${rule} is read`, async () => {
    await using server = await openTestMount(notebook)
    const answer = await server.ask('POST', 'notebook/echo/a', { text, headers })
    assert.equal(answer.status, 200)
    assert.partialDeepStrictEqual(answer.data, want)
  })
}

test('body: numbers come back as they were written', async () => {
  await using server = await openTestMount(notebook)
  for (const literal of ['12345678901234567890', '1.0', '1e400', '-0', '0.1000', '1E+2']) {
    const { text } = await server.ask('POST', 'notebook/echo/a', { text: `{"tree":{"n":[${literal}]}}` })
    assert.ok(text.includes(`"tree":{"n":[${literal}]}`), `${literal}: ${text}`)
  }
})

const refused: readonly (readonly [rule: string, text: string, status: number, error: RegExp])[] = [
  ['a list', '[]', 400, /^failed to decode JSON input: /],
  ['a bare text', '"x"', 400, /^failed to decode JSON input: /],
  ['broken JSON', '{"word":', 400, /^failed to decode JSON input: /],
  [
    'JSON that is too deep',
    `{"tree":${'['.repeat(600)}${']'.repeat(600)}}`,
    400,
    /^refused JSON input due to high complexity: /,
  ],
  [
    'a list that is too long',
    `{"tree":[${'0,'.repeat(10_001)}0]}`,
    400,
    /^refused JSON input due to high complexity: /,
  ],
  [
    'a text that is too long',
    `{"word":"${'x'.repeat(1_048_577)}"}`,
    400,
    /^refused JSON input due to high complexity: /,
  ],
  ['a word for a number', '{"count":"x"}', 400, /^Field validation failed: error converting input for field "count"/],
  ['a word for truth', '{"flag":"maybe"}', 400, /^Field validation failed: error converting input for field "flag"/],
  ['a list for a text', '{"word":["x"]}', 400, /^Field validation failed: error converting input for field "word"/],
  ['a text for a map', '{"box":"x"}', 400, /^Field validation failed: error converting input for field "box"/],
  ['more than the bound', 'x'.repeat(3_000_000), 413, /^http: request body too large$/],
]
for (const [rule, text, status, error] of refused) {
  test(`body: ${rule} is refused`, async () => {
    await using server = await openTestMount(notebook, { settings: { requestBytesMax: 2_000_000 } })
    const answer = await server.ask('POST', 'notebook/echo/a', { text })
    assert.equal(answer.status, status)
    assert.match(answer.errors[0] ?? '', error)
  })
}

test('body: what can not be read is not repeated in the error', async () => {
  await using server = await openTestMount(notebook)
  for (const text of [
    '{"word":"canary-1", ',
    '{"canary-1"}',
    '["canary-1"]',
    '{"box":"canary-1"}',
    '{"word":["canary-1"]}',
  ]) {
    const answer = await server.ask('POST', 'notebook/echo/a', { text })
    assert.equal(answer.status, 400)
    assert.doesNotMatch(answer.text, /canary/)
  }
})

test('body: a deletion and a read take their parameters from the query alone', async () => {
  await using server = await openTestMount(notebook)
  for (const method of ['DELETE', 'GET']) {
    const answer = await server.ask(method, 'notebook/echo/a?count=7&names=a&names=b', {
      text: '{"count":1,"word":"x"}',
    })
    assert.partialDeepStrictEqual(answer.data, { count: 7, word: '', names: ['a', 'b'] })
  }
})

const patches: readonly (readonly [type: string | null, status: number, text: RegExp])[] = [
  ['application/merge-patch+json', 204, /^$/],
  ['application/merge-patch+json; charset=utf-8', 204, /^$/],
  [
    'application/json',
    415,
    /^PATCH requires Content-Type of application\/merge-patch\+json, provided application\/json$/,
  ],
  [null, 400, /Content-Type/],
]
for (const [type, status, text] of patches) {
  test(`body: PATCH with ${type ?? 'no Content-Type'} is ${status}`, async () => {
    await using server = await openTestMount(notebook)
    const headers: Record<string, string> = type === null ? {} : { 'Content-Type': type }
    const answer = await server.ask('PATCH', 'notebook/note/a', { body: { text: 'x' }, headers })
    assert.equal(answer.status, status)
    assert.match(answer.errors.join(), text)
  })
}

const paths: readonly (readonly [rule: string, ask: string, text: string])[] = [
  ['a write to a folder', 'POST notebook/echo/', "cannot write to a path ending in '/'"],
  ['an empty segment', 'GET notebook//echo', 'relative paths not supported'],
  ['a leading slash', 'GET /notebook/echo', 'relative paths not supported'],
  ['a dot segment', 'GET notebook/./echo', 'relative paths not supported'],
  ['an encoded dot segment', 'GET notebook/%2e%2e/sys/mounts', 'relative paths not supported'],
  ['a dot segment at the end', 'GET notebook/echo/..', 'relative paths not supported'],
  ['what can not be printed', 'GET notebook/echo/%00', 'the path holds characters that can not be printed'],
  ['a broken encoding', 'GET notebook/echo/%zz', 'the path has a broken percent-encoding'],
]
for (const [rule, ask, text] of paths) {
  test(`path: ${rule} is refused, not cleaned`, async () => {
    await using server = await openTestMount(notebook)
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, path)
    assert.deepEqual([answer.status, answer.errors], [400, [text]])
  })
}

test('path: an encoded slash is a slash, for the policy as for the engine', async () => {
  await using server = await openTestMount(notebook)
  const token = await server.tokenWith('path "notebook/echo/a" { capabilities = ["read"] }')
  const answer = await server.ask('GET', 'notebook%2Fecho%2Fa', { token })
  assert.deepEqual([answer.status, (answer.data as { name: string }).name], [200, 'a'])
})
