import { nodeClient } from './clients.ts'
import { type Expected, filled } from './expect.ts'
import { gave, type Outcome, raised, testWalk } from './walk.ts'

// What JavaScript programs see: the body for 200 and 204, and an error that holds status and body for all else.

const refused = (status: number, ...errors: string[]): Outcome => raised({ class: 'ApiResponseError', status, errors })
/** 404 without a text. */
const nothing = refused(404)
const done = gave(null)

const denied = refused(403, '1 error occurred:\n\t* permission denied\n\n')
const noToken = refused(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n')
/** What the server hasn't yet, and says so: a row for it changes when it has. */
const notServed = refused(404, '1 error occurred:\n\t* unsupported path\n\n')

const data = (expected: Expected): Outcome => gave({ data: expected })
const written = (version: number): Outcome =>
  data({ version, destroyed: false, deletion_time: '', custom_metadata: null, created_time: /^20.*Z$/ })
const token = (more: { [member: string]: Expected }): Outcome =>
  gave({ auth: { client_token: /^hvs\.\w+$/, accessor: filled, policies: ['default', 'reader'], ...more } })
const lookedUp = (more: { [member: string]: Expected }): Outcome =>
  data({ policies: ['default', 'reader'], type: 'service', explicit_max_ttl: 0, ...more })
const sealStatus = { type: 'shamir', initialized: true, t: 2, n: 3 }
const kvMount = { type: 'kv', options: { version: '2' }, accessor: /^kv_/ }
const rules = 'path "secret/data/app/*" { capabilities = ["read"] }'

testWalk('node-vault', nodeClient, [
  ['init status before', gave({ initialized: false })],
  ['health before init', gave({ initialized: false, sealed: true })],
  ['secret before init', refused(503, 'Vault is sealed')],
  ['init', gave({ keys: [filled, filled, filled], keys_base64: [filled, filled, filled], root_token: /^hvs\./ })],
  ['init again', refused(400, 'Vault is already initialized')],
  ['health while sealed', gave({ initialized: true, sealed: true })],
  ['unseal first share', gave({ ...sealStatus, sealed: true, progress: 1 })],
  ['unseal reset', gave({ ...sealStatus, sealed: true, progress: 0 })],
  ['unseal second share', gave({ ...sealStatus, sealed: false, progress: 0 })],
  ['seal status', gave({ ...sealStatus, sealed: false, storage_type: 'sqlite' })],
  ['health', gave({ initialized: true, sealed: false, standby: false, version: /^1\.21\.0\+coffer/ })],
  ['health with a code of its own', gave({ initialized: true, sealed: false })],
  ['leader', gave({ ha_enabled: false, is_self: false, leader_address: '' })],

  ['audit enable', done],
  ['audit list', data({ 'file/': { type: 'file', path: 'file/', options: { file_path: /\/node\.log$/ } } })],
  ['audit hash', data({ hash: /^hmac-sha256:[0-9a-f]{64}$/ })],
  ['audit disable', done],
  ['audit list after', data(value => JSON.stringify(value) === '{}')],

  ['mount kv v2', done],
  ['mount where one is', refused(400, 'path is already in use at secret/')],
  ['mount kv v1', done],
  // Outside of `data` too, as older programs read it.
  ['mounts list', gave({ data: { 'secret/': kvMount, 'more/': { description: 'old' } }, 'secret/': kvMount })],
  ['mount tune', done],
  ['mount tuning read', data({ default_lease_ttl: 1800, max_lease_ttl: 7200, description: 'old' })],
  ['mount move', data({ migration_id: filled })],
  ["mount move's end", gave('success')],
  ['mount disable', done],

  ['kv v1 put', done],
  ['kv v1 get', gave({ data: { user: 'app' }, lease_duration: 2764800, lease_id: '', renewable: false })],
  ['kv v1 list', data({ keys: ['db'] })],
  ['kv v1 delete', done],
  ['kv v1 get after', nothing],

  ['kv v2 list of nothing', nothing],
  ['kv v2 get nothing', nothing],
  ['kv v2 put', written(1)],
  ['kv v2 get', data({ data: { user: 'app', deep: { a: [1, null] } }, metadata: { version: 1 } })],
  ['kv v2 put with cas mismatch', refused(400, 'check-and-set parameter did not match the current version')],
  ['kv v2 put with cas', written(2)],
  ['kv v2 get version', data({ data: { user: 'app' }, metadata: { version: 1 } })],
  ['kv v2 patch', written(3)],
  ['kv v2 patch of nothing', nothing],
  ['kv v2 get after patch', data({ data: value => JSON.stringify(value) === '{"more":"3"}' })],
  ['kv v2 delete latest', done],
  ['kv v2 get deleted', raised({ class: 'ApiResponseError', status: 404, errors: null })],
  ['kv v2 undelete', done],
  ['kv v2 delete versions', done],
  ['kv v2 destroy', done],
  ['kv v2 metadata put', done],
  [
    'kv v2 metadata get',
    data({
      cas_required: false,
      current_version: 3,
      max_versions: 4,
      custom_metadata: { owner: 'team a' },
      versions: { 1: { destroyed: true }, 2: { deletion_time: /^20/ }, 3: { destroyed: false, deletion_time: '' } },
    }),
  ],
  ['kv v2 list', data({ keys: ['app/', 'top'] })],
  ['kv v2 list without the verb LIST', data({ keys: ['app/', 'top'] })],
  ['kv v2 metadata delete', done],
  ['kv v2 get after metadata delete', nothing],
  ['help', gave({ help: /^Request: +data\/a\n/, see_also: null })],

  [
    'policy put',
    gave({
      warnings: [
        '"rules" is deprecated: send "policy"',
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]",
      ],
    }),
  ],
  ['policy get', gave({ data: { name: 'reader', rules }, name: 'reader', rules })],
  ['policy list', gave({ policies: ['default', 'reader', 'root'] })],
  ['policy delete', done],
  ['policy get after', nothing],

  ['token create', token({ lease_duration: 3600, renewable: true, metadata: { for: 'test' }, orphan: false })],
  ['token lookup', lookedUp({ id: /^hvs\./, creation_ttl: 3600, meta: { for: 'test' }, path: 'auth/token/create' })],
  ['token lookup by accessor', lookedUp({ id: '', accessor: filled })],
  ['token accessors', gave(true)],
  ['token renew', token({ lease_duration: 7200 })],
  ['token lookup self', lookedUp({ renewable: true, num_uses: 0 })],
  ['token renew self', token({ lease_duration: 1200 })],
  ['refused by policy', denied],
  ['refused write', denied],
  ['capabilities of self', data({ 'secret/data/app/x': ['read'], capabilities: ['read'] })],
  ['capabilities by accessor', data({ 'secret/data/top': ['deny'], capabilities: ['deny'] })],
  ['token revoke self', done],
  ['token revoked', noToken],
  ['token orphan', token({ orphan: true })],
  ['token revoke by accessor', done],
  ['token with explicit maximum', token({ lease_duration: 3600 })],
  ['token revoke', done],
  ['token of two uses', token({ num_uses: 2 })],
  ['token of two uses: third', noToken],
  ['token of a family', gave({ auth: { policies: ['root'], lease_duration: 0, renewable: false } })],
  ['token revoke orphan', done],
  ['token child outlives it', lookedUp({ orphan: true })],
  ['token unknown', noToken],
  ['token missing', refused(403, 'permission denied')],
  ['secret wrapped', gave({ data: null, wrap_info: { token: /^hvs\./, ttl: 60, creation_path: 'secret/data/top' } })],
  ['secret unwrapped', gave({ data: { metadata: { version: value => typeof value === 'number' } } })],
  ['secret unwrapped again', refused(400, 'wrapping token is not valid or does not exist')],

  ['auth enable', done],
  ['auth list', gave({ 'kubernetes/': { type: 'kubernetes', description: 'pods' }, 'token/': { type: 'token' } })],
  ['auth tune', done],
  ['auth tuning read', data({ max_lease_ttl: 1200, token_type: 'default-service' })],
  ['kubernetes configure', done],
  ['kubernetes configuration', data({ kubernetes_host: 'https://127.0.0.1:1', token_reviewer_jwt_set: false })],
  [
    'kubernetes role put',
    gave({
      warnings: ['Role does not have an audience. In Vault v1.21+, specifying an audience on roles will be required.'],
    }),
  ],
  [
    'kubernetes role get',
    data({ bound_service_account_names: ['app'], token_policies: ['reader'], token_ttl: 900, ttl: 900 }),
  ],
  ['kubernetes role list', data({ keys: ['app'] })],
  ['kubernetes login with a bad JWT', refused(500, 'the token is no JWT: it has not three parts')],
  ['kubernetes login with an unknown role', refused(400, 'invalid role name "nobody"')],
  ['kubernetes role delete', done],
  ['kubernetes role get after', nothing],
  ['auth disable', done],

  ['path without a mount', refused(404, 'no handler for route "nothing/here". route entry not found.')],
  ['path that sys has not', notServed],
  ['lease renew', refused(400, 'lease not found')],
  ['unwrap', refused(400, 'wrapping token is not valid or does not exist')],
  ['renewal', token({ renewable: true, lease_duration: 10 })],

  ['seal', done],
  ['sealed read', refused(503, 'Vault is sealed')],
  ['sealed health', gave({ initialized: true, sealed: true })],
  ['read after unsealing', data({ data: { a: 'b' } })],
])
