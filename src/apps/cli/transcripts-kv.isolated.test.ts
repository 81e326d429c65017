import type { StubAnswer } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const preflight = (version: string | null, path = 'secret/'): StubAnswer => ({
  body: { data: { path, type: 'kv', options: version === null ? null : { version } } },
})
const v2 = { 'GET /v1/sys/internal/ui/mounts/secret/app': preflight('2') }
const metadata = {
  created_time: '2026-01-01T00:00:00Z',
  custom_metadata: null,
  deletion_time: '',
  destroyed: false,
  version: 3,
}
const metadataTable = `======= Metadata =======
Key                Value
---                -----
created_time       2026-01-01T00:00:00Z
custom_metadata    <nil>
deletion_time      n/a
destroyed          false
version            3
`
const secretPath = `= Secret Path =
secret/data/app

`
const denied = { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }
const cases: readonly Transcript[] = [
  {
    rule: 'kv get prints path, metadata and data of version 2',
    argv: 'kv get secret/app',
    stub: { ...v2, 'GET /v1/secret/data/app': { body: { data: { data: { user: 'u', ttl: 90 }, metadata } } } },
    out: `${secretPath}${metadataTable}
==== Data ====
Key     Value
---     -----
ttl     1m30s
user    u
`,
  },
  {
    rule: 'kv get -field prints the bare value',
    argv: 'kv get -field=user secret/app',
    stub: { ...v2, 'GET /v1/secret/data/app': { body: { data: { data: { user: 'u<&>' }, metadata } } } },
    out: 'u<&>',
  },
  {
    rule: 'kv get -field of a missing field fails',
    argv: 'kv get -field=nope secret/app',
    stub: { ...v2, 'GET /v1/secret/data/app': { body: { data: { data: { user: 'u' }, metadata } } } },
    err: 'Field "nope" not present in secret\n',
    code: 1,
  },
  {
    rule: 'kv get -mount and -version ask for the version',
    argv: 'kv get -mount=secret -version=1 -field=a app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret': preflight('2'),
      'GET /v1/secret/data/app?version=1': { body: { data: { data: { a: 'b' }, metadata } } },
    },
    out: 'b',
    asked: ['GET /v1/sys/internal/ui/mounts/secret', 'GET /v1/secret/data/app?version=1'],
  },
  {
    rule: 'kv get of a deleted version shows its metadata',
    argv: 'kv get secret/app',
    stub: { ...v2, 'GET /v1/secret/data/app': { status: 404, body: { data: { data: null, metadata } } } },
    out: `${secretPath}${metadataTable}\n`,
  },
  {
    rule: 'kv get of nothing says so with code 2',
    argv: 'kv get secret/app',
    stub: v2,
    err: 'No value found at secret/data/app\n',
    code: 2,
  },
  {
    rule: 'kv get of version 1 prints the data alone',
    argv: 'kv get kv/app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/kv/app': preflight(null, 'kv/'),
      'GET /v1/kv/app': { body: { lease_duration: 2764800, data: { a: 'b' } } },
    },
    out: '== Data ==\nKey    Value\n---    -----\na      b\n',
  },
  {
    rule: 'kv get -format=json prints the whole answer, numbers as they came',
    argv: 'kv get -format=json secret/app',
    stub: {
      ...v2,
      'GET /v1/secret/data/app': { body: '{"request_id":"r","data":{"data":{"n":1.50,"a":"<"},"metadata":{}}}' },
    },
    out: `{
  "request_id": "r",
  "lease_id": "",
  "lease_duration": 0,
  "renewable": false,
  "data": {
    "data": {
      "a": "\\u003c",
      "n": 1.50
    },
    "metadata": {}
  },
  "warnings": null
}
`,
  },
  {
    rule: 'kv put sends data and options, and prints the new metadata',
    argv: 'kv put -cas=2 secret/app user=u n=1',
    stub: { ...v2, 'PUT /v1/secret/data/app': { body: { data: metadata } } },
    out: `${secretPath}${metadataTable}`,
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'PUT /v1/secret/data/app {"data":{"user":"u","n":"1"},"options":{"cas":2}}',
    ],
  },
  {
    rule: 'kv put reads a value from stdin',
    argv: 'kv put -format=json secret/app password=-',
    input: 'p w',
    stub: { ...v2, 'PUT /v1/secret/data/app': {} },
    out: '',
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'PUT /v1/secret/data/app {"data":{"password":"p w"},"options":{}}',
    ],
  },
  { rule: 'kv put without data fails', argv: 'kv put secret/app', stub: {}, err: 'Must supply data\n', code: 1 },
  {
    rule: 'kv patch falls back to read and write when the policy lacks patch',
    argv: 'kv patch secret/app b=2',
    stub: {
      ...v2,
      'PATCH /v1/secret/data/app': denied,
      'GET /v1/secret/data/app': { body: { data: { data: { a: '1' }, metadata } } },
      'PUT /v1/secret/data/app': { body: { data: metadata } },
    },
    out: `${secretPath}${metadataTable}`,
    err: /recommend that you add the "patch" capability/,
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'PATCH /v1/secret/data/app {"data":{"b":"2"},"options":{}}',
      'GET /v1/secret/data/app',
      'PUT /v1/secret/data/app {"data":{"a":"1","b":"2"},"options":{"cas":3}}',
    ],
  },
  {
    rule: 'kv delete with versions asks for them by list',
    argv: 'kv delete -versions=1,2 secret/app',
    stub: { ...v2, 'PUT /v1/secret/delete/app': {} },
    out: 'Success! Data deleted (if it existed) at: secret/data/app\n',
    asked: ['GET /v1/sys/internal/ui/mounts/secret/app', 'PUT /v1/secret/delete/app {"versions":["1","2"]}'],
  },
  {
    rule: 'kv undelete needs versions',
    argv: 'kv undelete secret/app',
    stub: {},
    err: 'No versions provided, use the "-versions" flag to specify the version to undelete.\n',
    code: 1,
  },
  {
    rule: 'kv destroy is not for version 1',
    argv: 'kv destroy -versions=1 secret/app',
    stub: { 'GET /v1/sys/internal/ui/mounts/secret/app': preflight('1') },
    err: 'Destroy not supported on KV Version 1\n',
    code: 1,
  },
  {
    rule: 'kv rollback writes the old data with the current version as check-and-set',
    argv: 'kv rollback -version=1 secret/app',
    stub: {
      ...v2,
      'GET /v1/secret/data/app': { body: { data: { data: { a: 'new' }, metadata } } },
      'GET /v1/secret/data/app?version=1': {
        body: { data: { data: { a: 'old' }, metadata: { ...metadata, version: 1 } } },
      },
      'PUT /v1/secret/data/app': { body: { data: { version: 4 } } },
    },
    out: 'Key        Value\n---        -----\nversion    4\n',
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'GET /v1/secret/data/app',
      'GET /v1/secret/data/app?version=1',
      'PUT /v1/secret/data/app {"data":{"a":"old"},"options":{"cas":3}}',
    ],
  },
  {
    rule: 'kv list sorts its keys',
    argv: 'kv list secret/app',
    stub: { ...v2, 'GET /v1/secret/metadata/app?list=true': { body: { data: { keys: ['b', 'a/'] } } } },
    out: 'Keys\n----\na/\nb\n',
  },
  {
    rule: 'kv list of nothing prints an empty document in JSON',
    argv: 'kv list -format=json secret/app',
    stub: v2,
    out: '{}\n',
    code: 2,
  },
  {
    rule: 'kv metadata put sends only what is given',
    argv: 'kv metadata put -max-versions=5 -delete-version-after=3h -custom-metadata=a=b secret/app',
    stub: { ...v2, 'PUT /v1/secret/metadata/app': {} },
    out: 'Success! Data written to: secret/metadata/app\n',
    asked: [
      'GET /v1/sys/internal/ui/mounts/secret/app',
      'PUT /v1/secret/metadata/app {"max_versions":5,"delete_version_after":"3h0m0s","custom_metadata":{"a":"b"}}',
    ],
  },
  {
    rule: 'kv metadata get prints each version',
    argv: 'kv metadata get secret/app',
    stub: {
      ...v2,
      'GET /v1/secret/metadata/app': {
        body: { data: { current_version: 1, versions: { '1': { destroyed: false } } } },
      },
    },
    out: `== Metadata Path ==
secret/metadata/app

======= Metadata =======
Key                Value
---                -----
current_version    1

==== Version 1 ====
Key          Value
---          -----
destroyed    false
`,
  },
  {
    rule: 'kv enable-versioning tunes the mount',
    argv: 'kv enable-versioning secret',
    stub: { 'POST /v1/sys/mounts/secret/tune': {} },
    out: 'Success! Tuned the secrets engine at: secret/\n',
    asked: ['POST /v1/sys/mounts/secret/tune {"options":{"version":"2"}}'],
  },
  {
    rule: "a preflight that is refused ends the command with the server's words",
    argv: 'kv get secret/app',
    stub: {
      'GET /v1/sys/internal/ui/mounts/secret/app': {
        status: 403,
        body: { errors: ['preflight capability check returned 403'] },
      },
    },
    err: /^Error making API request\.\n\nURL: GET http:.*\nCode: 403\. Errors:\n\n\* preflight capability check returned 403\n$/,
    code: 2,
  },
]

play(cases)
