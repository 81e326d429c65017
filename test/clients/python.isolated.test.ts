import { pythonClient } from './clients.ts'
import { type Expected, filled, upTo } from './expect.ts'
import { gave, type Outcome, raised, testWalk } from './walk.ts'

// What Python programs see: a dictionary for 200, the response itself for all else, and an exception's class by status.

const refused = (error: string, ...errors: string[]): Outcome => raised({ class: error, errors })
const invalid = (error: string): Outcome => refused('InvalidRequest', error)
/** 404 without a text. */
const nothing = refused('InvalidPath')
const done = gave({ status: 204 })

const denied = refused('Forbidden', '1 error occurred:\n\t* permission denied\n\n')
const noToken = refused('Forbidden', '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')
/** What the server hasn't yet, and says so: a row for it changes when it has. */
const notServed = refused('InvalidPath', '1 error occurred:\n\t* unsupported path\n\n')
const sealed = refused('VaultDown', 'Vault is sealed')

const data = (expected: Expected): Outcome => gave({ data: expected })
const written = (version: number): Outcome =>
  data({ version, destroyed: false, deletion_time: '', custom_metadata: null, created_time: /^20.*Z$/ })
const token = (more: { [member: string]: Expected }): Outcome =>
  gave({ auth: { client_token: /^hvs\.\w+$/, accessor: filled, policies: ['default', 'reader'], ...more } })
const lookedUp = (more: { [member: string]: Expected }): Outcome =>
  data({ policies: ['default', 'reader'], type: 'service', entity_id: '', explicit_max_ttl: 0, ...more })
const sealStatus = { type: 'shamir', initialized: true, t: 2, n: 3 }
const kvMount = { type: 'kv', options: { version: '2' }, accessor: /^kv_/ }
const rules = 'path "secret/data/app/*" { capabilities = ["read"] }'
const wrapInfo = { token: /^hvs\.\w{24}$/, accessor: filled, ttl: 60, creation_time: filled }

testWalk('hvac', pythonClient, [
  ['init status before', gave(false)],
  ['health before init', gave({ status: 501 })],
  ['secret before init', sealed],
  ['init', gave({ keys: [filled, filled, filled], keys_base64: [filled, filled, filled], root_token: /^hvs\./ })],
  ['init again', invalid('Vault is already initialized')],
  ['health while sealed', gave({ status: 503 })],
  ['unseal with no key in base64 or hex', invalid("'key' must be a valid hex or base64 string")],
  ['unseal first share', gave({ ...sealStatus, sealed: true, progress: 1 })],
  ['unseal reset', gave({ ...sealStatus, sealed: true, progress: 0 })],
  ['unseal in one go', gave({ ...sealStatus, sealed: false, progress: 0 })],
  ['seal status', gave({ ...sealStatus, sealed: false, storage_type: 'sqlite' })],
  ['is sealed', gave(false)],
  ['health', gave({ initialized: true, sealed: false, standby: false, version: /^1\.21\.0\+coffer/ })],
  ['health by HEAD', gave({ status: 200 })],
  ["health with a code of one's own", gave({ status: 299 })],
  ['leader', gave({ ha_enabled: false, is_self: false, leader_address: '' })],
  ['authenticated', gave(true)],

  ['audit enable', done],
  ['audit list', data({ 'file/': { type: 'file', path: 'file/', options: { file_path: /\/hvac\.log$/ } } })],
  ['audit hash', data({ hash: /^hmac-sha256:[0-9a-f]{64}$/ })],
  [
    'audit file outside of the folder',
    raised({
      class: 'InvalidRequest',
      errors: [/^file_path must be an absolute path below the audit_directory \//],
    }),
  ],
  ['audit disable', done],
  ['audit list after', data(value => JSON.stringify(value) === '{}')],

  ['mount kv v2', done],
  ['mount with settings', done],
  ['mount where one is', invalid('path is already in use at more/')],
  ['mount kv v1', done],
  ['mount unknown type', invalid('plugin not found in the catalog: nothing')],
  [
    'mounts list',
    data({
      'secret/': kvMount,
      'more/': { ...kvMount, description: 'old', config: { default_lease_ttl: 3600, max_lease_ttl: 7200 } },
    }),
  ],
  ['mount option', gave('2')],
  ['mount tune', done],
  ['mount tuning read', data({ default_lease_ttl: 1800, max_lease_ttl: 7200, description: 'new' })],
  ['mount move', notServed],
  ['mount disable', done],

  ['kv v1 list of nothing', nothing],
  ['kv v1 put', done],
  // A value named ttl says how long the others hold.
  ['kv v1 get', gave({ data: { user: 'app', ttl: '90s' }, lease_duration: 90, lease_id: '', renewable: false })],
  ['kv v1 list', data({ keys: ['db'] })],
  ['kv v1 delete', done],
  ['kv v1 get after', nothing],

  ['kv v2 list of nothing', nothing],
  ['kv v2 get nothing', nothing],
  ['kv v2 put', written(1)],
  [
    'kv v2 get',
    data({ data: { user: 'app', n: '12345678901234567890', deep: { a: [1, null] } }, metadata: { version: 1 } }),
  ],
  ['kv v2 put with cas mismatch', invalid('check-and-set parameter did not match the current version')],
  ['kv v2 put with cas', written(2)],
  ['kv v2 get version', data({ data: { user: 'app' }, metadata: { version: 1 } })],
  ['kv v2 patch', written(3)],
  [
    'kv v2 patch of nothing',
    raised({ class: 'InvalidPath', errors: null, text: /^No value found at "nothing"; patch only works on existing/ }),
  ],
  ['kv v2 get after patch', data({ data: { user: 'two', more: '3' }, metadata: { version: 3 } })],
  ['kv v2 delete latest', done],
  ['kv v2 get deleted, raising', raised({ class: 'InvalidPath', errors: null, text: /"data":\{"data":null,/ })],
  ['kv v2 get deleted, not raising', data({ data: null, metadata: { version: 3, deletion_time: /^20/ } })],
  ['kv v2 undelete', done],
  ['kv v2 delete versions', done],
  ['kv v2 destroy', done],
  ['kv v2 get destroyed', data({ data: null, metadata: { version: 1, destroyed: true } })],
  ['kv v2 metadata put', done],
  [
    'kv v2 metadata get',
    data({
      cas_required: true,
      current_version: 3,
      oldest_version: 1,
      max_versions: 4,
      delete_version_after: '1h0m0s',
      custom_metadata: { owner: 'team a' },
      versions: {
        1: { destroyed: true },
        2: { destroyed: false, deletion_time: /^20/ },
        3: { destroyed: false, deletion_time: '' },
      },
    }),
  ],
  ['kv v2 put without the cas required', invalid('check-and-set parameter required for this call')],
  ['kv v2 list', data({ keys: ['db', 'other'] })],
  ['kv v2 list at the top', data({ keys: ['app/', 'top'] })],
  ['kv v2 list without the verb LIST', data({ keys: ['db', 'other'] })],
  ['kv v2 metadata delete', done],
  ['kv v2 get after metadata delete', nothing],
  ['kv v2 configure', done],
  ['kv v2 configuration', data({ max_versions: 5, cas_required: false, delete_version_after: '2h0m0s' })],
  ['kv v2 path with blanks and umlauts', data({ version: 1, deletion_time: /^20/ })],
  ['kv v2 get with blanks and umlauts', data({ data: { a: 'ö' } })],

  ['policy put', done],
  ['policy get', data({ name: 'reader', rules })],
  ['policy list', data({ policies: ['default', 'reader', 'root'], keys: ['default', 'reader', 'root'] })],
  ['acl policy put as a dictionary', done],
  ['acl policy get', data({ name: 'writer', policy: /"secret\/data\/\*"/ })],
  ['acl policy list', data({ keys: ['default', 'reader', 'writer', 'root'] })],
  ['policy delete', done],
  ['policy get after', nothing],
  ["policy that doesn't parse", invalid('failed to parse policy: path "a": invalid capability "x"')],

  ['token create', token({ lease_duration: 3600, renewable: true, metadata: { for: 'test' }, orphan: false })],
  ['token lookup', lookedUp({ id: /^hvs\./, creation_ttl: 3600, meta: { for: 'test' }, path: 'auth/token/create' })],
  ['token lookup by accessor', lookedUp({ id: '', accessor: filled })],
  ['token accessors', gave(true)],
  ['token renew', token({ lease_duration: 7200 })],
  ['token renew by accessor', token({ client_token: '', lease_duration: 1800 })],
  ['token lookup self', lookedUp({ renewable: true, num_uses: 0, expire_time: /^20.*Z$/ })],
  ['token is authenticated', gave(true)],
  ['token renew self', token({ lease_duration: 1200 })],
  ['allowed by policy', data({ data: { a: 'b' } })],
  ['refused by policy', denied],
  ['refused write', denied],
  ['capabilities of self', data({ 'secret/data/app/x': ['read'], 'secret/data/top': ['deny'] })],
  ['capabilities by accessor', data({ 'secret/data/app/x': ['read'], capabilities: ['read'] })],
  ['capabilities of a token', data({ 'secret/data/app/x': ['read'] })],
  ['capabilities of root', data({ any: ['root'] })],
  ['token revoke self', done],
  ['token revoked', noToken],
  ['token revoked is not authenticated', gave(false)],
  ['token periodic', token({ lease_duration: 600 })],
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
  ['token lookup by a revoked accessor', invalid('1 error occurred:\n\t* invalid accessor\n\n')],
  ['token of two uses: first', lookedUp({ num_uses: 1 })],
  ['token of two uses: second', lookedUp({ num_uses: -1 })],
  ['token of two uses: third', noToken],
  ['token role write', done],
  [
    'token role read',
    data({ name: 'ci', allowed_policies: ['reader'], orphan: true, renewable: false, path_suffix: 'build' }),
  ],
  ['token role list', data({ keys: ['ci'] })],
  ['token of a role', token({ orphan: true, lease_duration: 3600, renewable: false })],
  ['token role delete', done],
  ['token of an unknown role', invalid('unknown role ci')],
  [
    'token batch',
    gave({ auth: { client_token: /^hvb\.[\w-]+$/, accessor: '', token_type: 'batch', renewable: false } }),
  ],
  ['token batch lookup self', data({ type: 'batch', accessor: '', renewable: false, ttl: upTo(3600) })],
  ['token batch renew self', invalid('batch tokens cannot be renewed')],
  ['token batch revoke', invalid('batch tokens cannot be revoked')],
  ['token batch is authenticated', gave(true)],
  ['token batch of limited uses', invalid('batch tokens cannot have "num_uses" set')],
  ['token tidy', gave({ status: 202 })],
  ['token wrapped', gave({ auth: null, wrap_info: { ...wrapInfo, wrapped_accessor: filled } })],
  ['token unwrapped', gave({ auth: { policies: ['default', 'reader'] }, wrap_info: null })],
  ['token unwrapped again', invalid('wrapping token is not valid or does not exist')],
  ['words wrapped', gave({ wrap_info: { ...wrapInfo, ttl: 120, creation_path: 'sys/wrapping/wrap' } })],
  ['words unwrapped by the own token', gave({ data: { a: 'b' } })],
  ['token revoke orphan', done],
  ['token child outlives it', lookedUp({ orphan: true })],
  ['token revoke', done],
  ['token unknown', noToken],
  ['token missing', refused('Forbidden', 'permission denied')],

  ['auth enable', done],
  ['auth list', data({ 'kubernetes/': { type: 'kubernetes', description: 'pods' }, 'token/': { type: 'token' } })],
  ['auth tune', done],
  ['auth tuning read', data({ default_lease_ttl: 600, max_lease_ttl: 1200, token_type: 'default-service' })],
  ['kubernetes login before configuration', invalid('invalid role name "app"')],
  ['kubernetes configure', done],
  ['kubernetes configuration', gave({ kubernetes_host: 'https://127.0.0.1:1', token_reviewer_jwt_set: true })],
  ['kubernetes list of no roles', nothing],
  ['kubernetes role put', done],
  ['kubernetes role without accounts', invalid('"bound_service_account_names" can not be empty')],
  [
    'kubernetes role get',
    gave({
      bound_service_account_names: ['app'],
      bound_service_account_namespaces: ['default', 'prod'],
      audience: 'vault',
      token_policies: ['reader'],
      token_ttl: 900,
      alias_name_source: 'serviceaccount_name',
    }),
  ],
  ['kubernetes role list', gave({ keys: ['app'] })],
  ['kubernetes login with a bad JWT', refused('InternalServerError', 'the token is no JWT: it has not three parts')],
  ['kubernetes login with an unknown role', invalid('invalid role name "nobody"')],
  ['kubernetes role delete', done],
  ['kubernetes role get after', nothing],
  ['auth disable', done],
  [
    'kubernetes login when disabled',
    refused('InvalidPath', 'no handler for route "auth/kubernetes/login". route entry not found.'),
  ],

  ['approle list of no roles', nothing],
  ['approle role put', done],
  [
    'approle role get',
    data({
      bind_secret_id: true,
      secret_id_bound_cidrs: null,
      secret_id_num_uses: 2,
      secret_id_ttl: 600,
      token_policies: ['reader'],
      token_ttl: 900,
    }),
  ],
  ['approle role list', data({ keys: ['app'] })],
  ['approle role id', data({ role_id: filled })],
  [
    'approle secret id',
    data({ secret_id: filled, secret_id_accessor: filled, secret_id_num_uses: 2, secret_id_ttl: 600 }),
  ],
  ['approle secret id read', data({ secret_id_num_uses: 2, metadata: { team: 'a' }, expiration_time: /^20.*Z$/ })],
  ['approle accessors', gave(true)],
  ['approle accessor read', data({ secret_id_num_uses: 2, cidr_list: [], token_bound_cidrs: [] })],
  [
    'approle login',
    token({ lease_duration: 900, renewable: true, metadata: { role_name: 'app', team: 'a' }, entity_id: filled }),
  ],
  ['approle logged in', data({ path: 'auth/approle/login', display_name: 'approle', entity_id: filled })],
  ['approle login with a wrong secret id', invalid('invalid role or secret ID')],
  ['approle login with an unknown role id', invalid('invalid role or secret ID')],
  ["approle secret id of one's own", data({ secret_id: 'mine', secret_id_ttl: 600 })],
  [
    "approle secret id of one's own again",
    refused(
      'InternalServerError',
      '1 error occurred:\n\t* failed to store secret_id: SecretID is already registered\n\n',
    ),
  ],
  ['approle secret id destroy', done],
  ['approle accessor destroy', done],
  ['approle accessor read after', raised({ class: 'InvalidPath', text: /failed to find accessor entry/ })],
  ['approle role id put', done],
  ['approle role delete', done],
  ['approle role get after', nothing],
  ['approle locked out', refused('Forbidden', 'permission denied')],
  ['locked users', data({ total: 1, by_namespace: [{ counts: 1 }] })],

  ['path without a mount', gave(null)],
  ['path that sys has not', notServed],
  ['lease renew', invalid('lease not found')],

  ['seal', done],
  ['sealed read', sealed],
  ['sealed lookup', sealed],
  ['sealed status', gave(true)],
  ['read after unsealing', data({ data: { a: 'b' } })],
])
