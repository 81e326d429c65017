import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayBase, parseAddress } from './address.ts'

for (const [text, want] of [
  [
    'https://vault:8200',
    { kind: 'tcp', isTls: true, host: 'vault', port: 8200, basePath: '', text: 'https://vault:8200' },
  ],
  [
    'http://[::1]:8200/',
    { kind: 'tcp', isTls: false, host: '::1', port: 8200, basePath: '', text: 'http://[::1]:8200' },
  ],
  ['https://vault', { kind: 'tcp', isTls: true, host: 'vault', port: 443, basePath: '', text: 'https://vault' }],
  ['https://a/b/', { kind: 'tcp', isTls: true, host: 'a', port: 443, basePath: '/b', text: 'https://a/b' }],
  ['unix:///run/agent.sock', { kind: 'unix', path: '/run/agent.sock', text: 'unix:///run/agent.sock' }],
  [
    'kube://coffer/coffer',
    { kind: 'kube', namespace: 'coffer', service: 'coffer', port: null, text: 'kube://coffer/coffer' },
  ],
  ['kube://ns/svc:8200', { kind: 'kube', namespace: 'ns', service: 'svc', port: '8200', text: 'kube://ns/svc:8200' }],
  [
    'kube://ns/svc:https',
    { kind: 'kube', namespace: 'ns', service: 'svc', port: 'https', text: 'kube://ns/svc:https' },
  ],
] as const) {
  test(`address ${text}`, () => assert.deepEqual(parseAddress(text), want))
}

for (const [text, reason] of [
  ['vault:8200', /unsupported protocol scheme|is not a URL/],
  ['ftp://vault', /unsupported protocol scheme "ftp"/],
  ['unix://relative', /unix:\/\/\/absolute/],
  ['kube://only', /kube:\/\/namespace\/service/],
  ['kube://NS/svc', /kube:\/\/namespace\/service/],
  ['https://user:pass@vault', /user name or password/],
  ['', /is not a URL/],
] as const) {
  test(`address ${text || '(empty)'} is refused`, () => {
    assert.throws(() => parseAddress(text), { name: 'AddressError', message: reason })
  })
}

test('a refused address with a password does not repeat it', () => {
  assert.throws(
    () => parseAddress('https://u:hunter2@vault'),
    error => !(error as Error).message.includes('hunter2'),
  )
})

test('requests over a unix socket read as the Go client prints them', () => {
  assert.equal(displayBase(parseAddress('unix:///run/a.sock')), 'http://localhost')
})
