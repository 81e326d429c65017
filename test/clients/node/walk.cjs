// Calls a new server through node-vault and says on stdout, one JSON object a line, what each call gave.
// `walk.cjs ADDRESS FOLDER`: the folder is the server's audit_directory. CommonJS: node-vault is, and so NODE_PATH works.
const { join } = require('node:path')
const vault = require('node-vault')

const [address, folder] = process.argv.slice(2)

const clientOf = (token, more) => vault({ endpoint: address, token, ...more })

/** Runs one call and reports it; what it returned, or undefined when it was refused. */
async function step(name, call) {
  let value
  let report
  try {
    value = await call()
    // 204 has no body, which axios gives as an empty text.
    report = { step: name, ok: true, detail: value === '' ? null : (value ?? null) }
  } catch (error) {
    const { response, message } = error
    const detail = { class: error.constructor.name, status: response?.statusCode ?? null, text: message }
    report = { step: name, ok: false, detail: { ...detail, errors: response?.body?.errors ?? null } }
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
  return value
}

async function begin() {
  const c = clientOf()
  await step('init status before', () => c.initialized())
  await step('health before init', () => c.health())
  await step('secret before init', () => c.read('secret/data/a'))
  const made = await step('init', () => c.init({ secret_shares: 3, secret_threshold: 2 }))
  await step('init again', () => c.init({ secret_shares: 1, secret_threshold: 1 }))
  await step('health while sealed', () => c.health())
  await step('unseal first share', () => c.unseal({ key: made.keys[0] }))
  await step('unseal reset', () => c.unseal({ reset: true }))
  await c.unseal({ key: made.keys[0] })
  await step('unseal second share', () => c.unseal({ key: made.keys_base64[1] }))
  await step('seal status', () => c.status())
  await step('health', () => c.health())
  await step('health with a code of its own', () => c.health({ activecode: 299 }))
  await step('leader', () => c.leader())
  return made
}

async function audit(c) {
  const options = { file_path: join(folder, 'node.log') }
  await step('audit enable', () => c.enableAudit({ name: 'file', type: 'file', options }))
  await step('audit list', () => c.audits())
  await step('audit hash', () => c.write('sys/audit-hash/file', { input: 'a value' }))
  await step('audit disable', () => c.disableAudit({ name: 'file' }))
  await step('audit list after', () => c.audits())
}

async function mounts(c) {
  await step('mount kv v2', () => c.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } }))
  await step('mount where one is', () => c.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } }))
  await step('mount kv v1', () => c.mount({ mount_point: 'one', type: 'kv' }))
  await c.mount({ mount_point: 'more', type: 'kv-v2', description: 'old', config: { max_lease_ttl: '2h' } })
  await step('mounts list', () => c.mounts())
  await step('mount tune', () => c.write('sys/mounts/more/tune', { default_lease_ttl: '30m' }))
  await step('mount tuning read', () => c.read('sys/mounts/more/tune'))
  const moved = await step('mount move', () => c.remount({ from: 'more', to: 'other' }))
  await step("mount move's end", () => endOfMove(c, moved.data.migration_id))
  await step('mount disable', () => c.unmount({ mount_point: 'other' }))
}

async function endOfMove(c, id) {
  for (;;) {
    const { status } = (await c.read(`sys/remount/status/${id}`)).data.migration_info
    if (status !== 'in-progress') return status
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function kv1(c) {
  await step('kv v1 put', () => c.write('one/app/db', { user: 'app' }))
  await step('kv v1 get', () => c.read('one/app/db'))
  await step('kv v1 list', () => c.list('one/app'))
  await step('kv v1 delete', () => c.delete('one/app/db'))
  await step('kv v1 get after', () => c.read('one/app/db'))
}

async function kv(c) {
  const put = (path, data, options) => c.write(`secret/data/${path}`, { data, ...(options && { options }) })
  await step('kv v2 list of nothing', () => c.list('secret/metadata'))
  await step('kv v2 get nothing', () => c.read('secret/data/app/db'))
  await step('kv v2 put', () => put('app/db', { user: 'app', deep: { a: [1, null] } }))
  await step('kv v2 get', () => c.read('secret/data/app/db'))
  await step('kv v2 put with cas mismatch', () => put('app/db', { a: 1 }, { cas: 0 }))
  await step('kv v2 put with cas', () => put('app/db', { user: 'two' }, { cas: 1 }))
  await step('kv v2 get version', () => c.read('secret/data/app/db?version=1'))
  await step('kv v2 patch', () => c.update('secret/data/app/db', { data: { more: '3', user: null } }))
  await step('kv v2 patch of nothing', () => c.update('secret/data/nothing', { data: { a: 'b' } }))
  await step('kv v2 get after patch', () => c.read('secret/data/app/db'))
  await step('kv v2 delete latest', () => c.delete('secret/data/app/db'))
  await step('kv v2 get deleted', () => c.read('secret/data/app/db'))
  await step('kv v2 undelete', () => c.write('secret/undelete/app/db', { versions: [3] }))
  await step('kv v2 delete versions', () => c.write('secret/delete/app/db', { versions: [1, 2] }))
  await step('kv v2 destroy', () => c.destroySecretVersions({ path: 'app/db', versions: [1] }))
  await step('kv v2 metadata put', () =>
    c.write('secret/metadata/app/db', { max_versions: 4, custom_metadata: { owner: 'team a' } }),
  )
  await step('kv v2 metadata get', () => c.read('secret/metadata/app/db'))
  await put('top', { a: 'b' })
  await step('kv v2 list', () => c.list('secret/metadata'))
  const plain = clientOf(c.token, { noCustomHTTPVerbs: true })
  await step('kv v2 list without the verb LIST', () => plain.list('secret/metadata'))
  await step('kv v2 metadata delete', () => c.delete('secret/metadata/app/db'))
  await step('kv v2 get after metadata delete', () => c.read('secret/data/app/db'))
  await step('help', () => c.help('secret/data/a'))
}

async function policies(c) {
  const rules = 'path "secret/data/app/*" { capabilities = ["read"] }'
  await step('policy put', () => c.addPolicy({ name: 'reader', rules }))
  await step('policy get', () => c.getPolicy({ name: 'reader' }))
  await step('policy list', () => c.policies())
  await c.addPolicy({ name: 'other', policy: rules })
  await step('policy delete', () => c.removePolicy({ name: 'other' }))
  await step('policy get after', () => c.getPolicy({ name: 'other' }))
}

async function tokens(c) {
  const root = c.token
  // node-vault goes on with the token that it made.
  const asRoot = call => () => {
    c.token = root
    return call().finally(() => {
      c.token = root
    })
  }
  const create = (name, args) =>
    step(
      name,
      asRoot(() => c.tokenCreate({ policies: ['reader'], ...args })),
    )
  const made = (await create('token create', { ttl: '1h', meta: { for: 'test' } })).auth
  await step('token lookup', () => c.tokenLookup({ token: made.client_token }))
  await step('token lookup by accessor', () => c.tokenLookupAccessor({ accessor: made.accessor }))
  await step('token accessors', async () => (await c.tokenAccessors()).data.keys.includes(made.accessor))
  await step(
    'token renew',
    asRoot(() => c.tokenRenew({ token: made.client_token, increment: 7200 })),
  )
  const d = clientOf(made.client_token)
  await step('token lookup self', () => d.tokenLookupSelf())
  await step('token renew self', () => d.tokenRenewSelf({ increment: '20m' }))
  await step('refused by policy', () => d.read('secret/data/top'))
  await step('refused write', () => d.write('secret/data/app/x', { data: { a: 'c' } }))
  await step('capabilities of self', () => d.write('sys/capabilities-self', { paths: ['secret/data/app/x'] }))
  await step('capabilities by accessor', () =>
    c.write('sys/capabilities-accessor', { accessor: made.accessor, paths: ['secret/data/top'] }),
  )
  await step('token revoke self', () => d.tokenRevokeSelf())
  await step('token revoked', () => d.tokenLookupSelf())
  const orphan = await step(
    'token orphan',
    asRoot(() => c.tokenCreateOrphan({ policies: ['reader'], ttl: '1h' })),
  )
  await step('token revoke by accessor', () => c.tokenRevokeAccessor({ accessor: orphan.auth.accessor }))
  const most = await create('token with explicit maximum', { ttl: '1h', explicit_max_ttl: '90m' })
  await step('token revoke', () => c.tokenRevoke({ token: most.auth.client_token }))
  const twice = clientOf((await create('token of two uses', { num_uses: 2 })).auth.client_token)
  await twice.tokenLookupSelf()
  await twice.tokenLookupSelf()
  await step('token of two uses: third', () => twice.tokenLookupSelf())
  const family = await create('token of a family', { policies: ['root'] })
  const child = (await clientOf(family.auth.client_token).tokenCreate({ policies: ['reader'] })).auth.client_token
  await step('token revoke orphan', () => c.tokenRevokeOrphan({ token: family.auth.client_token }))
  await step('token child outlives it', () => c.tokenLookup({ token: child }))
  await step('token unknown', () => clientOf('hvs.nobody').tokenLookupSelf())
  await step('token missing', () => clientOf().read('secret/data/top'))
  const headers = { 'X-Vault-Wrap-TTL': '60s' }
  const { wrap_info: wrapped } = await step('secret wrapped', () => c.read('secret/data/top', { headers }))
  await step('secret unwrapped', () => clientOf(wrapped.token).unwrap())
  await step('secret unwrapped again', () => c.unwrap({ token: wrapped.token }))
}

async function kubernetes(c) {
  const mount_point = 'kubernetes'
  const config = { kubernetes_host: 'https://127.0.0.1:1' }
  const role = { bound_service_account_names: ['app'], bound_service_account_namespaces: ['default'], ttl: 900 }
  await step('auth enable', () => c.enableAuth({ mount_point, type: 'kubernetes', description: 'pods' }))
  await step('auth list', () => c.auths())
  await step('auth tune', () => c.write('sys/auth/kubernetes/tune', { max_lease_ttl: '20m' }))
  await step('auth tuning read', () => c.read('sys/auth/kubernetes/tune'))
  await step('kubernetes configure', () => c.write('auth/kubernetes/config', config))
  await step('kubernetes configuration', () => c.read('auth/kubernetes/config'))
  // addKubernetesRole of 0.12.0 can't be called (its schema lacks `properties`), and kubernetesPath is never used: the
  // mount is to be named in each call.
  await step('kubernetes role put', () => c.write('auth/kubernetes/role/app', { ...role, policies: ['reader'] }))
  await step('kubernetes role get', () => c.getKubernetesRole({ mount_point, role_name: 'app' }))
  await step('kubernetes role list', () => c.list('auth/kubernetes/role'))
  await step('kubernetes login with a bad JWT', () => c.kubernetesLogin({ mount_point, role: 'app', jwt: 'no jwt' }))
  await step('kubernetes login with an unknown role', () =>
    c.kubernetesLogin({ mount_point, role: 'nobody', jwt: 'a.b.c' }),
  )
  await step('kubernetes role delete', () => c.deleteKubernetesRole({ mount_point, role_name: 'app' }))
  await step('kubernetes role get after', () => c.getKubernetesRole({ mount_point, role_name: 'app' }))
  await step('auth disable', () => c.disableAuth({ mount_point }))
}

/** What node-vault's own renewal says of a token that is to be renewed after a second. */
async function renewal(c) {
  const root = c.token
  const made = await c.tokenCreate({ policies: ['reader'], ttl: '10s' })
  c.token = root
  const d = clientOf(made.auth.client_token)
  return new Promise((resolve, reject) => {
    // node-vault's timer keeps no process alive.
    const limit = setTimeout(() => reject(new Error('no renewal in 20 s')), 20_000)
    const end = then => value => {
      clearTimeout(limit)
      d.stopAllRenewals()
      then(value)
    }
    d.once('token:renewed', end(resolve))
    d.once('token:error:renew', end(reject))
    void d.startTokenRenewal({ ttl: 1 })
  })
}

async function notHere(c) {
  await step('path without a mount', () => c.read('nothing/here'))
  await step('path that sys has not', () => c.rotate())
  await step('lease renew', () => c.renew({ lease_id: 'secret/nothing' }))
  await step('unwrap', () => c.unwrap({ token: 'hvs.wrapping' }))
}

async function end(c, made) {
  await step('seal', () => c.seal())
  await step('sealed read', () => c.read('secret/data/top'))
  await step('sealed health', () => c.health())
  for (const key of made.keys.slice(1)) await c.unseal({ key })
  await step('read after unsealing', () => c.read('secret/data/top'))
}

async function main() {
  const made = await begin()
  const c = clientOf(made.root_token)
  await audit(c)
  await mounts(c)
  await kv1(c)
  await kv(c)
  await policies(c)
  const renewed = renewal(clientOf(made.root_token))
  // It is awaited only later; a refusal until then must not end the process.
  renewed.catch(() => undefined)
  await tokens(c)
  await kubernetes(c)
  await notHere(c)
  await step('renewal', () => renewed)
  await end(c, made)
}

void main()
