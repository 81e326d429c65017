import { goClient } from './clients.ts'
import { type Expected, filled, upTo } from './expect.ts'
import { gave, type Outcome, raised, testWalk } from './walk.ts'

// What Go programs see: the SDK's own types, `*api.ResponseError`, and nil where there is nothing.

const refused = (status: number, error: string | RegExp): Outcome =>
  raised({ class: 'ResponseError', status, errors: [error] })
const notFound = raised({ class: 'ErrSecretNotFound' })
const done = gave(null)

const denied = '1 error occurred:\n\t* permission denied\n\n'
const noToken = '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'
const notWrapping = 'wrapping token is not valid or does not exist'
const wrapInfo = { token: /^hvs\.\w{24}$/, accessor: filled, ttl: 60, creation_time: filled }

const written = (version: number): Outcome => gave({ version, created: true, deleted: false, destroyed: false })
const token = (more: { [member: string]: Expected }): Outcome =>
  gave({ auth: { client_token: /^hvs\.\w+$/, accessor: filled, policies: ['default', 'reader'], ...more } })
const batch = (more: { [member: string]: Expected }): Outcome =>
  gave({ auth: { client_token: /^hvb\.[\w-]+$/, accessor: '', policies: ['default', 'reader'], ...more } })
const lookedUp = (more: { [member: string]: Expected }): Outcome =>
  gave({ data: { policies: ['default', 'reader'], type: 'service', entity_id: '', explicit_max_ttl: 0, ...more } })
const sealStatus = { type: 'shamir', initialized: true, t: 2, n: 3, storage_type: 'sqlite' }
const kvMount = { type: 'kv', options: { version: '2' }, accessor: /^kv_/, uuid: filled, local: false }
const pods = { type: 'kubernetes', description: 'pods', accessor: /^auth_kubernetes_/ }

testWalk('go', goClient, [
  ['init status before', gave(false)],
  ['health before init', gave({ initialized: false, sealed: true })],
  ['secret before init', refused(503, 'Vault is sealed')],
  ['init', gave({ keys: [filled, filled, filled], keys_base64: [filled, filled, filled], root_token: /^hvs\./ })],
  ['init again', refused(400, 'Vault is already initialized')],
  ['health while sealed', gave({ initialized: true, sealed: true, standby: true })],
  ['unseal first share', gave({ ...sealStatus, sealed: true, progress: 1, nonce: filled })],
  ['unseal reset', gave({ ...sealStatus, sealed: true, progress: 0, nonce: '' })],
  ['unseal with options', gave({ ...sealStatus, sealed: true, progress: 1 })],
  ['unseal second share', gave({ ...sealStatus, sealed: false, progress: 0, cluster_id: filled })],
  ['seal status', gave({ ...sealStatus, sealed: false, migration: false, version: /^1\.21\.0\+coffer/ })],
  ['health', gave({ initialized: true, sealed: false, standby: false, enterprise: false, cluster_name: filled })],
  ['leader', gave({ ha_enabled: false, is_self: false, leader_address: '' })],

  ['audit enable', done],
  ['audit list', gave({ 'file/': { type: 'file', path: 'file/', options: { file_path: /\/go\.log$/ } } })],
  ['audit hash', gave(/^hmac-sha256:[0-9a-f]{64}$/)],
  [
    'audit file outside of the folder',
    raised({ status: 400, errors: [/^file_path must be an absolute path below the audit_directory \//] }),
  ],
  ['audit disable', done],
  ['audit list after', gave(value => JSON.stringify(value) === '{}')],

  ['mount kv v2', done],
  ['mount with settings', done],
  ['mount where one is', refused(400, 'path is already in use at more/')],
  ['mount kv v1', done],
  ['mount unknown type', refused(400, 'plugin not found in the catalog: nothing')],
  [
    'mounts list',
    gave({
      'secret/': { ...kvMount, config: { default_lease_ttl: 0, max_lease_ttl: 0 } },
      'more/': { ...kvMount, description: 'old', config: { default_lease_ttl: 3600, max_lease_ttl: 7200 } },
    }),
  ],
  ['mount get', gave({ ...kvMount, description: 'old' })],
  ['mount tune', done],
  ['mount tune without what is nil', done],
  ['mount tuning read', gave({ default_lease_ttl: 1800, max_lease_ttl: 10800, force_no_cache: false })],
  ['which mount a path is in', gave({ data: { path: 'secret/', type: 'kv', options: { version: '2' } } })],
  [
    'which mounts there are to use',
    gave({ data: { secret: { 'secret/': kvMount, 'more/': kvMount }, auth: { 'token/': {} } } }),
  ],
  ['an answer without an envelope', gave({ data: { sealed: false, t: 2 } })],
  ['mount move', done],
  ['mount disable', done],
  ['mount get after', refused(400, 'No secret engine mount at more/')],

  ['kv v1 get nothing', notFound],
  ['kv v1 put', done],
  ['kv v1 get', gave({ data: { user: 'app' }, seconds: 2764800, lease: '' })],
  ['kv v1 list', gave({ data: { keys: ['db'] } })],
  ['kv v1 delete', done],
  ['kv v1 get after', notFound],

  ['kv v2 list of nothing', done],
  ['kv v2 get nothing', notFound],
  ['kv v2 put', written(1)],
  [
    'kv v2 get',
    gave({ version: 1, custom: null, data: { user: 'app', n: '12345678901234567890', deep: { a: [1, null] } } }),
  ],
  ['kv v2 put with cas mismatch', refused(400, 'check-and-set parameter did not match the current version')],
  ['kv v2 put with cas', written(2)],
  ['kv v2 get version', gave({ version: 1, data: { user: 'app' } })],
  ["kv v2 get version that isn't there", notFound],
  ['kv v2 patch', written(3)],
  ['kv v2 patch with cas mismatch', refused(400, 'check-and-set parameter did not match the current version')],
  ['kv v2 patch of nothing', notFound],
  ['kv v2 patch by reading and writing', written(4)],
  ['kv v2 get after patch', gave({ version: 4, data: { user: 'two', more: '3', again: '4' } })],
  [
    'kv v2 patch without the capability',
    raised({ status: 403, errors: [denied], text: /please ensure that token's policy has "patch" capability/ }),
  ],
  ['kv v2 rollback', written(5)],
  ['kv v2 get after rollback', gave({ version: 5, data: { user: 'two' } })],
  ['kv v2 delete latest', done],
  ['kv v2 get deleted', gave({ version: 5, data: null, deleted: true, destroyed: false })],
  ['kv v2 undelete', done],
  ['kv v2 delete versions', done],
  ['kv v2 destroy', done],
  [
    'kv v2 versions',
    gave([
      { Version: 1, Destroyed: true },
      { Version: 2, Destroyed: false, DeletionTime: /^20/ },
      { Version: 3, Destroyed: false, DeletionTime: /^0001/ },
      { Version: 4 },
      { Version: 5, Destroyed: false, DeletionTime: /^0001/ },
    ]),
  ],
  ['kv v2 metadata put', done],
  ['kv v2 metadata patch', done],
  [
    'kv v2 metadata get',
    gave({
      casRequired: true,
      current: 5,
      oldest: 1,
      max: 8,
      deleteAfter: '1h0m0s',
      custom: { owner: 'team a', more: 'x' },
      versions: ['1', '2', '3', '4', '5'],
    }),
  ],
  ['kv v2 get with its metadata', gave({ version: 5, data: { user: 'two' }, custom: { owner: 'team a', more: 'x' } })],
  ['kv v2 put without the cas required', refused(400, 'check-and-set parameter required for this call')],
  ['kv v2 put another', written(1)],
  ['kv v2 list', gave({ data: { keys: ['db'] } })],
  ['kv v2 list at the top', gave({ data: { keys: ['app/', 'top'] } })],
  ['kv v2 metadata delete', done],
  ['kv v2 get after metadata delete', notFound],
  ['kv v2 path with blanks and umlauts', written(1)],
  ['kv v2 get with blanks and umlauts', gave({ data: { a: 'ö' } })],
  ['kv v2 configure', done],
  ['kv v2 configuration', gave({ data: { max_versions: 5, cas_required: false, delete_version_after: '2h0m0s' } })],
  ["warnings of fields that aren't known", gave(['Endpoint ignored these unrecognized parameters: [unknown]'])],

  ['policy put', done],
  ['policy get', gave('path "secret/data/app/*" { capabilities = ["read"] }')],
  ['policy list', gave(['default', 'only', 'reader', 'root'])],
  ["policy that doesn't parse", refused(400, 'failed to parse policy: path "a": invalid capability "x"')],
  ['policy delete', done],
  ['policy get after', gave('')],

  ['token create', token({ lease_duration: 3600, renewable: true, metadata: { for: 'test' }, orphan: false })],
  ['token lookup', lookedUp({ id: /^hvs\./, creation_ttl: 3600, meta: { for: 'test' }, path: 'auth/token/create' })],
  ['token lookup by accessor', lookedUp({ id: '', accessor: filled })],
  ['token accessors', gave(true)],
  ['token renew', token({ lease_duration: 7200 })],
  ['token renew by accessor', token({ client_token: '', lease_duration: 1800 })],
  ['token renew as itself', token({ lease_duration: 1200 })],
  ['token lookup self', lookedUp({ renewable: true, orphan: false, num_uses: 0, expire_time: /^20.*Z$/ })],
  [
    'token type and policies as the SDK reads them',
    gave({ policies: ['default', 'reader'], ttl: true, renewable: true, id: true }),
  ],
  ['token renew self', token({ lease_duration: 1200 })],
  ['refused by policy', refused(403, denied)],
  ['refused write', refused(403, denied)],
  ['refused list', refused(403, denied)],
  ['capabilities of self', gave(['read'])],
  ['capabilities by accessor', gave(['deny'])],
  ['capabilities of a token', gave(['read'])],
  ['token revoke self', done],
  ['token revoked', refused(403, noToken)],
  ['token periodic', token({ lease_duration: 600, renewable: true })],
  ['token periodic renewed', token({ lease_duration: 600 })],
  ['token with explicit maximum', token({ lease_duration: 3600 })],
  [
    'token renewed up to its maximum',
    gave({
      auth: { lease_duration: upTo(5400) },
      warnings: [/^TTL of "5h" exceeded the effective max_ttl of "1h(30m|29m\d+s)"; TTL value is capped accordingly$/],
    }),
  ],
  ['token orphan', token({ orphan: true })],
  ['token orphan lookup', lookedUp({ orphan: true, path: 'auth/token/create-orphan' })],
  ['token revoke by accessor', done],
  ['token lookup by a revoked accessor', refused(400, '1 error occurred:\n\t* invalid accessor\n\n')],
  ['token of two uses', token({})],
  ['token of two uses: first', lookedUp({ num_uses: 1 })],
  ['token of two uses: second', lookedUp({ num_uses: -1 })],
  ['token of two uses: third', refused(403, noToken)],
  ['token of an unknown role', refused(400, 'unknown role role')],
  ['token role write', done],
  [
    'token role read',
    gave({ data: { name: 'ci', allowed_policies: ['reader'], orphan: true, token_period: 600, path_suffix: 'build' } }),
  ],
  ['token role list', gave({ data: { keys: ['ci'] } })],
  ['token of a role', token({ orphan: true, lease_duration: 600, renewable: true })],
  ['token of a role lookup', lookedUp({ role: 'ci', path: 'auth/token/create/ci/build', period: 600 })],
  [
    'token of a role beside its policies',
    refused(
      400,
      `token policies (["default" "other"]) must be subset of the role's allowed policies (["default" "reader"]) or glob policies ([])`,
    ),
  ],
  ['token of a role as batch', refused(400, 'batch tokens cannot have "period" set')],
  ['token role delete', done],
  ['token of a deleted role renewed', refused(500, /original token role "ci" could not be found, not renewing$/)],
  ['token batch', batch({ lease_duration: 3600, renewable: false })],
  [
    'token batch lookup self',
    gave({ data: { type: 'batch', accessor: '', renewable: false, ttl: upTo(3600), policies: ['default', 'reader'] } }),
  ],
  ['token batch renewable as the SDK reads it', gave(false)],
  ['token batch renew self', refused(400, 'batch tokens cannot be renewed')],
  ['token batch create', refused(403, denied)],
  ['token batch revoke self', refused(400, 'batch tokens cannot be revoked')],
  ['token batch revoke', refused(400, 'batch tokens cannot be revoked')],
  ['token batch reads what is not there', notFound],
  ['token batch reads what it may not', refused(403, denied)],
  ['token batch capabilities', gave(['read'])],
  ['token batch with a period', refused(400, 'batch tokens cannot have "period" set')],
  ['token tidy', gave({ warnings: [/^Tidy operation successfully started\./] })],
  ['token counter', gave({ data: { counters: { service_tokens: { total: (value: unknown) => Number(value) > 1 } } } })],
  ['token of a family', gave({ auth: { policies: ['root'], lease_duration: 0, renewable: false } })],
  ['token of a child', gave({ auth: { policies: ['root'] } })],
  ['token revoke orphan', done],
  ['token child outlives it', gave({ data: { orphan: true, policies: ['root'], ttl: 0, expire_time: null } })],
  ['token revoke tree', done],
  ['token child is gone', refused(403, 'bad token')],
  ['token unknown', refused(403, noToken)],
  ['token missing', refused(403, 'permission denied')],
  ['token wrapped', gave({ wrap_info: { ...wrapInfo, creation_path: 'auth/token/create', wrapped_accessor: filled } })],
  ['token unwrapped', token({ lease_duration: 2764800 })],
  ['token unwrapped again', refused(400, notWrapping)],
  ['secret wrapped', gave({ wrap_info: { ...wrapInfo, creation_path: 'secret/data/top' } })],
  ['words wrapped', gave({ wrap_info: { ...wrapInfo, ttl: 300, creation_path: 'sys/wrapping/wrap' } })],
  [
    'wrapping token looked up',
    gave({ data: { creation_ttl: 300, creation_path: 'sys/wrapping/wrap', creation_time: filled } }),
  ],
  ['words unwrapped by the own token', gave({ data: { a: 'b' } })],

  ['auth enable', done],
  ['auth list', gave({ 'kubernetes/': pods, 'token/': { type: 'token' } })],
  ['auth get', gave({ ...pods, config: { token_type: 'default-service' } })],
  ['auth tune', done],
  ['auth tuning read', gave({ default_lease_ttl: 600, max_lease_ttl: 1200, token_type: 'default-service' })],
  ['kubernetes configuration before', done],
  ['kubernetes configure', done],
  [
    'kubernetes configuration',
    gave({ data: { kubernetes_host: 'https://127.0.0.1:1', pem_keys: [], token_reviewer_jwt_set: false } }),
  ],
  ['kubernetes list of no roles', done],
  ['kubernetes role put', done],
  ['kubernetes role without accounts', refused(400, '"bound_service_account_names" can not be empty')],
  [
    'kubernetes role get',
    gave({
      data: {
        bound_service_account_names: ['app'],
        bound_service_account_namespaces: ['default', 'prod'],
        audience: 'vault',
        token_policies: ['reader'],
        token_ttl: 900,
        alias_name_source: 'serviceaccount_uid',
      },
    }),
  ],
  ['kubernetes role list', gave({ data: { keys: ['app'] } })],
  ['kubernetes login with a bad JWT', refused(500, 'the token is no JWT: it has not three parts')],
  ['kubernetes login with an unknown role', refused(400, 'invalid role name "nobody"')],
  ['kubernetes role delete', done],
  ['kubernetes role get after', done],
  ['auth disable', done],

  [
    'approle login',
    gave({
      auth: {
        client_token: /^hvs\.\w+$/,
        lease_duration: 900,
        metadata: { role_name: 'app', team: 'a' },
        token_policies: ['default', 'reader'],
      },
    }),
  ],
  ['approle login with a secret id that is used up', refused(400, 'invalid role or secret ID')],
  [
    'approle accessor that is gone',
    // The data is handed out beside the error, which holds none.
    raised({ class: 'ResponseError', status: 404, errors: null }),
  ],
  ['approle tidy', gave({ warnings: [/^Tidy operation successfully started\./] })],
  ['lockout tune', done],
  [
    'lockout tuning read',
    gave({
      data: {
        user_lockout_config: {
          lockout_threshold: 1,
          lockout_duration: 600,
          lockout_counter_reset_duration: 300,
          lockout_disable: false,
        },
      },
    }),
  ],
  ['approle disable', done],

  ['path without a mount', done],
  ['path that sys has not', done],
  ['lease renew', refused(400, 'lease not found')],
  ['unwrap', refused(400, notWrapping)],
  ['help', gave(true)],
  ['watcher', gave({ seconds: [5, 5] })],

  ['seal', done],
  ['sealed read', refused(503, 'Vault is sealed')],
  // Once, and twice again.
  ['how often a sealed server was asked', gave(3)],
  ['sealed health', gave({ initialized: true, sealed: true })],
  ['sealed status', gave({ ...sealStatus, sealed: true, progress: 0 })],
  ['read after unsealing', gave({ version: 1, data: { a: 'b' } })],
])
