import { bool, stringMap, text } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import { empty } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { row, type SystemRow } from './state.ts'

const withSlash = (path: string): string => (path.endsWith('/') ? path : `${path}/`)

/** @source server-core 2.7 */
export const auditRows: readonly SystemRow[] = [
  row({
    path: 'audit',
    fields: {},
    operations: {
      read: {
        access: 'sudo',
        namespaces: 'root',
        summary: 'All audit devices.',
        handler(_call, state) {
          const data: Record<string, Json> = {}
          for (const { path, type, description, options, local } of state.house().devices.all()) {
            data[path] = { path, type, description, options, local }
          }
          return { kind: 'data', data, topLevel: true }
        },
      },
    },
    help: { synopsis: 'All audit devices.', description: 'By path, which ends in a slash.' },
  }),
  row({
    path: 'audit/*path',
    fields: {
      path: text({ description: 'Name of the device.', from: 'path' }),
      type: text({ description: 'file.' }),
      description: text({ description: 'For people.' }),
      options: stringMap({ description: 'file_path, mode, hmac_accessor, log_raw, prefix, rotate_bytes, …' }),
      local: bool({ description: 'Kept and shown; there is no replication.' }),
    },
    operations: {
      update: {
        access: 'sudo',
        namespaces: 'root',
        summary: 'Enable an audit device.',
        async handler(call, state) {
          const { path, type, description, options, local } = call.input
          await state.house().devices.enable({ path: withSlash(path), type, description, options, local })
          return empty
        },
      },
      delete: {
        access: 'sudo',
        namespaces: 'root',
        summary: 'Disable an audit device; its log stays.',
        async handler(call, state) {
          await state.house().devices.disable(withSlash(call.input.path))
          return empty
        },
      },
    },
    help: {
      synopsis: 'Enable or disable an audit device.',
      description: 'Files lie below audit_directory of the configuration.',
    },
  }),
  row({
    path: 'audit-hash/*path',
    fields: {
      path: text({ description: 'Name of the device.', from: 'path' }),
      input: text({ description: 'The value to hash.', isSecret: true }),
    },
    operations: {
      update: {
        access: 'policy',
        namespaces: 'root',
        summary: 'The hash that a value has in the lines of a device.',
        handler(call, state) {
          if (call.input.input === '') throw fault('request.invalid', 'the "input" parameter is empty')
          const hash = state.house().devices.hash(call.input.path, call.input.input)
          if (hash === null) throw fault('request.invalid', `unknown audit backend "${withSlash(call.input.path)}"`)
          return { kind: 'data', data: { hash }, topLevel: true }
        },
      },
    },
    help: {
      synopsis: 'Hash a value as audit does.',
      description: 'To search a log for a token or secret that one has.',
    },
  }),
]
