import type { Field, Fields } from '#ground/fields/field.ts'
import type { Json } from '#ground/text/json.ts'
import type { Action, Row, RowOperation } from '#backend/engine.ts'
import type { Mount } from '#core/mounts/mount.ts'

const verbs: Readonly<Record<RowOperation, string | null>> = {
  read: 'get',
  update: 'post',
  patch: 'patch',
  delete: 'delete',
  list: 'get',
  scan: null,
  header: null,
}

/**
 * OpenAPI 3 of all given mounts, from their tables. @source openbao sdk/framework/openapi.go
 * @param generic mounts stand as parameters: `/{kv_mount_path}/data/{path}`.
 */
export function openApiDocument(mounts: readonly Mount[], options: { generic: boolean; version: string }): Json {
  const paths: Record<string, Json> = {}
  for (const mount of mounts) for (const row of mount.engine.rows) addRow(paths, mount, row, options.generic)
  return {
    openapi: '3.0.2',
    info: {
      title: 'coffer',
      description: 'HTTP API of coffer, which is compatible with that of HashiCorp Vault. Every path is below /v1.',
      version: options.version,
      license: { name: 'Apache License 2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    paths,
    components: { schemas: {} },
  }
}

function addRow(paths: Record<string, Json>, mount: Mount, row: Row<unknown>, generic: boolean): void {
  const names: string[] = []
  const segments = row.path.split('/').map(segment => {
    if (!/^[:*]/.test(segment)) return segment
    const name = segment.slice(1).replace(/@$/, '')
    names.push(name)
    return `{${name}}`
  })
  const isGeneric = generic && mount.entry.type !== 'system' && mount.entry.type !== 'token'
  const parameter = `${mount.entry.type}_mount_path`
  const base = isGeneric ? `${mount.entry.kind === 'auth' ? 'auth/' : ''}{${parameter}}/` : mount.path
  const item: Record<string, Json> = {
    description: row.help.synopsis,
    parameters: [
      ...(isGeneric ? [mountParameter(parameter, mount)] : []),
      ...names.map(name => pathParameter(name, row.fields[name])),
    ],
  }
  for (const [operation, action] of Object.entries(row.operations) as [RowOperation, Action<unknown>][]) {
    const verb = verbs[operation]
    if (verb !== null && (item[verb] === undefined || operation !== 'list'))
      item[verb] = operationOf(operation, action, row, names)
  }
  paths[`/${base}${segments.join('/')}`] = item
}

const mountParameter = (name: string, mount: Mount): Json => ({
  name,
  in: 'path',
  required: true,
  description: 'Path that the backend was mounted at',
  schema: { type: 'string', default: mount.entry.path.replace(/\/$/, '') },
})

const pathParameter = (name: string, field: Field<unknown> | undefined): Json => ({
  name,
  in: 'path',
  required: true,
  description: field?.description ?? '',
  schema: { type: 'string' },
})

function operationOf(
  operation: RowOperation,
  action: Action<unknown>,
  row: Row<unknown>,
  captured: readonly string[],
): Json {
  const others = Object.entries(row.fields).filter(([name, field]) => !captured.includes(name) && field.from !== 'path')
  const takesBody = operation === 'update' || operation === 'patch'
  const isOwn = takesBody && row.body === 'own'
  const query = isOwn ? [] : others.filter(([, field]) => field.from === 'query')
  const body = takesBody ? others.filter(([, field]) => field.from !== 'query') : []
  const schema = isOwn ? anyKeys : objectOf(Object.fromEntries(body))
  return {
    summary: action.summary ?? row.help.synopsis,
    tags: ['secrets'],
    ...(action.access === 'sudo' && { 'x-vault-sudo': true }),
    ...((action.access === 'unauthenticated' || action.access === 'login') && { 'x-vault-unauthenticated': true }),
    parameters: [
      ...query.map(([name, field]) => ({ name, in: 'query', description: field.description, schema: schemaOf(field) })),
      ...(operation === 'list'
        ? [{ name: 'list', in: 'query', required: true, schema: { type: 'string', enum: ['true'] } }]
        : []),
    ],
    ...((isOwn || body.length > 0) && {
      requestBody: { required: true, content: { 'application/json': { schema } } },
    }),
    responses: {
      '200': {
        description: 'OK',
        ...(action.reply && { content: { 'application/json': { schema: objectOf(action.reply) } } }),
      },
    },
  }
}

const anyKeys: Json = { type: 'object', additionalProperties: true }

function objectOf(fields: Fields): Json {
  const properties: Record<string, Json> = {}
  for (const [name, field] of Object.entries(fields)) properties[name] = schemaOf(field)
  return { type: 'object', properties }
}

function schemaOf(field: Field<unknown>): Json {
  return {
    ...(field.type !== 'any' && { type: field.type }),
    description: field.description,
    ...(field.type === 'array' && { items: { type: 'string' } }),
    ...(field.format === 'seconds' && { format: 'seconds' }),
    ...(field.choices && { enum: field.choices }),
    ...(field.isDeprecated && { deprecated: true }),
    ...(field.isSecret && { 'x-vault-displayAttrs': { sensitive: true } }),
  }
}
