import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originalDefaults } from './defaults.ts'
import { companionPrefixes, readSecretFiles } from './secrets.ts'
import { prefix, readSettings } from './table.ts'
import { annotationWarnings } from './warnings.ts'

const defaults = { ...originalDefaults, address: 'https://coffer:8200', caCertBytes: '', image: 'coffer:1' }

function warningsOf(annotations: Record<string, string>): readonly string[] {
  const pod = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [prefix + name, value]))
  return annotationWarnings(pod, readSecretFiles(pod, readSettings(pod, defaults))).map(text =>
    text.replaceAll(prefix, ''),
  )
}

const secret = { 'agent-inject-secret-db': 'secret/data/app/db' }

test('a companion of a secret, a template or a template file is not warned of', () => {
  for (const claim of ['agent-inject-secret-', 'agent-inject-template-', 'agent-inject-template-file-']) {
    for (const companion of companionPrefixes) {
      assert.deepEqual(warningsOf({ [`${claim}DB`]: 'x', [`${companion}DB`]: 'true' }), [], `${companion} of ${claim}`)
    }
  }
})

for (const [rule, annotations, warning] of [
  [
    'another name, without a guess',
    { 'error-on-missing-key-cache': 'true' },
    'annotation error-on-missing-key-cache changes nothing: no secret or template has the name "cache"',
  ],
  [
    'another case, which is another name',
    { 'error-on-missing-key-DB': 'true' },
    'annotation error-on-missing-key-DB changes nothing: no secret or template has the name "DB"; did you mean error-on-missing-key-db?',
  ],
  [
    'a value that would be denied for a secret',
    { 'error-on-missing-key-cache': 'yes' },
    'annotation error-on-missing-key-cache changes nothing: no secret or template has the name "cache"',
  ],
  [
    'a secret that is blank and passed over',
    { 'agent-inject-secret-cache': ' ', 'agent-inject-perms-cache': '0400' },
    'annotation agent-inject-perms-cache changes nothing: no secret or template has the name "cache"',
  ],
  [
    'no name behind the hyphen',
    { 'error-on-missing-key-': 'true' },
    'annotation error-on-missing-key- changes nothing: no secret or template has the name ""',
  ],
  [
    'no name at all',
    { 'error-on-missing-key': 'true' },
    'annotation error-on-missing-key changes nothing without the name of a secret at its end; did you mean error-on-missing-key-db?',
  ],
  [
    'a slip before the name',
    { 'error-on-mising-key-db': 'true' },
    'annotation error-on-mising-key-db is not supported and changes nothing; did you mean error-on-missing-key-db?',
  ],
] as const) {
  test(`warned of: ${rule}`, () => {
    assert.deepEqual(warningsOf({ ...secret, ...annotations }), [warning])
  })
}

test('what stands for the whole pod needs no secret', () => {
  assert.deepEqual(warningsOf({ 'secret-volume-path': '/x', 'preserve-secret-case': 'true' }), [])
})
