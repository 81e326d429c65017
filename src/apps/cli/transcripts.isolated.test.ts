import type { Stub } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const denied = { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }
const token = { body: { data: { id: 'hvs.t', ttl: 0, policies: ['root'], renewable: false } } }

const v2: Stub = {
  'GET /v1/sys/internal/ui/mounts/secret/app': { body: { data: { path: 'secret/', options: { version: '2' } } } },
}

const cases: readonly Transcript[] = [
  {
    rule: 'read prints a lease and its data',
    argv: 'read database/creds/app',
    stub: {
      'GET /v1/database/creds/app': {
        body: { lease_id: 'database/creds/app/x', lease_duration: 3600, renewable: true, data: { username: 'u' } },
      },
    },
    out: `Key                Value
---                -----
lease_id           database/creds/app/x
lease_duration     1h
lease_renewable    true
username           u
`,
  },
  {
    rule: 'read sends its arguments as query',
    argv: 'read sys/x a=1 a=2',
    stub: { 'GET /v1/sys/x?a=1&a=2': { body: { data: { ok: true } } } },
    out: 'Key    Value\n---    -----\nok     true\n',
  },
  { rule: 'read of nothing is code 2', argv: 'read secret/x', stub: {}, err: 'No value found at secret/x\n', code: 2 },
  {
    rule: 'read -format=raw prints the body as it came',
    argv: 'read -format=raw sys/x',
    stub: { 'GET /v1/sys/x': { body: '{"a": 1.0}' } },
    out: '{"a": 1.0}',
  },
  {
    rule: 'raw is for read alone',
    argv: 'list -format=raw sys/x',
    stub: {},
    err: 'This command does not support the -format=raw option.\n',
    code: 1,
  },
  {
    rule: 'write says where the data went',
    argv: 'write auth/k/role/a ttl=20m policies=a',
    stub: { 'PUT /v1/auth/k/role/a': {} },
    out: 'Success! Data written to: auth/k/role/a\n',
    asked: ['PUT /v1/auth/k/role/a {"ttl":"20m","policies":"a"}'],
  },
  {
    rule: 'write -f sends an empty object',
    argv: 'write -f transit/keys/a',
    stub: { 'PUT /v1/transit/keys/a': {} },
    out: 'Success! Data written to: transit/keys/a\n',
    asked: ['PUT /v1/transit/keys/a {}'],
  },
  { rule: 'write without data fails', argv: 'write a', stub: {}, err: 'Must supply data or use -force\n', code: 1 },
  {
    rule: 'write of - takes a JSON object from stdin, numbers as they are',
    argv: 'write a -',
    input: '{"n": 1.0}',
    stub: { 'PUT /v1/a': {} },
    out: 'Success! Data written to: a\n',
    asked: ['PUT /v1/a {"n":1.0}'],
  },
  {
    rule: 'an error of the server is printed word for word, with code 2',
    argv: 'write a b=c',
    stub: { 'PUT /v1/a': denied },
    err: /^Error writing data to a: Error making API request\.\n\nURL: PUT http:\/\/127\.0\.0\.1:\d+\/v1\/a\nCode: 403\. Errors:\n\n\* 1 error occurred:\n\t\* permission denied\n\n\n$/,
    code: 2,
  },
  {
    rule: 'warnings go to stderr',
    argv: 'delete a',
    stub: { 'DELETE /v1/a': { body: { warnings: ['careful'], data: null } } },
    out: '',
    err: 'WARNING! The following warnings were returned from Vault:\n\n  * careful\n\n',
  },
  {
    rule: 'delete of nothing succeeds',
    argv: 'delete secret/x',
    stub: { 'DELETE /v1/secret/x': {} },
    out: 'Success! Data deleted (if it existed) at: secret/x\n',
  },
  {
    rule: 'list -detailed=false and pages',
    argv: 'list -after=k -limit=5 pki/certs',
    stub: { 'GET /v1/pki/certs?after=k&limit=5&list=true': { body: { data: { keys: ['l'] } } } },
    out: 'Keys\n----\nl\n',
  },
  {
    rule: 'unwrap fetches by the argument',
    argv: 'unwrap hvs.wrap',
    stub: { 'PUT /v1/sys/wrapping/unwrap': { body: { data: { a: 'b' } } } },
    out: 'Key    Value\n---    -----\na      b\n',
    asked: ['PUT /v1/sys/wrapping/unwrap {"token":"hvs.wrap"}'],
  },
  {
    rule: 'path-help prints the help',
    argv: 'path-help secret/',
    stub: { 'GET /v1/secret?help=1': { body: { help: '## DESCRIPTION\nIt helps.', openapi: { openapi: '3.0.2' } } } },
    out: '## DESCRIPTION\nIt helps.\n',
  },
  {
    rule: 'policy write reads stdin and lowers the name',
    argv: 'policy write My-Policy -',
    input: 'path "a" {}',
    stub: { 'PUT /v1/sys/policies/acl/my-policy': {} },
    out: 'Success! Uploaded policy: my-policy\n',
    err: 'Policy name was converted from "My-Policy" to "my-policy"\n',
    asked: ['PUT /v1/sys/policies/acl/my-policy {"policy":"path \\"a\\" {}"}'],
  },
  {
    rule: 'policy read prints the text',
    argv: 'policy read app',
    stub: { 'GET /v1/sys/policies/acl/app': { body: { data: { name: 'app', policy: 'path "a" {}\n' } } } },
    out: 'path "a" {}\n',
  },
  { rule: 'policy read of none', argv: 'policy read x', stub: {}, err: 'No policy named: x\n', code: 2 },
  {
    rule: 'policy list prints a name a line',
    argv: 'policy list',
    stub: { 'GET /v1/sys/policies/acl?list=true': { body: { data: { keys: ['default', 'root'] } } } },
    out: 'default\nroot\n',
  },
  {
    rule: 'policy delete',
    argv: 'policy delete app',
    stub: { 'DELETE /v1/sys/policies/acl/app': {} },
    out: 'Success! Deleted policy: app\n',
  },
  {
    rule: 'policy explain says which rule decided',
    argv: 'policy explain r-1',
    stub: {
      'PUT /v1/sys/policies/explain': {
        body: {
          data: { allowed: false, policy: 'app', rule: 'secret/data/*', capabilities: ['list'], reason: 'no read' },
        },
      },
    },
    out: `Allowed         false
Reason          no read
Policy          app
Rule            secret/data/*
Capabilities    list
`,
    asked: ['PUT /v1/sys/policies/explain {"request_id":"r-1"}'],
  },
  {
    rule: 'secrets enable mounts with options',
    argv: 'secrets enable -path=team -version=2 -description=d kv',
    stub: { 'POST /v1/sys/mounts/team': {} },
    out: 'Success! Enabled the kv secrets engine at: team/\n',
    asked: [
      'POST /v1/sys/mounts/team {"type":"kv","description":"d","config":{"default_lease_ttl":"0s","max_lease_ttl":"0s","force_no_cache":false},"local":false,"seal_wrap":false,"external_entropy_access":false,"options":{"version":"2"}}',
    ],
  },
  {
    rule: 'secrets disable',
    argv: 'secrets disable team',
    stub: { 'DELETE /v1/sys/mounts/team': {} },
    out: 'Success! Disabled the secrets engine (if it existed) at: team/\n',
  },
  {
    rule: 'secrets list',
    argv: 'secrets list',
    stub: {
      'GET /v1/sys/mounts': {
        body: {
          data: {
            'sys/': { type: 'system', accessor: 's_1', description: 'system' },
            'kv/': { type: 'kv', accessor: 'kv_1', description: '' },
          },
        },
      },
    },
    out: `Path    Type      Accessor    Description
----    ----      --------    -----------
kv/     kv        kv_1        n/a
sys/    system    s_1         system
`,
  },
  {
    rule: 'secrets tune sends only what is given',
    argv: 'secrets tune -default-lease-ttl=1h -max-lease-ttl=-1s team/',
    stub: { 'POST /v1/sys/mounts/team/tune': {} },
    out: 'Success! Tuned the secrets engine at: team/\n',
    asked: ['POST /v1/sys/mounts/team/tune {"default_lease_ttl":"1h0m0s","max_lease_ttl":"system"}'],
  },
  {
    rule: 'auth enable',
    argv: 'auth enable kubernetes',
    stub: { 'POST /v1/sys/auth/kubernetes': {} },
    out: 'Success! Enabled kubernetes auth method at: kubernetes/\n',
  },
  {
    rule: 'auth disable',
    argv: 'auth disable kubernetes',
    stub: { 'DELETE /v1/sys/auth/kubernetes': {} },
    out: 'Success! Disabled the auth method (if it existed) at: kubernetes/\n',
  },
  {
    rule: 'auth tune goes by the mounts path',
    argv: 'auth tune -token-type=batch kubernetes',
    stub: { 'POST /v1/sys/mounts/auth/kubernetes/tune': {} },
    out: 'Success! Tuned the auth method at: kubernetes/\n',
    asked: [
      'POST /v1/sys/mounts/auth/kubernetes/tune {"default_lease_ttl":"","max_lease_ttl":"","token_type":"batch"}',
    ],
  },
  {
    rule: 'auth list has versions',
    argv: 'auth list',
    stub: { 'GET /v1/sys/auth': { body: { data: { 'token/': { type: 'token', accessor: 'a', description: 'd' } } } } },
    out: `Path      Type     Accessor    Description    Version
----      ----     --------    -----------    -------
token/    token    a           d              n/a
`,
  },
  { rule: 'print token', argv: 'print token', stub: {}, out: 'hvs.t\n' },
  {
    rule: 'status of a sealed server is code 2',
    argv: 'status',
    stub: {
      'GET /v1/sys/seal-status': {
        body: {
          type: 'shamir',
          initialized: true,
          sealed: true,
          t: 3,
          n: 5,
          progress: 1,
          nonce: 'abc',
          version: '1.21.0',
          storage_type: 'sqlite',
        },
      },
      'GET /v1/sys/leader': { body: { ha_enabled: false } },
    },
    out: `Key                Value
---                -----
Seal Type          shamir
Initialized        true
Sealed             true
Total Shares       5
Threshold          3
Unseal Progress    1/3
Unseal Nonce       abc
Version            1.21.0
Storage Type       sqlite
HA Enabled         false
`,
    code: 2,
  },
  {
    rule: 'status -format=json of an unsealed server',
    argv: 'status -format=json',
    stub: {
      'GET /v1/sys/seal-status': {
        body: { type: 'shamir', initialized: true, sealed: false, t: 1, n: 1, progress: 0 },
      },
      'GET /v1/sys/leader': { body: { ha_enabled: false } },
    },
    out: `{
  "type": "shamir",
  "initialized": true,
  "sealed": false,
  "t": 1,
  "n": 1,
  "progress": 0,
  "ha_enabled": false
}
`,
  },
  {
    rule: 'operator init -format=json has what scripts read',
    argv: 'operator init -key-shares=1 -key-threshold=1 -format=json',
    stub: {
      'GET /v1/sys/seal-status': { body: { type: 'shamir', sealed: true } },
      'PUT /v1/sys/init': { body: { keys: ['aa'], keys_base64: ['qg=='], root_token: 'hvs.r' } },
    },
    out: `{
  "unseal_keys_b64": [
    "qg=="
  ],
  "unseal_keys_hex": [
    "aa"
  ],
  "unseal_shares": 1,
  "unseal_threshold": 1,
  "recovery_keys_b64": [],
  "recovery_keys_hex": [],
  "recovery_keys_shares": 0,
  "recovery_keys_threshold": 0,
  "root_token": "hvs.r"
}
`,
  },
  {
    rule: 'operator init -status says by its code that it is not initialized',
    argv: 'operator init -status',
    stub: { 'GET /v1/sys/init': { body: { initialized: false } } },
    out: 'Vault is not initialized\n',
    code: 2,
  },
  {
    rule: 'operator unseal takes the key from a pipe',
    argv: 'operator unseal',
    input: 'qg==\n',
    stub: {
      'PUT /v1/sys/unseal': { body: { type: 'shamir', initialized: true, sealed: false, t: 1, n: 1 } },
      'GET /v1/sys/leader': { body: { ha_enabled: false } },
    },
    out: `Key             Value
---             -----
Seal Type       shamir
Initialized     true
Sealed          false
Total Shares    1
Threshold       1
HA Enabled      false
`,
    asked: ['PUT /v1/sys/unseal {"key":"qg==","reset":false,"migrate":false}', 'GET /v1/sys/leader'],
  },
  {
    rule: 'operator seal',
    argv: 'operator seal',
    stub: { 'PUT /v1/sys/seal': {} },
    out: 'Success! Vault is sealed.\n',
  },
  {
    rule: 'login -token-only prints the token alone and stores nothing',
    argv: 'login -token-only hvs.t',
    stub: { 'GET /v1/auth/token/lookup-self': token },
    out: 'hvs.t',
  },
  {
    rule: 'login with a method that is not there',
    argv: 'login -method=nope',
    stub: {},
    err: /^Unknown auth method: nope\. Use "coffer auth list"/,
    code: 1,
  },
  {
    rule: 'login kubernetes with a token that is given',
    argv: 'login -token-only -method=kubernetes -path=prod role=app jwt=eyJ',
    stub: { 'PUT /v1/auth/prod/login': { body: { auth: { client_token: 'hvs.k' } } } },
    out: 'hvs.k',
    asked: ['PUT /v1/auth/prod/login {"role":"app","jwt":"eyJ"}'],
  },
  {
    rule: '-output-curl-string sends nothing and hides the token',
    argv: "write -output-curl-string a b=it's",
    stub: {},
    out: `curl -X PUT -H "X-Vault-Request: true" -H "X-Vault-Token: $(coffer print token)" -H "Content-Type: application/json" -d '{"b":"it'"'"'s"}' "ADDRESS/v1/a"\n`,
    asked: [],
  },
  {
    rule: '-output-policy names the capability, after the preflight',
    argv: 'kv list -output-policy secret/app',
    stub: v2,
    out: 'path "secret/metadata/app" {\n  capabilities = ["list"]\n}\n',
    asked: ['GET /v1/sys/internal/ui/mounts/secret/app'],
  },
  {
    rule: 'an unknown flag is named',
    argv: 'read -bogus a',
    stub: {},
    err: 'flag provided but not defined: -bogus\n',
    code: 1,
  },
  {
    rule: 'too many arguments',
    argv: 'list a b',
    stub: {},
    err: 'Too many arguments (expected 1, got 2)\n',
    code: 1,
  },
  {
    rule: 'X-Vault headers are refused',
    argv: 'read -header=X-Vault-Token=x a',
    stub: {},
    err: "failed to setup Headers[X-Vault-Token]: Header starting by 'X-Vault-' are for internal usage only\n",
    code: 2,
  },
  { rule: 'an unknown format', argv: 'read -format=xml a', stub: {}, err: 'Invalid output format: xml\n', code: 1 },
  {
    rule: 'yaml sorts keys',
    argv: 'read -format=yaml -field=data a',
    stub: { 'GET /v1/a': { body: { data: { b: 'x', a: ['1'] } } } },
    out: 'a:\n- "1"\nb: x\n',
  },
]

play(cases)
