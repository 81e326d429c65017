import { play } from './transcript.ts'

const token = { body: { data: { id: 'hvs.t', ttl: 0, policies: ['root'], renewable: false } } }

play([
  {
    rule: 'token create prints the token with its lifetime',
    argv: 'token create -policy=app -ttl=20m',
    stub: {
      'POST /v1/auth/token/create': {
        body: {
          auth: {
            client_token: 'hvs.new',
            accessor: 'acc',
            policies: ['app', 'default'],
            token_policies: ['app', 'default'],
            lease_duration: 1200,
            renewable: true,
            metadata: null,
          },
        },
      },
    },
    out: `Key                  Value
---                  -----
token                hvs.new
token_accessor       acc
token_duration       20m
token_renewable      true
token_policies       ["app" "default"]
identity_policies    []
policies             ["app" "default"]
`,
    asked: [
      'POST /v1/auth/token/create {"policies":["app"],"ttl":"20m0s","explicit_max_ttl":"0s","period":"0s","display_name":"","num_uses":0,"renewable":true,"type":"service","entity_alias":""}',
    ],
  },
  {
    rule: 'token lookup of the current token',
    argv: 'token lookup -field=id',
    stub: { 'GET /v1/auth/token/lookup-self': token },
    out: 'hvs.t',
  },
  {
    rule: 'token renew',
    argv: 'token renew -increment=30m hvs.x',
    stub: { 'PUT /v1/auth/token/renew': { body: { auth: { client_token: 'hvs.x', lease_duration: 0 } } } },
    out: `Key                  Value
---                  -----
token                hvs.x
token_accessor       n/a
token_duration       ∞
token_renewable      false
token_policies       []
identity_policies    []
policies             []
`,
    asked: ['PUT /v1/auth/token/renew {"token":"hvs.x","increment":1800}'],
  },
  {
    rule: 'token revoke -self',
    argv: 'token revoke -self',
    stub: { 'PUT /v1/auth/token/revoke-self': {} },
    out: 'Success! Revoked token (if it existed)\n',
  },
  {
    rule: 'token revoke needs a token',
    argv: 'token revoke',
    stub: {},
    err: 'Not enough arguments (expected 1 or -self, got 0)\n',
    code: 1,
  },
  {
    rule: 'token capabilities of the current token',
    argv: 'token capabilities secret/x',
    stub: {
      'POST /v1/sys/capabilities-self': {
        body: { data: { 'secret/x': ['update', 'read'], capabilities: ['update', 'read'] } },
      },
    },
    out: 'read, update\n',
  },
  {
    rule: 'token capabilities of a token that is given',
    argv: 'token capabilities hvs.other secret/x',
    stub: {
      'POST /v1/sys/capabilities': { body: { data: { 'secret/x': ['deny'], capabilities: ['deny'] } } },
    },
    asked: ['POST /v1/sys/capabilities {"token":"hvs.other","path":"secret/x"}'],
    out: 'deny\n',
  },
  {
    rule: 'token capabilities -accessor',
    argv: 'token capabilities -accessor ACC secret/x',
    stub: {
      'POST /v1/sys/capabilities-accessor': {
        body: { data: { 'secret/x': ['read', 'list'], capabilities: ['read', 'list'] } },
      },
    },
    asked: ['POST /v1/sys/capabilities-accessor {"accessor":"ACC","path":"secret/x"}'],
    out: 'list, read\n',
  },
  {
    rule: 'token capabilities -accessor needs both arguments',
    argv: 'token capabilities -accessor secret/x',
    stub: {},
    code: 1,
    err: 'Not enough arguments with -accessor (expected 2, got 1)\n',
  },
])
