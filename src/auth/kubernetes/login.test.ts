import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Json } from '#ground/text/json.ts'
import { openTestMount, type TestAnswer, type TestServer, type TestServerOptions } from '#core/testing/mount.ts'
import { kubernetesAuthWith } from './engine.ts'
import { app, claimsOf, jwtOf, ScriptedApiServer, testCa } from './scripted-api-server.ts'

type LoginServer = {
  readonly server: TestServer
  readonly api: ScriptedApiServer
  /** Logs in as nobody, and so without a token. */
  login(role: string, jwt: string, address?: string): ReturnType<TestServer['ask']>
  /** What those who may ask are told of the answer's refusal. */
  reasonOf(refused: Awaited<ReturnType<TestServer['ask']>>): Promise<string>
} & AsyncDisposable

/** A server with the method mounted and set up, and the role `app` for the account `shop/app`. */
async function openLoginServer(
  options: { readonly folder?: string; readonly config?: object; readonly role?: object } & Pick<
    TestServerOptions,
    'log' | 'settings'
  > = {},
): Promise<LoginServer> {
  const api = new ScriptedApiServer()
  const { folder = '/nowhere', config, role, ...rest } = options
  const server = await openTestMount(kubernetesAuthWith({ folder, transport: api.transport }), rest)
  const write = async (path: string, body: object): Promise<void> => {
    const { status, errors } = await server.ask('POST', `auth/kubernetes/${path}`, { body: { ...body } })
    if (status >= 300) throw new Error(`${path}: ${errors.join('; ')}`)
  }
  await write('config', { kubernetes_host: 'https://api.test:6443', token_reviewer_jwt: 'reviewer', ...config })
  const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'shop' }
  await write('role/app', { ...bound, token_policies: 'app', ...role })
  return {
    server,
    api,
    login: (name, jwt, address) =>
      server.ask('POST', 'auth/kubernetes/login', {
        body: { role: name, jwt },
        token: null,
        ...(address !== undefined && { address }),
      }),
    async reasonOf(refused) {
      const asked = await server.ask('POST', 'sys/policies/explain', {
        body: { request_id: refused.headers.get('x-coffer-request-id') ?? '' },
      })
      return String((asked.data as { reason?: unknown } | null)?.reason)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

type Auth = Record<string, Json> & { client_token: string; metadata: Record<string, string>; lease_duration: number }
const authOf = (answer: TestAnswer): Auth => {
  assert.equal(answer.status, 200, answer.errors.join('; '))
  return (answer.body as { auth: Auth }).auth
}
const good = jwtOf(claimsOf(app))
const denied = 'permission denied'

test('kubernetes login: the answer is what the role says, and metadata what the account is', async () => {
  await using house = await openLoginServer({
    role: { token_policies: 'App,extra', token_ttl: '1h', token_num_uses: 0 },
  })
  const answer = await house.login('app', good)
  const { client_token: token, accessor, entity_id: entity, ...auth } = authOf(answer)
  assert.match(token, /^hvs\./)
  assert.ok(accessor !== '' && entity !== '')
  assert.deepEqual(auth, {
    policies: ['app', 'default', 'extra'],
    token_policies: ['app', 'default', 'extra'],
    metadata: {
      role: 'app',
      service_account_name: 'app',
      service_account_namespace: 'shop',
      service_account_secret_name: '',
      service_account_uid: 'uid-of-app',
    },
    lease_duration: 3600,
    renewable: true,
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  })
  const { data } = await house.server.ask('GET', 'auth/token/lookup-self', { token })
  const { display_name: name, path } = data as Record<string, Json>
  assert.deepEqual([name, path], ['kubernetes-shop-app', 'auth/kubernetes/login'])
})

test('kubernetes login: a review carries the audiences, and asks as the reviewer', async () => {
  await using house = await openLoginServer()
  await house.server.ask('POST', 'auth/kubernetes/role/aud', {
    body: { bound_service_account_names: 'app', bound_service_account_namespaces: 'shop', audience: 'vault' },
  })
  const two = jwtOf(claimsOf(app, { aud: ['vault', 'other'] }))
  for (const [role, jwt, audiences] of [
    ['app', good, ['https://kubernetes.default.svc']],
    ['app', two, ['vault', 'other']],
    ['app', jwtOf(claimsOf(app, { aud: 'one' })), ['one']],
    ['aud', two, ['vault']],
    ['app', jwtOf(claimsOf(app, { aud: undefined })), undefined],
  ] as const) {
    authOf(await house.login(role, jwt))
    const asked = house.api.asked.at(-1)!
    assert.deepEqual([asked.method, asked.path], ['POST', '/apis/authentication.k8s.io/v1/tokenreviews'])
    assert.deepEqual([asked.bearer, asked.contentType], ['reviewer', 'application/json'])
    assert.deepEqual((asked.body as { spec: unknown }).spec, { token: jwt, ...(audiences && { audiences }) })
  }
})

for (const [name, config, reviewer] of [
  ['the configured one', { token_reviewer_jwt: 'reviewer' }, 'reviewer'],
  ["the pod's own when none is configured", { token_reviewer_jwt: '' }, 'of-the-pod'],
  ["the login's own when the pod's must not be read", { token_reviewer_jwt: '', disable_local_ca_jwt: true }, good],
] as const) {
  test(`kubernetes login: the reviewer is ${name}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coffer-auth-'))
    try {
      await writeFile(join(folder, 'token'), 'of-the-pod\n')
      await using house = await openLoginServer({ folder, config: { ...config, kubernetes_ca_cert: testCa } })
      authOf(await house.login('app', good))
      assert.equal(house.api.asked.at(-1)!.bearer, reviewer)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
}

test("kubernetes login: the pod's own token is read again after a minute, and may be missing", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-auth-'))
  try {
    await using house = await openLoginServer({ folder, config: { token_reviewer_jwt: '' } })
    const reviewer = async (): Promise<string> => {
      authOf(await house.login('app', good))
      return house.api.asked.at(-1)!.bearer
    }
    assert.equal(await reviewer(), good)
    await writeFile(join(folder, 'token'), 'first')
    assert.equal(await reviewer(), good, 'within the minute')
    await house.server.world.clock.advance(60_000)
    assert.equal(await reviewer(), 'first')
    await writeFile(join(folder, 'token'), 'second')
    assert.equal(await reviewer(), 'first', 'within the minute')
    await house.server.world.clock.advance(60_000)
    assert.equal(await reviewer(), 'second')
  } finally {
    await rm(folder, { recursive: true })
  }
})

type Given = { readonly role?: object; readonly config?: object; readonly api?: Partial<ScriptedApiServer> }

// Who asks, how the house is set up, and what the client and those who may ask are told.
for (const [name, given, [role, jwt, address], status, text, reason] of [
  ['no role', {}, ['', good], 400, 'missing role', null],
  ['no jwt', {}, ['app', ''], 400, 'missing jwt', null],
  ['an unknown role', {}, ['nope', good], 400, 'invalid role name "nope"', null],
  ['a role that is no name', {}, ['../config', good], 400, 'invalid role name "../config"', null],
  [
    'an address outside of token_bound_cidrs',
    { role: { token_bound_cidrs: '10.0.0.0/8' } },
    ['app', good, '192.0.2.1'],
    403,
    denied,
    /^address 192\.0\.2\.1 is outside of token_bound_cidrs 10\.0\.0\.0\/8$/,
  ],
  ['what is no JWT', {}, ['app', 'a.b'], 500, 'the token is no JWT: it has not three parts', null],
  [
    'a token that says it is not signed',
    {},
    ['app', jwtOf(claimsOf(app), { alg: 'none' })],
    500,
    'the token is signed with an algorithm that is not taken',
    null,
  ],
  [
    'a token without a UID',
    {},
    ['app', jwtOf(claimsOf(app, { 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'app' } } }))],
    500,
    'could not parse UID from claims',
    null,
  ],
  [
    'another issuer, where it counts',
    { config: { disable_iss_validation: false, issuer: 'https://mine' } },
    ['app', good],
    403,
    'invalid issuer (iss) claim',
    /^the token was issued by "https:\/\/kubernetes\.default\.svc", not by "https:\/\/mine"$/,
  ],
  [
    'another audience',
    { role: { audience: 'vault' } },
    ['app', good],
    403,
    'invalid audience (aud) claim: audience claim does not match any expected audience',
    /wants audience "vault"; the token is for "https:\/\/kubernetes\.default\.svc"$/,
  ],
  [
    'another account',
    {},
    ['app', jwtOf(claimsOf({ ...app, name: 'other' }))],
    403,
    'service account name not authorized',
    /^account "other" is none of app$/,
  ],
  [
    'another namespace',
    {},
    ['app', jwtOf(claimsOf({ ...app, namespace: 'bank' }))],
    403,
    'namespace not authorized',
    /^namespace "bank" is none of shop$/,
  ],
  [
    'another UID, where it is bound',
    { role: { bound_service_account_uids: 'uid-1,uid-2' } },
    ['app', good],
    403,
    'service account name not authorized',
    /^account shop\/app has UID uid-of-app, which is not bound/,
  ],
  [
    'an account that is gone',
    { api: { accounts: [] } },
    ['app', good],
    403,
    denied,
    /serviceaccounts "app" not found$/,
  ],
  [
    'a token that is not known',
    { api: { review: { authenticated: false } } },
    ['app', good],
    403,
    denied,
    /does not know/,
  ],
  [
    'an account made anew',
    { api: { accounts: [{ ...app, uid: 'uid-2' }] } },
    ['app', good],
    403,
    denied,
    /^JWT UIDs did not match: "uid-2" and "uid-of-app"$/,
  ],
  [
    'audiences that the review does not confirm',
    { api: { review: { audiences: ['else'] } } },
    ['app', good],
    403,
    denied,
    /^the API server confirms audiences else, none of https:/,
  ],
  [
    'a reviewer that the API server does not know',
    { api: { answer: { status: 401, body: { kind: 'Status', message: 'Unauthorized' } } } },
    ['app', good],
    403,
    denied,
    /^the API server refuses the reviewer \(token_reviewer_jwt\): Unauthorized$/,
  ],
  [
    'its own token as reviewer, refused',
    {
      config: { token_reviewer_jwt: '' },
      api: { answer: { status: 401, body: { kind: 'Status', message: 'Unauthorized' } } },
    },
    ['app', good],
    403,
    denied,
    /^the API server refuses the login's token: /,
  ],
  [
    'a reviewer without the right',
    { api: { answer: { status: 403, body: { kind: 'Status', message: 'forbidden' } } } },
    ['app', good],
    403,
    denied,
    /may not create TokenReviews: bind its account to the ClusterRole system:auth-delegator$/,
  ],
  [
    'an answer that is no review',
    { api: { answer: { status: 404, body: 'not here' } } },
    ['app', good],
    403,
    denied,
    /^the API server answers the review with 404: /,
  ],
  [
    'an API server out of reach',
    { api: { answer: 'unreachable' } },
    ['app', good],
    403,
    denied,
    /^the API server at https:\/\/api\.test:6443 can not be reached: .*certificate is not trusted$/,
  ],
  [
    'a signature that none of pem_keys verifies',
    { config: { pem_keys: testCa } },
    ['app', good],
    403,
    denied,
    /^none of pem_keys verifies the signature of the token$/,
  ],
] as const satisfies readonly (readonly [
  string,
  Given,
  readonly [role: string, jwt: string, address?: string],
  number,
  string,
  RegExp | null,
])[]) {
  test(`kubernetes login refuses ${name}`, async () => {
    const { role: more, config, api } = given as Given
    await using house = await openLoginServer({ ...(more && { role: more }), ...(config && { config }) })
    Object.assign(house.api, api)
    const refused = await house.login(role, jwt, address)
    assert.deepEqual([refused.status, refused.errors], [status, [text]])
    assert.equal((refused.body as { auth?: Json }).auth, undefined, 'no token beside an error')
    if (reason !== null) assert.match(await house.reasonOf(refused), reason)
  })
}

test('kubernetes login: before it is set up it says so', async () => {
  await using server = await openTestMount(kubernetesAuthWith({}))
  await server.ask('POST', 'auth/kubernetes/role/app', {
    body: { bound_service_account_names: '*', bound_service_account_namespaces: '*' },
  })
  const answer = await server.ask('POST', 'auth/kubernetes/login', { body: { role: 'app', jwt: good }, token: null })
  assert.deepEqual([answer.status, answer.errors], [500, ['could not load backend configuration']])
})

for (const [name, selector, labels, isLetIn] of [
  ['whose labels are the selector’s', '{"matchLabels":{"team":"red"}}', { team: 'red', tier: 'x' }, true],
  ['by a selector in YAML', 'matchLabels:\n  team: red\n', { team: 'red' }, true],
  ['by a selector of no labels', 'matchLabels: {}', {}, true],
  ['with one label of two', '{"matchLabels":{"team":"red","tier":"x"}}', { team: 'red' }, false],
  ['with another value', '{"matchLabels":{"team":"red"}}', { team: 'blue' }, false],
  ['that is not there', '{"matchLabels":{"team":"red"}}', null, false],
] as const) {
  test(`kubernetes login: a namespace ${name} is ${isLetIn ? 'let in' : 'refused'}`, async () => {
    await using house = await openLoginServer({
      role: { bound_service_account_namespaces: 'else', bound_service_account_namespace_selector: selector },
    })
    if (labels !== null) house.api.labels = { shop: labels }
    const answer = await house.login('app', good)
    assert.equal(house.api.asked[0]!.path, '/api/v1/namespaces/shop')
    assert.equal(house.api.asked[0]!.bearer, 'reviewer')
    if (isLetIn) return void authOf(answer)
    assert.deepEqual([answer.status, answer.errors], [403, ['namespace not authorized']])
    assert.match(
      await house.reasonOf(answer),
      labels === null ? /can not be read/ : /has not the labels of the selector/,
    )
  })
}

test('kubernetes login: a selector needs a reviewer, and is not asked about where the list lets in', async () => {
  await using house = await openLoginServer({
    config: { token_reviewer_jwt: '' },
    role: { bound_service_account_namespaces: 'else', bound_service_account_namespace_selector: 'matchLabels: {}' },
  })
  const refused = await house.login('app', good)
  const inner = 'namespace lookup failed: TokenReviewer JWT needs to be configured to use namespace selectors'
  assert.deepEqual([refused.status, refused.errors], [403, [`namespace not authorized err=${inner}`]])
  await house.server.ask('POST', 'auth/kubernetes/role/app', {
    body: { bound_service_account_namespaces: 'shop', bound_service_account_namespace_selector: 'matchLabels: {}' },
  })
  authOf(await house.login('app', good))
  assert.equal(house.api.asked.length, 1)
})

test('kubernetes login: the alias is the UID, or namespace and name as the role says', async () => {
  await using house = await openLoginServer()
  const entityOf = async (jwt: string): Promise<Json> => authOf(await house.login('app', jwt))['entity_id']!
  const first = await entityOf(good)
  assert.equal(await entityOf(good), first)
  const anew = { ...app, uid: 'uid-2' }
  house.api.accounts = [anew]
  assert.notEqual(await entityOf(jwtOf(claimsOf(anew))), first, 'made anew, it is somebody else')
  await house.server.ask('POST', 'auth/kubernetes/role/app', { body: { alias_name_source: 'serviceaccount_name' } })
  const named = await entityOf(jwtOf(claimsOf(anew)))
  house.api.accounts = [app]
  assert.equal(await entityOf(good), named, 'by name it is the same')
})

test('kubernetes login: a legacy token logs in, and metadata names its Secret', async () => {
  await using house = await openLoginServer()
  const prefix = 'kubernetes.io/serviceaccount/'
  const jwt = jwtOf({
    iss: 'kubernetes/serviceaccount',
    [`${prefix}namespace`]: 'shop',
    [`${prefix}secret.name`]: 'app-token-x',
    [`${prefix}service-account.name`]: 'app',
    [`${prefix}service-account.uid`]: 'uid-of-app',
  })
  const { metadata } = authOf(await house.login('app', jwt))
  assert.equal(metadata['service_account_secret_name'], 'app-token-x')
  assert.deepEqual(Object.keys((house.api.asked[0]!.body as { spec: object }).spec), ['token'])
})

test('kubernetes login: roles are found whatever their case, and metadata says what was asked for', async () => {
  await using house = await openLoginServer()
  const { metadata } = authOf(await house.login('APP', good))
  assert.equal(metadata['role'], 'APP')
})

test('kubernetes login: annotations of the account become metadata of its alias, but none of ours', async () => {
  await using house = await openLoginServer({ config: { use_annotations_as_alias_metadata: true } })
  const prefix = 'vault.hashicorp.com/alias-metadata-'
  house.api.annotations = { [`${prefix}team`]: 'red', unrelated: 'x' }
  authOf(await house.login('app', good))
  assert.equal(house.api.asked.at(-1)!.path, '/api/v1/namespaces/shop/serviceaccounts/app')
  house.api.annotations = { [`${prefix}service_account_uid`]: 'forged' }
  const refused = await house.login('app', good)
  assert.equal(refused.status, 400)
  assert.match(refused.errors.join(), /for only internal use .*keys=\[service_account_uid\]$/)
})

test('kubernetes login: token_bound_cidrs hold the token to its addresses, too', async () => {
  await using house = await openLoginServer({ role: { token_bound_cidrs: ['10.0.0.0/8', '192.0.2.9'] } })
  const { client_token: token } = authOf(await house.login('app', good, '10.1.2.3'))
  for (const [address, status] of [
    ['10.1.2.3', 200],
    ['192.0.2.9', 200],
    ['192.0.2.8', 403],
  ] as const) {
    assert.equal((await house.server.ask('GET', 'auth/token/lookup-self', { token, address })).status, status, address)
  }
})

test('kubernetes login: token_num_uses, token_no_default_policy and token_type are as the role says', async () => {
  await using house = await openLoginServer({
    role: { token_num_uses: 2, token_no_default_policy: true, token_type: 'service' },
  })
  const auth = authOf(await house.login('app', good))
  assert.deepEqual([auth['policies'], auth['num_uses'], auth['token_type']], [['app'], 2, 'service'])
})

test('kubernetes login: a role of batch tokens gives them, with the entity that its service tokens have', async () => {
  await using house = await openLoginServer({ role: { token_type: 'batch', token_ttl: '10m' } })
  const auth = authOf(await house.login('app', good))
  assert.match(auth['client_token'] as string, /^hvb\./)
  assert.deepEqual([auth['accessor'], auth['renewable'], auth['lease_duration']], ['', false, 600])
  assert.match(auth['entity_id'] as string, /^[0-9a-f-]{36}$/)
})

test('kubernetes login: a root policy is never granted, however it is written', async () => {
  for (const policies of ['root', 'ROOT', ' Root ', ['app', 'root']]) {
    await using house = await openLoginServer({ role: { token_policies: policies } })
    const refused = await house.login('app', good)
    assert.deepEqual([refused.status, refused.errors], [400, ['auth methods cannot create root tokens']])
  }
})

for (const [name, role, want] of [
  ['the mount’s where the role says nothing', {}, [2_764_800, null]],
  ['the role’s', { token_ttl: '10m' }, [600, null]],
  ['its period, whatever its TTL', { token_period: '20m', token_ttl: '10m' }, [1200, null]],
  ['capped by token_max_ttl, when the mount’s default is more', { token_max_ttl: '1h' }, [3600, null]],
  [
    'capped by token_explicit_max_ttl',
    { token_ttl: '10m', token_explicit_max_ttl: '5m' },
    [300, /TTL of "10m" exceeded/],
  ],
] as const) {
  test(`kubernetes login: a token lives ${name}`, async () => {
    await using house = await openLoginServer({ role })
    const answer = await house.login('app', good)
    const warnings = (answer.body as { warnings: string[] | null }).warnings
    assert.equal(authOf(answer).lease_duration, want[0])
    if (want[1] !== null) assert.match(String(warnings), want[1])
  })
}

test('kubernetes login: neither jwt nor reviewer is in a log or an answer', async () => {
  const lines: string[] = []
  const canary = jwtOf(claimsOf(app, { canary: 'canary-of-the-jwt' }))
  await using house = await openLoginServer({
    config: { token_reviewer_jwt: 'canary-reviewer' },
    log: line => lines.push(line),
  })
  house.api.answer = { status: 403, body: { kind: 'Status', message: 'forbidden' } }
  const refused = await house.login('app', canary)
  lines.push(
    refused.text,
    await house.reasonOf(refused),
    (await house.server.ask('GET', 'auth/kubernetes/config')).text,
  )
  for (const secret of ['canary-reviewer', canary, canary.split('.')[1]!]) {
    assert.ok(!lines.join('\n').includes(secret))
  }
})
