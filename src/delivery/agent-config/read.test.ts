import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HclError } from '#ground/hcl/tree.ts'
import { AgentConfigError, readAgentConfig } from './read.ts'

const read = (text: string, isStrict = false) => readAgentConfig([{ name: 'agent.hcl', text }], isStrict)

const method = 'method "kubernetes" { config = { role = "app" } }'
const sink = 'sink "file" { config = { path = "/t" } }'
const login = `auto_auth { ${method}\n ${sink} }`

const hcl = `
pid_file = "/home/vault/.pid"
exit_after_auth = "true"
log_level = "DEBUG"
vault { address = "https://vault:8200" ca_cert = "/ca.pem" retry { num_retries = -1 } }
auto_auth {
  method { type = "kubernetes" mount_path = "auth/k8s/" config { role = "app" token_path = "/jwt" } }
  sink { type = "file" config { path = "/home/vault/.vault-token" mode = 0600 uid = -1 gid = 1000 } }
}
template { source = "/t.ctmpl" destination = "/out" perms = "0640" left_delimiter = "<%" right_delimiter = "%>" }
template_config { exit_on_retry_failure = true static_secret_render_interval = "1m" }
handover { path = "/vault/handover" }
`

const json = JSON.stringify({
  pid_file: '/home/vault/.pid',
  exit_after_auth: true,
  log_level: 'debug',
  vault: { address: 'https://vault:8200', ca_cert: '/ca.pem', retry: { num_retries: -1 } },
  auto_auth: {
    method: { type: 'kubernetes', mount_path: 'auth/k8s', config: { role: 'app', token_path: '/jwt' } },
    sink: { type: 'file', config: { path: '/home/vault/.vault-token', mode: 0o600, uid: -1, gid: 1000 } },
  },
  template: [{ source: '/t.ctmpl', destination: '/out', perms: '0640', left_delimiter: '<%', right_delimiter: '%>' }],
  template_config: { exit_on_retry_failure: 'true', static_secret_render_interval: 60 },
  handover: { path: '/vault/handover' },
})

test('HCL and JSON say the same, blocks as objects or lists, booleans as text too', () => {
  const { config, warnings } = read(hcl)
  assert.deepEqual(read(json).config, config)
  assert.deepEqual(warnings, [])
  assert.deepEqual(config.method, {
    type: 'kubernetes',
    mountPath: 'auth/k8s',
    namespace: null,
    minBackoff: 1,
    maxBackoff: 300,
    exitOnErr: false,
    role: 'app',
    tokenPath: '/jwt',
  })
  assert.deepEqual(config.sinks, [{ path: '/home/vault/.vault-token', mode: 0o600, uid: null, gid: 1000 }])
  assert.deepEqual(config.templateConfig, { exitOnRetryFailure: true, staticSecretRenderInterval: 60 })
  assert.equal(config.templates[0]?.perms, 0o640)
  assert.deepEqual(config.templates[0]?.delimiters, ['<%', '%>'])
  assert.equal(config.handoverPath, '/vault/handover')
  assert.equal(config.exitAfterAuth, true)
  assert.equal(config.vault.numRetries, 0)
})

test('what a configuration leaves out has the defaults of the original', () => {
  const { config } = read(`${login} template { contents = "x" destination = "/o" }`)
  assert.deepEqual(config.templateConfig, { exitOnRetryFailure: false, staticSecretRenderInterval: 300 })
  assert.equal(config.vault.numRetries, 12)
  assert.equal(config.sinks[0]?.mode, 0o640)
  assert.equal(config.method?.mountPath, 'auth/kubernetes')
  const [template] = config.templates
  assert.deepEqual(
    [
      template?.createDestDirs,
      template?.perms,
      template?.delimiters,
      template?.errorOnMissingKey,
      template?.errorFatal,
    ],
    [true, null, ['{{', '}}'], false, true],
  )
})

test('an agent revokes its token at its end when asked, after a grace of five seconds unless said otherwise', () => {
  const body = `${login} template { contents = "x" destination = "/o" }`
  for (const [more, wanted] of [
    ['', [false, 5]],
    ['revoke_on_shutdown = true', [true, 5]],
    ['revoke_on_shutdown = "true" revoke_grace = "0s"', [true, 0]],
  ] as const) {
    const { config, warnings } = read(`${body}\n${more.replace(' revoke_grace', '\nrevoke_grace')}`)
    assert.deepEqual([[config.revokeOnShutdown, config.revokeGrace], warnings], [wanted, []])
  }
})

test('a stanza of a later file replaces the earlier one, templates add up', () => {
  const template = (path: string): string => `template { contents = "x" destination = "${path}" }`
  const { config } = readAgentConfig([
    { name: 'a.hcl', text: `${login} vault { address = "http://a" namespace = "n" } ${template('/1')}` },
    { name: 'b.json', text: '{"vault": {"address": "http://b"}, "template": {"contents": "x", "destination": "/2"}}' },
  ])
  assert.equal(config.vault.address, 'http://b')
  assert.equal(config.vault.namespace, null)
  assert.deepEqual(
    config.templates.map(one => one.destination),
    ['/1', '/2'],
  )
})

for (const [rule, text, line] of [
  [
    'at the top',
    `${login}\ntempalte_config { }`,
    /^agent\.hcl:3:1: .*"tempalte_config".*did you mean "template_config"\?/,
  ],
  ['in a stanza', `${login}\nvault { adress = "x" }`, /"adress".*did you mean "address"\?/],
  [
    'in a template',
    `${login}\ntemplate { contents = "x" destination = "/o" prems = "0600" }`,
    /did you mean "perms"\?/,
  ],
] as const) {
  test(`an unknown key is a warning with a suggestion, and an error when strict: ${rule}`, () => {
    const { warnings } = read(text)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, line)
    assert.throws(() => read(text, true), HclError)
  })
}

for (const [text, message] of [
  ['vault { }', /no auto_auth, cache, or listener block found in config/],
  [`auto_auth { ${method} }`, /auto_auth requires at least one sink or at least one template/],
  [`auto_auth { ${sink} }`, /one and only one "method" block is required/],
  [`auto_auth { ${method}\n${method}\n${sink} }`, /one and only one "method" block is required/],
  [`auto_auth { method { config { } }\n${sink} }`, /method type must be specified/],
  [`auto_auth { ${method}\nsink { config { path = "/t" } } }`, /sink type must be specified/],
  [`auto_auth { ${method}\nsink "file" { } }`, /'path' not specified for file sink/],
  [`auto_auth { method "kubernetes" { config = { } }\n${sink} }`, /missing 'role' value/],
  [`auto_auth { method "token_file" { config = { } }\n${sink} }`, /missing 'token_file_path' value/],
  [`auto_auth { method "approle" { config = { } }\n${sink} }`, /missing 'role_id_file_path' value/],
  [
    `auto_auth { method "approle" { config = { role_id_file_path = "/r" secret_id_response_wrapping_path = "x" } }\n${sink} }`,
    /'secret_id_response_wrapping_path' needs 'secret_id_file_path'/,
  ],
  [
    `auto_auth { method "aws" { config = { } }\n${sink} }`,
    /"aws" is not supported: this agent has approle, kubernetes and token_file/,
  ],
  [
    `auto_auth { method "kubernetes" { min_backoff = "10m" config = { role = "a" } }\n${sink} }`,
    /min_backoff cannot be greater than max_backoff/,
  ],
  [`${login}\n${login}`, /only one auto_auth block/],
  [`${login}\ntemplate { contents = "x" source = "/y" destination = "/o" }`, /cannot be specified together/],
  [`${login}\ntemplate { destination = "/o" }`, /either 'contents' or 'source' must be specified/],
  [`${login}\ntemplate { contents = "x" }`, /missing 'destination'/],
  [`${login}\ntemplate { contents = "x" destination = "/o" perms = "rw" }`, /perms "rw" is no octal file mode/],
  [`${login}\nlistener "tcp" { address = "x" }`, /listener is not supported: the agent has no listener/],
  [`${login}\nenv_template "A" { contents = "x" }`, /env_template is not supported/],
  [`${login}\nlog_level = "loud"`, /log_level "loud" is none of/],
] as const) {
  test(`a configuration is refused: ${message.source}`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => {
        assert.ok(error instanceof HclError || error instanceof AgentConfigError)
        assert.match(error.message, message)
        return true
      },
    )
  })
}

for (const [rule, stanza, want] of [
  ['one text goes to the shell', 'command = "kill -HUP 1"', { command: ['kill -HUP 1'], isShell: true, timeout: 30 }],
  [
    'a list is run as it is',
    'exec { command = ["a", "b c"] timeout = "5s" }',
    { command: ['a', 'b c'], isShell: false, timeout: 5 },
  ],
  ['an empty one is none', 'command = ""', null],
] as const) {
  test(`a template's command: ${rule}`, () => {
    const { config } = read(`${login}\ntemplate { contents = "x" destination = "/o" ${stanza} }`)
    assert.deepEqual(config.templates[0]?.exec, want)
  })
}

test('what has no meaning here is passed over with a warning', () => {
  const { warnings } = read(`${login}\ncache { }\ntelemetry { }`, true)
  assert.deepEqual(
    warnings.map(line => line.replace(/^.*?: /, '')),
    ['cache has no meaning here and is passed over', 'telemetry has no meaning here and is passed over'],
  )
})

for (const [what, text, want] of [
  [
    'approle with all its keys',
    'role_id_file_path = "/r" secret_id_file_path = "/s" remove_secret_id_file_after_reading = false secret_id_response_wrapping_path = "/auth/approle/role/app/secret-id"',
    { secretIdPath: '/s', isSecretIdFileRemoved: false, wrappingPath: 'auth/approle/role/app/secret-id' },
  ],
  [
    'approle with a role id alone',
    'role_id_file_path = "/r" token_path = "/t"',
    { secretIdPath: null, isSecretIdFileRemoved: true, wrappingPath: null },
  ],
] as const) {
  test(`auto_auth ${what}`, () => {
    const { config, warnings } = read(`auto_auth { method "approle" { config { ${text} } }\n${sink} }`)
    const { type, mountPath } = config.method!
    assert.deepEqual(warnings, [])
    assert.deepEqual([type, mountPath], ['approle', 'auth/approle'])
    assert.deepEqual(config.method, { ...config.method, roleIdPath: '/r', ...want })
  })
}
