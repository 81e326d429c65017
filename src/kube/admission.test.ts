import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headersOf } from '#ground/http/headers.ts'
import { BodyError, type HttpRequest, type HttpResponse } from '#ground/http/message.ts'
import { admissionHandler, answerReview, firstOf, parseAdmissionReview } from './admission.ts'

const review = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'u', object: { metadata: { name: 'p' } } },
}
const bytes = (text: string): Uint8Array => Buffer.from(text)

const request = (body: string, more: { path?: string; contentType?: string } = {}): HttpRequest => ({
  method: 'POST',
  path: more.path ?? '/mutate',
  query: 'timeout=5s',
  headers: headersOf([['content-type', more.contentType ?? 'application/json']]),
  body: {
    length: body.length,
    bytes: limit => {
      if (body.length > limit) throw new BodyError('too-large', `the body is larger than ${limit} bytes`)
      return bytes(body)
    },
    stream: () => {
      throw new Error('not read so')
    },
  },
  peer: { transport: 'tcp', address: '127.0.0.1', port: 1, tls: null },
  signal: new AbortController().signal,
})

const errors: unknown[] = []
const handler = firstOf(
  admissionHandler(
    {
      '/mutate': asked => ({
        isAllowed: true,
        patch: [{ op: 'add', path: '/a', value: asked.request.object?.metadata?.name }],
      }),
      '/deny': () => ({ isAllowed: false, message: 'no', warnings: ['one\ntwo'] }),
      '/broken': () => {
        throw new Error('secret detail')
      },
    },
    error => errors.push(error),
  ),
)
const ask = async (...args: Parameters<typeof request>): Promise<HttpResponse> =>
  (await handler(request(...args))) as HttpResponse
const response = (answer: HttpResponse): unknown => JSON.parse(answer.body as string).response

test('an admission review is matched by path whatever its query, and its patch goes back in base64', async () => {
  const answer = await ask(JSON.stringify(review))
  assert.equal(answer.status, 200)
  const patch = Buffer.from('[{"op":"add","path":"/a","value":"p"}]').toString('base64')
  assert.deepEqual(response(answer), { uid: 'u', allowed: true, patch, patchType: 'JSONPatch' })
})

test('a denial carries its message and, unless given, neither code nor reason', async () => {
  const answer = await ask(JSON.stringify(review), { path: '/deny' })
  assert.deepEqual(response(answer), { uid: 'u', allowed: false, status: { message: 'no' }, warnings: ['one two'] })
  const parsed = parseAdmissionReview(bytes(JSON.stringify(review)))
  const withCode = JSON.parse(answerReview(parsed, { isAllowed: false, message: 'm', code: 422, reason: 'Invalid' }))
  assert.deepEqual(withCode.response.status, { message: 'm', code: 422, reason: 'Invalid' })
})

test('an empty patch is no patch', () => {
  const parsed = parseAdmissionReview(bytes(JSON.stringify(review)))
  assert.deepEqual(JSON.parse(answerReview(parsed, { isAllowed: true, patch: [] })).response, {
    uid: 'u',
    allowed: true,
  })
})

const shapes: readonly (readonly [rule: string, body: string, apiVersion: string, kind: string, uid: unknown])[] = [
  [
    'v1beta1 is echoed',
    '{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"x"}}',
    'admission.k8s.io/v1beta1',
    'AdmissionReview',
    'x',
  ],
  ['any kind is echoed', '{"apiVersion":"a/b","kind":"C","request":{}}', 'a/b', 'C', ''],
  ['absent apiVersion and kind are answered as v1', '{"request":{}}', 'admission.k8s.io/v1', 'AdmissionReview', ''],
  ['of two uids the last counts', '{"request":{"uid":"a","uid":"b"}}', 'admission.k8s.io/v1', 'AdmissionReview', 'b'],
  ['a byte order mark is skipped', '\uFEFF{"request":{}}', 'admission.k8s.io/v1', 'AdmissionReview', ''],
  [
    'a depth of 9,000 passes',
    `{"request":{"object":{"a":${'['.repeat(8_990)}${']'.repeat(8_990)}}}}`,
    'admission.k8s.io/v1',
    'AdmissionReview',
    '',
  ],
]

for (const [rule, body, apiVersion, kind, uid] of shapes) {
  test(`an admission review: ${rule}`, () => {
    const answer = JSON.parse(answerReview(parseAdmissionReview(bytes(body)), { isAllowed: true }))
    assert.deepEqual([answer.apiVersion, answer.kind, answer.response.uid], [apiVersion, kind, uid])
  })
}

const refusals: readonly (readonly [
  rule: string,
  body: string,
  more: Parameters<typeof request>[1],
  status: number,
  text: RegExp,
])[] = [
  ['an empty body', '', {}, 400, /^Empty request body$/m],
  [
    'a content type with charset',
    '{}',
    { contentType: 'application/json; charset=utf-8' },
    400,
    /^Invalid content-type: "application\/json; charset=utf-8"$/m,
  ],
  ['no content type', '{}', { contentType: '' }, 400, /^Invalid content-type: ""$/m],
  ['no JSON', '{', {}, 500, /^error decoding admission request: /],
  ['null', 'null', {}, 500, /^error decoding admission request: not an AdmissionReview/],
  ['a missing request', '{}', {}, 500, /request is missing/],
  ['a null request', '{"request":null}', {}, 500, /request is missing/],
  ['a depth of 20,000', `{"request":{"object":${'['.repeat(20_000)}}}`, {}, 500, /exceeded max depth/],
  ['more than 8 MiB', ' '.repeat(8 * 1024 * 1024 + 1), {}, 413, /larger than/],
  ['another path', '{}', { path: '/mutate/' }, 404, /not found/],
  ['a path that every object has', '{}', { path: 'constructor' }, 404, /not found/],
]

for (const [rule, body, more, status, text] of refusals) {
  test(`an admission request is refused: ${rule}`, async () => {
    const answer = await ask(body, more)
    assert.equal(answer.status, status)
    assert.match(answer.body as string, text)
  })
}

test('what a route throws is told to us and not to the caller', async () => {
  const answer = await ask(JSON.stringify(review), { path: '/broken' })
  assert.deepEqual([answer.status, answer.body], [500, 'internal error\n'])
  assert.match(String(errors.at(-1)), /secret detail/)
})
