import { captured, text } from '#ground/fields/kit.ts'
import type { Call } from '#backend/call.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { normalPolicyName } from '#core/policy/names.ts'
import { policyText } from '#core/policy/parse.ts'
import { fault } from '#protocol/fault.ts'
import { capabilityWords } from './capabilities.ts'
import { row, type SystemRow, type SystemState } from './state.ts'

const fields = {
  name: captured('Name of the policy; case does not count.'),
  policy: text({ description: 'The rules, in HCL or JSON, or base64 of either.' }),
  rules: text({ description: 'Old name of policy.', isDeprecated: true }),
}

type PolicyCall = Call<{ readonly name: string; readonly policy: string; readonly rules: string }>

async function read(call: PolicyCall, state: SystemState, member: 'policy' | 'rules'): Promise<Reply> {
  const name = normalPolicyName(call.input.name)
  if (name === 'root') return { kind: 'data', data: { name, [member]: '' }, topLevel: true }
  const entry = await state.house().policies.get(name)
  return entry === null ? missing : { kind: 'data', data: { name, [member]: entry.text }, topLevel: true }
}

/** @source openbao vault/logical_system.go handlePoliciesSet */
async function write(call: PolicyCall, state: SystemState): Promise<Reply> {
  const name = normalPolicyName(call.input.name)
  const warnings: string[] = []
  if (name !== call.input.name) warnings.push(`policy name was converted to ${name}`)
  if (call.input.policy === '' && call.input.rules !== '') warnings.push('"rules" is deprecated: send "policy"')
  const given = call.input.policy !== '' ? call.input.policy : call.input.rules
  if (given === '') throw fault('request.invalid', "'policy' parameter not supplied or empty")
  if (name === 'root') throw fault('request.invalid', 'cannot update "root" policy')
  if (name === 'response-wrapping') throw fault('request.invalid', 'cannot update "response-wrapping" policy')
  await state.house().policies.put(name, policyText(given))
  return warnings.length === 0 ? empty : { kind: 'empty', warnings }
}

async function remove(call: PolicyCall, state: SystemState): Promise<Reply> {
  const name = normalPolicyName(call.input.name)
  if (name === 'root') throw fault('request.invalid', 'cannot delete "root" policy')
  if (name === 'default') throw fault('request.invalid', 'cannot delete default policy')
  if (name === 'response-wrapping') throw fault('request.invalid', 'cannot delete "response-wrapping" policy')
  await state.house().policies.remove(name)
  return empty
}

async function list(state: SystemState): Promise<Reply> {
  const names = [...(await state.house().policies.names()).filter(name => name !== 'response-wrapping'), 'root']
  return { kind: 'list', keys: names }
}

async function listOld(state: SystemState): Promise<Reply> {
  const reply = await list(state)
  const keys = reply.kind === 'list' ? reply.keys : []
  return { kind: 'data', data: { keys, policies: keys }, topLevel: true }
}

const explainFields = {
  request_id: text({ description: 'A refused request, by the X-Coffer-Request-Id of its answer.' }),
  accessor: text({ description: 'Accessor of the token to ask for.' }),
  operation: text({ description: 'create, read, update, patch, delete or list.' }),
  path: text({ description: 'Logical path: secret/data/app.' }),
}

type ExplainCall = Call<{ readonly [K in keyof typeof explainFields]: string }>

const operations = ['create', 'read', 'update', 'patch', 'delete', 'list', 'scan', 'sudo'] as const
type Asked = (typeof operations)[number]

/** Ours: why a request was refused, or what a token may do on a path and which rule says so. */
async function explain(call: ExplainCall, state: SystemState): Promise<Reply> {
  const { request_id: id, accessor, path } = call.input
  if (id !== '') {
    const refusal = state.refusal(id)
    if (refusal === null)
      throw fault(
        'request.invalid',
        `no refusal is known of request_id "${id.slice(0, 64)}": it was allowed, or is too long ago`,
      )
    const { operation, policy, rule, capabilities, reason } = refusal
    return { kind: 'data', data: { allowed: false, operation, path: refusal.path, policy, rule, capabilities, reason } }
  }
  if (accessor === '' || path === '')
    throw fault('request.invalid', 'send "request_id", or "accessor", "operation" and "path"')
  const operation = operations.find(one => one === call.input.operation)
  if (operation === undefined) throw fault('request.invalid', `"operation" must be one of ${operations.join(', ')}`)
  return judged(accessor, path.replace(/^\/+/, ''), operation, state)
}

async function judged(accessor: string, path: string, operation: Asked, state: SystemState): Promise<Reply> {
  const asked = operation === 'list' && !path.endsWith('/') ? `${path}/` : path
  const verdict = await state.judgeFor(accessor, asked, operation === 'sudo' ? 'update' : operation)
  if (verdict === null) throw fault('request.invalid', 'invalid accessor')
  const sources = verdict.isRoot ? ['root'] : verdict.sources.map(source => source.name)
  return {
    kind: 'data',
    data: {
      allowed: operation === 'sudo' ? verdict.hasSudo : verdict.allowed,
      operation,
      path,
      policy: sources.length === 0 ? null : sources.join(', '),
      rule: verdict.pattern,
      capabilities: capabilityWords(verdict),
      reason: verdict.reason,
    },
  }
}

const help = {
  synopsis: 'Read, write and delete a policy.',
  description: 'A change takes effect at the next request of every token that has the policy.',
}

function policyRow(area: string, member: 'policy' | 'rules'): SystemRow {
  return row({
    path: `${area}/*name`,
    fields,
    operations: {
      read: { access: 'policy', summary: 'Read a policy.', handler: (call, state) => read(call, state, member) },
      update: { access: 'policy', summary: 'Write a policy.', handler: write },
      delete: { access: 'policy', summary: 'Delete a policy.', handler: remove },
    },
    help,
  })
}

export const policyRows: readonly SystemRow[] = [
  row({
    path: 'policies/explain',
    fields: explainFields,
    operations: { update: { access: 'policy', summary: 'Which rule decides, and why.', handler: explain } },
    help: {
      synopsis: 'Which rule decides, and why.',
      description: 'By the id of a refused request, or for a token and a path.',
    },
  }),
  row({
    path: 'policies/acl',
    fields: {},
    operations: {
      list: { access: 'policy', summary: 'Names of all policies.', handler: (_call, state) => list(state) },
    },
    help: { synopsis: 'Names of all policies.', description: '' },
  }),
  row({
    path: 'policy',
    fields: {},
    operations: {
      read: { access: 'policy', summary: 'Names of all policies.', handler: (_call, state) => listOld(state) },
      list: { access: 'policy', summary: 'Names of all policies.', handler: (_call, state) => listOld(state) },
    },
    help: { synopsis: 'Names of all policies.', description: 'The older form of policies/acl.' },
  }),
  policyRow('policies/acl', 'policy'),
  policyRow('policy', 'rules'),
]
