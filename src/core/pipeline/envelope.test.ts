import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notebook } from '#core/testing/engines.ts'
import { openTestMount } from '#core/testing/mount.ts'

const envelope = ['request_id', 'lease_id', 'renewable', 'lease_duration', 'data', 'wrap_info', 'warnings', 'auth']

test('envelope: every key is there, also those without a value, and the id is that of the header', async () => {
  await using server = await openTestMount(notebook)
  const answer = await server.ask('GET', 'notebook/echo/a')
  const body = answer.body as Record<string, unknown>
  assert.deepEqual(Object.keys(body), [...envelope, 'mount_type'])
  assert.match(String(body['request_id']), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  assert.equal(answer.headers.get('x-coffer-request-id'), body['request_id'])
  const { data: _data, request_id: _id, ...rest } = body
  const empty = { lease_id: '', renewable: false, lease_duration: 0, wrap_info: null, warnings: null, auth: null }
  assert.deepEqual(rest, { ...empty, mount_type: 'notebook' })
  assert.equal(answer.text.at(-1), '\n')
})

const shapes: readonly (readonly [rule: string, ask: string, status: number, want: unknown])[] = [
  ['a write without a word is 204', 'POST shape/empty', 204, null],
  ['a deletion without a word is 204', 'DELETE shape/empty', 204, null],
  ['a read without anything is 404 without errors', 'GET shape/empty', 404, { errors: [] }],
  ['what is missing is 404 without errors', 'POST shape/missing', 404, { errors: [] }],
  ['data may be null', 'GET shape/nothing', 200, { data: null, warnings: null }],
  ['a warning turns 204 into 200', 'POST shape/warned', 200, { data: null, warnings: ['mind the step'] }],
  ['a warning turns 404 into 200', 'GET shape/warned', 200, { data: null, warnings: ['mind the step'] }],
  ['a 404 may carry data', 'GET shape/gone', 404, { data: { metadata: { version: 1 } } }],
  ['a bare body has no envelope', 'GET shape/bare', 202, { a: 1 }],
  ['a raw body keeps its type', 'GET shape/raw', 200, 'hello'],
  [
    'data may stand at the top, too, but over nothing',
    'GET shape/top',
    200,
    { a: 1, data: { a: 1, data: 2, errors: 'x' } },
  ],
]
for (const [rule, ask, status, want] of shapes) {
  test(`envelope: ${rule}`, async () => {
    await using server = await openTestMount(notebook)
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, `notebook/${path}`)
    assert.equal(answer.status, status)
    if (want === null || typeof want === 'string') assert.equal(answer.body, want)
    else assert.partialDeepStrictEqual(answer.body, want)
  })
}

const faults: readonly (readonly [code: string, status: number, errors: readonly string[]])[] = [
  ['request.invalid', 400, ['as asked']],
  ['request.unreadable', 400, []],
  ['permission.denied', 403, ['1 error occurred:\n\t* as asked\n\n']],
  ['permission.bare', 403, ['as asked']],
  ['route.unknown', 404, ['as asked']],
  ['path.unsupported', 404, ['1 error occurred:\n\t* as asked\n\n']],
  ['entry.missing', 404, []],
  ['operation.unsupported', 405, ['1 error occurred:\n\t* as asked\n\n']],
  ['request.precondition', 412, ['as asked']],
  ['request.too_large', 413, ['as asked']],
  ['request.unsupported_media_type', 415, ['as asked']],
  ['quota.exceeded', 429, ['as asked']],
  ['backend.failed', 500, ['1 error occurred:\n\t* as asked\n\n']],
  ['upstream.failed', 502, ['as asked']],
  ['server.unready', 503, ['as asked']],
  ['', 500, ['internal error']],
]
for (const [code, status, errors] of faults) {
  test(`envelope: the fault "${code}" is ${status}, and its reason stays here`, async () => {
    await using server = await openTestMount(notebook)
    const answer = await server.ask('POST', 'notebook/fail', { body: { code } })
    assert.equal(answer.status, status)
    assert.deepEqual(answer.body, { errors })
    assert.equal(answer.headers.get('content-type'), 'application/json')
  })
}

test('envelope: what breaks in a handler is logged with the id of the request, and not told', async () => {
  const lines: string[] = []
  await using server = await openTestMount(notebook, { log: line => lines.push(line) })
  const answer = await server.ask('POST', 'notebook/fail')
  const id = answer.headers.get('x-coffer-request-id')!
  assert.ok(lines.some(line => line.includes(id) && line.includes('the handler is broken')))
  assert.doesNotMatch(answer.text, /broken|\.ts/)
})

const lists: readonly (readonly [rule: string, ask: string, status: number, keys: readonly string[] | null])[] = [
  ['LIST', 'LIST note', 200, ['a', 'b']],
  ['LIST with its slash', 'LIST note/', 200, ['a', 'b']],
  ['GET with list=true', 'GET note?list=true', 200, ['a', 'b']],
  ['GET with list=1', 'GET note/?list=1', 200, ['a', 'b']],
  ['SCAN', 'SCAN note', 200, ['a', 'b']],
  ['GET with scan=true', 'GET note?scan=true', 200, ['a', 'b']],
  ['GET with list=false reads', 'GET note?list=false', 405, null],
  ['GET with another list is unreadable', 'GET note?list=maybe', 400, null],
  ['GET with list and scan is unreadable', 'GET note?list=true&scan=true', 400, null],
]
for (const [rule, ask, status, keys] of lists) {
  test(`listing: ${rule}`, async () => {
    await using server = await openTestMount(notebook)
    for (const name of ['a', 'b']) await server.ask('PUT', `notebook/note/${name}`, { body: { text: 'x' } })
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, `notebook/${path}`)
    assert.equal(answer.status, status)
    if (keys !== null) assert.deepEqual(answer.data, { keys })
    if (status === 400) assert.deepEqual(answer.body, { errors: [] })
  })
}

test('listing: an empty list is 404 without errors, an empty scan is not', async () => {
  await using server = await openTestMount(notebook)
  for (const ask of ['LIST note', 'GET note?list=true'] as const) {
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, `notebook/${path}`)
    assert.deepEqual([answer.status, answer.body], [404, { errors: [] }])
  }
  const scan = await server.ask('SCAN', 'notebook/note')
  assert.deepEqual([scan.status, scan.data], [200, { keys: [] }])
})

test('envelope: unknown fields warn where there is an answer, and leave a 204 alone', async () => {
  await using server = await openTestMount(notebook)
  const body = { text: 'x', zeal: 1, age: 2 }
  assert.equal((await server.ask('POST', 'notebook/note/a', { body })).status, 204)
  const answer = await server.ask('POST', 'notebook/echo/a', { body: { zeal: 1, age: 2, name: 'b' } })
  assert.equal((answer.data as { name: string }).name, 'a')
  assert.deepEqual((answer.body as { warnings: unknown }).warnings, [
    'Endpoint ignored these unrecognized parameters: [age zeal]',
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]",
  ])
})

test('envelope: HELP and ?help answer a bare text to every good token, and to nobody else', async () => {
  await using server = await openTestMount(notebook)
  const token = await server.tokenWith('path "x" { capabilities = ["read"] }')
  for (const ask of ['HELP notebook/note/a', 'GET notebook/note/a?help=1'] as const) {
    const [method = '', path = ''] = ask.split(' ')
    const answer = await server.ask(method, path, { token })
    assert.equal(answer.status, 200)
    assert.deepEqual(Object.keys(answer.body as object), ['help', 'see_also', 'openapi'])
    assert.match((answer.body as { help: string }).help, /A page of the test notebook/)
    assert.equal((await server.ask(method, path, { token: null })).status, 403)
  }
  assert.equal((await server.ask('GET', 'notebook/echo/a?help=')).status, 200)
})
