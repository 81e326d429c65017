import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAgentConfig } from '#delivery/agent-config/read.ts'
import { agentJson } from './agent-json.ts'
import { type InjectorDefaults, originalDefaults } from './defaults.ts'
import { readSecretFiles } from './secrets.ts'
import { prefix, readSettings } from './table.ts'

// @source vault-k8s agent-inject/agent/config.go: the members' order

const defaults: InjectorDefaults = {
  ...originalDefaults,
  address: 'https://coffer.coffer.svc:8200',
  caCertBytes: '',
  image: 'localhost/coffer:0.1.0',
}

function jsonOf(annotations: Record<string, string>, isInit = true): string {
  const pod = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [prefix + name, value]))
  const settings = readSettings(pod, defaults)
  const files = readSecretFiles(pod, settings)
  return agentJson({ settings, defaults, files, tokenPath: '/token', isInit, handsOver: true, revokesAfter: 7 })
}

const full = {
  role: 'app',
  'agent-inject-secret-db': 'secret/data/app/db',
  'agent-inject-perms-db': '0400',
  'agent-inject-command-db': 'kill -HUP 1',
  'agent-template-left-delim-db': '[[',
  'error-on-missing-key-db': 'true',
}

test("the members of a template stand in the original's order", () => {
  const membersOf = (annotations: Record<string, string>): string[] => {
    const { template } = JSON.parse(jsonOf(annotations)) as { template: [object] }
    return Object.keys(template[0])
  }
  const delimiters = ['left_delimiter', 'right_delimiter']
  assert.deepEqual(membersOf(full), [
    'destination',
    'contents',
    ...delimiters,
    'command',
    'perms',
    'error_on_missing_key',
  ])
  assert.deepEqual(membersOf({ ...full, 'agent-inject-template-file-db': '/t.ctmpl' }), [
    'destination',
    ...delimiters,
    'command',
    'source',
    'perms',
    'error_on_missing_key',
  ])
})

for (const isInit of [true, false]) {
  test(`the ${isInit ? 'init' : 'staying'} agent takes its configuration without a warning, and does what it says`, () => {
    const { config, warnings } = readAgentConfig([{ name: 'config.json', text: jsonOf(full, isInit) }], true)
    assert.deepEqual(warnings, [])
    assert.equal(config.exitAfterAuth, isInit)
    const [template] = config.templates
    assert.equal(template?.destination, '/vault/secrets/db')
    assert.equal(template?.perms, 0o400)
    assert.deepEqual(template?.delimiters, ['[[', '}}'])
    assert.equal(template?.exec?.command[0], 'kill -HUP 1')
    assert.equal(template?.errorOnMissingKey, true)
    assert.deepEqual([config.revokeOnShutdown, config.revokeGrace], [true, 7])
  })
}
