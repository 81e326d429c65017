import { play, type Transcript } from './transcript.ts'

const mountConfig = [
  '-default-lease-ttl=1h',
  '-max-lease-ttl=2h',
  '-audit-non-hmac-request-keys=a',
  '-audit-non-hmac-response-keys=b',
  '-listing-visibility=unauth',
  '-passthrough-request-headers=X-A',
  '-allowed-response-headers=X-B',
  '-plugin-version=v1',
  '-options=k=v',
  '-description=d',
].join(' ')
const mountConfigKeys =
  '"audit_non_hmac_request_keys":["a"],"audit_non_hmac_response_keys":["b"],"listing_visibility":"unauth",' +
  '"passthrough_request_headers":["X-A"],"allowed_response_headers":["X-B"],"plugin_version":"v1"'

const cases: readonly Transcript[] = [
  {
    rule: 'token create sends what each of its flags says',
    argv:
      'token create -id=me -display-name=n -ttl=1h -explicit-max-ttl=2h -period=3h -renewable=false -orphan ' +
      '-no-default-policy -use-limit=4 -role=r -type=batch -metadata=a=b -metadata=c=d -policy=p -policy=q -entity-alias=e -field=token',
    stub: { 'POST /v1/auth/token/create/r': { body: { auth: { client_token: 'hvb.x' } } } },
    out: 'hvb.x',
    asked: [
      'POST /v1/auth/token/create/r {"id":"me","policies":["p","q"],"meta":{"a":"b","c":"d"},"ttl":"1h0m0s",' +
        '"explicit_max_ttl":"2h0m0s","period":"3h0m0s","no_parent":true,"no_default_policy":true,"display_name":"n",' +
        '"num_uses":4,"renewable":false,"type":"batch","entity_alias":"e"}',
    ],
  },
  {
    rule: 'secrets enable sends what each of its flags says',
    argv: `secrets enable ${mountConfig} -force-no-cache -local -seal-wrap -external-entropy-access -path=p -plugin-name=mine plugin`,
    stub: { 'POST /v1/sys/mounts/p': {} },
    out: 'Success! Enabled the mine secrets engine version v1 at: p/\n',
    asked: [
      'POST /v1/sys/mounts/p {"type":"mine","description":"d","config":{"default_lease_ttl":"1h0m0s","max_lease_ttl":"2h0m0s",' +
        `"force_no_cache":true,${mountConfigKeys}},"local":true,"seal_wrap":true,"external_entropy_access":true,"options":{"k":"v"}}`,
    ],
  },
  {
    rule: 'auth enable sends what each of its flags says',
    argv: `auth enable ${mountConfig} -token-type=service -version=2 -local -seal-wrap -external-entropy-access -path=p jwt`,
    stub: { 'POST /v1/sys/auth/p': {} },
    out: 'Success! Enabled jwt auth method version v1 at: p/\n',
    asked: [
      'POST /v1/sys/auth/p {"type":"jwt","description":"d","config":{"default_lease_ttl":"1h0m0s","max_lease_ttl":"2h0m0s",' +
        `"force_no_cache":false,${mountConfigKeys},"token_type":"service"},"local":true,"seal_wrap":true,` +
        '"external_entropy_access":true,"options":{"k":"v","version":"2"}}',
    ],
  },
  {
    rule: 'secrets tune sends what each of its flags says',
    argv: `secrets tune ${mountConfig} -version=2 p`,
    stub: { 'POST /v1/sys/mounts/p/tune': {} },
    out: 'Success! Tuned the secrets engine at: p/\n',
    asked: [
      'POST /v1/sys/mounts/p/tune {"default_lease_ttl":"1h0m0s","max_lease_ttl":"2h0m0s",' +
        `"options":{"k":"v","version":"2"},"description":"d",${mountConfigKeys}}`,
    ],
  },
  {
    rule: 'auth tune sends what each of its flags says',
    argv: `auth tune ${mountConfig} p`,
    stub: { 'POST /v1/sys/mounts/auth/p/tune': {} },
    out: 'Success! Tuned the auth method at: p/\n',
    asked: [
      'POST /v1/sys/mounts/auth/p/tune {"default_lease_ttl":"1h0m0s","max_lease_ttl":"2h0m0s",' +
        `"options":{"k":"v"},"description":"d",${mountConfigKeys}}`,
    ],
  },
  {
    rule: 'auth tune sends what is said of lockouts, and nothing of it otherwise',
    argv: 'auth tune -user-lockout-threshold=3 -user-lockout-duration=10m -user-lockout-counter-reset-duration=1h -user-lockout-disable=false p',
    stub: { 'POST /v1/sys/mounts/auth/p/tune': {} },
    out: 'Success! Tuned the auth method at: p/\n',
    asked: [
      'POST /v1/sys/mounts/auth/p/tune {"default_lease_ttl":"","max_lease_ttl":"","user_lockout_config":{"lockout_threshold":"3",' +
        '"lockout_duration":"10m0s","lockout_counter_reset_duration":"1h0m0s","lockout_disable":false}}',
    ],
  },
  {
    rule: 'secrets list -detailed prints every column',
    argv: 'secrets list -detailed',
    stub: {
      'GET /v1/sys/mounts': {
        body: {
          data: {
            'kv/': {
              type: 'kv',
              accessor: 'a',
              uuid: 'u',
              options: { version: '2' },
              config: { default_lease_ttl: 60 },
            },
          },
        },
      },
    },
    out: [
      'Path    Plugin    Accessor    Default TTL    Max TTL    Force No Cache    Replication    Seal Wrap    External Entropy Access    Options           Description    UUID    Version    Running Version    Running SHA256    Deprecation Status',
      '----    ------    --------    -----------    -------    --------------    -----------    ---------    -----------------------    -------           -----------    ----    -------    ---------------    --------------    ------------------',
      'kv/     kv        a           60             system     false             replicated     false        false                      map[version:2]    n/a            u       n/a        n/a                n/a               n/a',
      '',
    ].join('\n'),
  },
  {
    rule: 'operator init sends the recovery flags with an auto-unseal only',
    argv: 'operator init -recovery-shares=3 -recovery-threshold=2',
    stub: {
      'GET /v1/sys/seal-status': { body: { type: 'transit', recovery_seal: true } },
      'PUT /v1/sys/init': { body: { keys: [], recovery_keys_base64: ['cg=='], root_token: 'hvs.r' } },
    },
    out: `Recovery Key 1: cg==

Initial Root Token: hvs.r

Success! Vault is initialized

Recovery key initialized with 3 key shares and a key threshold of 2. Please
securely distribute the key shares printed above.
`,
    asked: [
      'GET /v1/sys/seal-status',
      'PUT /v1/sys/init {"secret_shares":0,"secret_threshold":0,"pgp_keys":null,"root_token_pgp_key":"","recovery_shares":3,"recovery_threshold":2,"recovery_pgp_keys":null}',
    ],
  },
  {
    rule: 'operator init prints its keys and what they are for',
    argv: 'operator init -n=2 -t=2',
    stub: {
      'GET /v1/sys/seal-status': { body: { type: 'shamir' } },
      'PUT /v1/sys/init': { body: { keys: ['aa', 'bb'], keys_base64: ['qg==', 'uw=='], root_token: 'hvs.r' } },
    },
    out: `Unseal Key 1: qg==
Unseal Key 2: uw==

Initial Root Token: hvs.r

Vault initialized with 2 key shares and a key threshold of 2. Please securely
distribute the key shares printed above. When the Vault is re-sealed,
restarted, or stopped, you must supply at least 2 of these keys to unseal it
before it can start servicing requests.

Vault does not store the generated root key. Without at least 2 keys to
reconstruct the root key, Vault will remain permanently sealed!
`,
  },
  {
    rule: 'operator unseal -reset forgets the keys',
    argv: 'operator unseal -reset -format=json',
    stub: {
      'PUT /v1/sys/unseal': { body: { type: 'shamir', sealed: true } },
      'GET /v1/sys/leader': { status: 503, body: { errors: ['Vault is sealed'] } },
    },
    out: '{\n  "type": "shamir",\n  "sealed": true,\n  "ha_enabled": true\n}\n',
    asked: ['PUT /v1/sys/unseal {"reset":true}', 'GET /v1/sys/leader'],
  },
  {
    rule: 'kv metadata patch removes and sets custom metadata',
    argv: 'kv metadata patch -mount=secret -max-versions=2 -delete-version-after=1h -cas-required=false -custom-metadata=a=b -remove-custom-metadata=c app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret': { body: { data: { path: 'secret/', options: { version: '2' } } } },
      'PATCH /v1/secret/metadata/app': {},
    },
    out: 'Success! Data written to: secret/metadata/app\n',
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret',
      'PATCH /v1/secret/metadata/app {"max_versions":2,"delete_version_after":"1h0m0s","cas_required":false,"custom_metadata":{"a":"b","c":null}}',
    ],
  },
  {
    rule: 'kv metadata delete removes everything',
    argv: 'kv metadata delete secret/app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret/app': { body: { data: { path: 'secret/', options: { version: '2' } } } },
      'DELETE /v1/secret/metadata/app': {},
    },
    out: 'Success! Data deleted (if it existed) at: secret/metadata/app\n',
  },
  {
    rule: 'kv patch -method=rw reads and writes, -remove-data removes a key',
    argv: 'kv patch -method=rw -remove-data=a secret/app b=2',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret/app': { body: { data: { path: 'secret/', options: { version: '2' } } } },
      'GET /v1/secret/data/app': { body: { data: { data: { a: '1', c: '3' }, metadata: { version: 7 } } } },
      'PUT /v1/secret/data/app': {},
    },
    out: 'Success! Data written to: secret/data/app\n',
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'GET /v1/secret/data/app',
      'PUT /v1/secret/data/app {"data":{"c":"3","b":"2"},"options":{"cas":7}}',
    ],
  },
  {
    rule: 'kv patch -method=patch with -cas sends one request and no other',
    argv: 'kv patch -method=patch -cas=3 secret/app b=2',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret/app': { body: { data: { path: 'secret/', options: { version: '2' } } } },
      'PATCH /v1/secret/data/app': { status: 405, body: { errors: [] } },
    },
    err: /^Error writing data to secret\/data\/app: Error making API request/,
    code: 2,
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'PATCH /v1/secret/data/app {"data":{"b":"2"},"options":{"cas":3}}',
    ],
  },
  {
    rule: 'kv metadata put -cas-required',
    argv: 'kv metadata put -cas-required secret/app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret/app': { body: { data: { path: 'secret/', options: { version: '2' } } } },
      'PUT /v1/secret/metadata/app': {},
    },
    out: 'Success! Data written to: secret/metadata/app\n',
    asked: ['GET /v1/sys/internal/ui/mounts/secret/app', 'PUT /v1/secret/metadata/app {"cas_required":true}'],
  },
  {
    rule: 'operator unseal -migrate marks the key',
    argv: 'operator unseal -migrate -format=json qg==',
    stub: {
      'PUT /v1/sys/unseal': { body: { sealed: false } },
      'GET /v1/sys/leader': { body: { ha_enabled: false } },
    },
    out: '{\n  "sealed": false,\n  "ha_enabled": false\n}\n',
    asked: ['PUT /v1/sys/unseal {"key":"qg==","reset":false,"migrate":true}', 'GET /v1/sys/leader'],
  },
  {
    rule: 'token revoke -mode=path revokes what came from a path',
    argv: 'token revoke -mode=path auth/k/login',
    stub: { 'PUT /v1/sys/leases/revoke-prefix/auth/k/login': {} },
    out: 'Success! Revoked token (if it existed)\n',
  },
  {
    rule: 'token revoke -mode=orphan leaves the children',
    argv: 'token revoke -mode=orphan hvs.x',
    stub: { 'PUT /v1/auth/token/revoke-orphan': {} },
    out: 'Success! Revoked token (if it existed)\n',
    asked: ['PUT /v1/auth/token/revoke-orphan {"token":"hvs.x"}'],
  },
  {
    rule: 'token revoke -accessor',
    argv: 'token revoke -accessor acc',
    stub: { 'POST /v1/auth/token/revoke-accessor': {} },
    out: 'Success! Revoked token (if it existed)\n',
    asked: ['POST /v1/auth/token/revoke-accessor {"accessor":"acc"}'],
  },
  {
    rule: 'token lookup -accessor',
    argv: 'token lookup -accessor -field=path acc',
    stub: { 'POST /v1/auth/token/lookup-accessor': { body: { data: { path: 'auth/k/login' } } } },
    out: 'auth/k/login',
  },
  {
    rule: 'token renew -accessor with the short -i',
    argv: 'token renew -accessor -i=60 -format=json acc',
    stub: { 'POST /v1/auth/token/renew-accessor': { body: { request_id: 'r' } } },
    out: '{\n  "request_id": "r",\n  "lease_id": "",\n  "lease_duration": 0,\n  "renewable": false,\n  "data": null,\n  "warnings": null\n}\n',
    asked: ['POST /v1/auth/token/renew-accessor {"accessor":"acc","increment":60}'],
  },
  {
    rule: 'policy explain asks about a token that might ask',
    argv: 'policy explain -field=allowed -accessor=acc update secret/data/x',
    stub: { 'PUT /v1/sys/policies/explain': { body: { data: { allowed: true } } } },
    out: 'true',
    asked: ['PUT /v1/sys/policies/explain {"accessor":"acc","operation":"update","path":"secret/data/x"}'],
  },
  {
    rule: 'login -no-print with -no-store is refused',
    argv: 'login -no-print -no-store hvs.t',
    stub: {},
    err: '-no-store and -no-print cannot be used together\n',
    code: 1,
  },
  {
    rule: '-non-interactive never reads stdin',
    argv: 'login -non-interactive',
    stub: {},
    input: 'hvs.t',
    err: "Error authenticating: 'token' not supplied and refusing to pull from stdin\n",
    code: 2,
  },
  {
    rule: 'login refuses a parameter that is given twice',
    argv: 'login -method=kubernetes role=a role=b',
    stub: {},
    err: 'Error parsing configuration: failed to convert values to strings: "role" is a list or an object\n',
    code: 1,
    asked: [],
  },
  {
    rule: '-output-policy names the path that is sent, without a slash at the end',
    argv: 'secrets disable -output-policy team/kv/',
    stub: {},
    out: 'path "sys/mounts/team/kv" {\n  capabilities = ["delete"]\n}\n',
    asked: [],
  },
  {
    rule: '-detailed takes every boolean that other flags take',
    argv: 'list -detailed=T -format=json pki/certs',
    stub: { 'GET /v1/pki/certs?list=true': { body: { request_id: 'r', data: { keys: ['a'] } } } },
    out: `{
  "request_id": "r",
  "lease_id": "",
  "lease_duration": 0,
  "renewable": false,
  "data": {
    "keys": [
      "a"
    ]
  },
  "warnings": null
}
`,
  },
]

play(cases)
