import type { Stub } from './stub-server.ts'
import { play, type Transcript } from './transcript.ts'

const denied = { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } }

// As a server answers: the devices stand in `data` and beside it.
function devices(data: Readonly<Record<string, unknown>>): Stub {
  return { 'GET /v1/sys/audit': { body: { request_id: 'r', ...data, data } } }
}

const two = devices({
  'team/raw/': {
    path: 'team/raw/',
    type: 'file',
    description: 'for\u00a0tests',
    options: { log_raw: 'true', file_path: 'discard' },
    local: true,
  },
  'file/': {
    path: 'file/',
    type: 'file',
    description: '',
    options: { file_path: '/var/log/audit.log' },
    local: false,
    accessor: 'of a later server',
  },
})

const cases: readonly Transcript[] = [
  {
    rule: 'audit enable names the device by its type and sends options as texts',
    argv: 'audit enable file file_path=/var/log/audit.log mode=0640 log_raw=true',
    stub: { 'PUT /v1/sys/audit/file': {} },
    out: 'Success! Enabled the file audit device at: file/\n',
    asked: [
      'PUT /v1/sys/audit/file {"type":"file","description":"","options":{"file_path":"/var/log/audit.log","mode":"0640","log_raw":"true"},"local":false}',
    ],
  },
  {
    rule: 'audit enable sends what each of its flags says',
    argv: 'audit enable -description=d -path=team/raw -local socket address=127.0.0.1:9090',
    stub: { 'PUT /v1/sys/audit/team/raw': {} },
    out: 'Success! Enabled the socket audit device at: team/raw/\n',
    asked: [
      'PUT /v1/sys/audit/team/raw {"type":"socket","description":"d","options":{"address":"127.0.0.1:9090"},"local":true}',
    ],
  },
  {
    rule: 'audit enable without options sends an empty object',
    argv: 'audit enable -path=s/ syslog',
    stub: { 'PUT /v1/sys/audit/s': {} },
    out: 'Success! Enabled the syslog audit device at: s/\n',
    asked: ['PUT /v1/sys/audit/s {"type":"syslog","description":"","options":{},"local":false}'],
  },
  {
    rule: 'audit enable takes options as a JSON object from stdin, scalars as texts',
    argv: 'audit enable file - prefix=p',
    input: '{"file_path": "discard", "log_raw": true, "hmac_accessor": false, "rotate_bytes": 1000, "mode": null}',
    stub: { 'PUT /v1/sys/audit/file': {} },
    out: 'Success! Enabled the file audit device at: file/\n',
    asked: [
      'PUT /v1/sys/audit/file {"type":"file","description":"","options":{"file_path":"discard","log_raw":"1","hmac_accessor":"0","rotate_bytes":"1000","mode":"","prefix":"p"},"local":false}',
    ],
  },
  {
    rule: 'audit enable without a type says which there are',
    argv: 'audit enable -path=p',
    stub: {},
    err: "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.\n",
    code: 1,
    asked: [],
  },
  {
    rule: 'audit enable refuses an option without a value',
    argv: 'audit enable file file_path',
    stub: {},
    err: 'Failed to parse K=V data: format must be key=value\n',
    code: 1,
    asked: [],
  },
  {
    rule: 'audit enable refuses an option that is given twice, and keeps its value to itself',
    argv: 'audit enable file file_path=/a file_path=/b',
    stub: {},
    err: 'Failed to parse K=V data: failed to convert values to strings: "file_path" is a list or an object\n',
    code: 1,
    asked: [],
  },
  {
    rule: 'audit enable takes a flag after its type for an option, and warns',
    argv: 'audit enable file -path=p file_path=discard',
    stub: { 'PUT /v1/sys/audit/file': {} },
    out: 'Success! Enabled the file audit device at: file/\n',
    err: /^Command flags must be provided before positional arguments\.[^]*-path=p/,
    asked: [
      'PUT /v1/sys/audit/file {"type":"file","description":"","options":{"-path":"p","file_path":"discard"},"local":false}',
    ],
  },
  {
    rule: 'audit enable passes the refusal of the server on',
    argv: 'audit enable file file_path=discard',
    stub: { 'PUT /v1/sys/audit/file': { status: 400, body: { errors: ['path already in use'] } } },
    err: /^Error enabling audit device: Error making API request\.\n\nURL: PUT http:\/\/127\.0\.0\.1:\d+\/v1\/sys\/audit\/file\nCode: 400\. Errors:\n\n\* path already in use\n$/,
    code: 2,
  },
  {
    rule: 'audit disable takes the path with and without slashes',
    argv: 'audit disable /team/raw',
    stub: { 'DELETE /v1/sys/audit/team/raw': {} },
    out: 'Success! Disabled audit device (if it was enabled) at: team/raw/\n',
    asked: ['DELETE /v1/sys/audit/team/raw'],
  },
  {
    rule: 'audit disable needs a path',
    argv: 'audit disable',
    stub: {},
    err: 'Not enough arguments (expected 1, got 0)\n',
    code: 1,
  },
  {
    rule: 'audit disable takes one path',
    argv: 'audit disable a b',
    stub: {},
    err: 'Too many arguments (expected 1, got 2)\n',
    code: 1,
    asked: [],
  },
  {
    rule: 'audit disable passes the refusal of the server on',
    argv: 'audit disable file',
    stub: { 'DELETE /v1/sys/audit/file': denied },
    err: /^Error disabling audit device: Error making API request\.\n[^]*Code: 403\. Errors:/,
    code: 2,
  },
  {
    rule: 'audit disable -output-policy names the path that is sent, and sudo',
    argv: 'audit disable -output-policy file/',
    stub: {},
    out: 'path "sys/audit/file" {\n  capabilities = ["delete", "sudo"]\n}\n',
    asked: [],
  },
  {
    rule: 'audit list sorts the devices by path',
    argv: 'audit list',
    stub: two,
    out: `Path         Type    Description
----         ----    -----------
file/        file    n/a
team/raw/    file    for\u00a0tests
`,
  },
  {
    rule: 'audit list -detailed adds replication and options, sorted',
    argv: 'audit list -detailed=T',
    stub: two,
    out: `Path         Type    Description    Replication    Options
----         ----    -----------    -----------    -------
file/        file    n/a            replicated     file_path=/var/log/audit.log
team/raw/    file    for\u00a0tests      local          file_path=discard log_raw=true
`,
  },
  {
    rule: 'audit list -format=json prints the fields of a device and no other',
    argv: 'audit list -format=json',
    stub: devices({ 'f/': { path: 'f/', type: 'file', description: 'd', options: { b: '1', a: '2' }, x: 1 } }),
    out: `{
  "f/": {
    "type": "file",
    "description": "d",
    "options": {
      "a": "2",
      "b": "1"
    },
    "local": false,
    "path": "f/"
  }
}
`,
  },
  {
    rule: 'audit list -format=yaml',
    argv: 'audit list -format=yaml',
    stub: devices({ 'f/': { path: 'f/', type: 'file', description: '', options: { log_raw: 'true' }, local: true } }),
    out: 'f/:\n  description: ""\n  local: true\n  options:\n    log_raw: "true"\n  path: f/\n  type: file\n',
  },
  {
    rule: 'audit list of no device says so and is code 2',
    argv: 'audit list -detailed',
    stub: devices({}),
    out: 'No audit devices are enabled.\n',
    code: 2,
  },
  {
    rule: 'audit list -format=json of no device is an empty object and code 0',
    argv: 'audit list -format=json',
    stub: devices({}),
    out: '{}\n',
  },
  {
    rule: 'audit list takes no argument',
    argv: 'audit list file/',
    stub: {},
    err: 'Too many arguments (expected 0, got 1)\n',
    code: 1,
    asked: [],
  },
  {
    rule: 'audit list passes the refusal of the server on',
    argv: 'audit list',
    stub: { 'GET /v1/sys/audit': denied },
    err: /^Error listing audits: Error making API request\.\n[^]*Code: 403\. Errors:/,
    code: 2,
  },
  {
    rule: 'audit list of an answer without data fails',
    argv: 'audit list',
    stub: { 'GET /v1/sys/audit': { body: { request_id: 'r' } } },
    err: 'Error listing audits: data from server response is empty\n',
    code: 2,
  },
]

play(cases)
