import { anything, bool, captured, commaList, int, object, stringList, text } from '#ground/fields/kit.ts'
import type { Json } from '#ground/text/json.ts'
import { type Engine, type Granted, type Parts, type Row, rowOf } from '#backend/engine.ts'
import { empty, missing, type Reply } from '#backend/reply.ts'
import { drop, jsonEntries, put, type View } from '#backend/storage.ts'
import { applyTokenInput, noParameters, tokenFields } from '#backend/token-parameters.ts'
import { type FaultCode, fault } from '#protocol/fault.ts'

const notes = jsonEntries<{ text: string }>('note/')
const note = rowOf<View>()
const help = { synopsis: 'A page of the test notebook.', description: 'For tests of the core.' }

async function write(name: string, value: string, view: View): Promise<Reply> {
  await view.commit([put(notes.key(name), { text: value })])
  return empty
}

const noteRow = note({
  path: 'note/:name',
  fields: {
    name: captured('Name of the note.'),
    text: text({ description: 'What it says.' }),
    stars: int({ description: 'How good it is.' }),
  },
  help,
  exists: async (call, view) => (await view.get(notes.key(call.input.name))) !== null,
  operations: {
    read: {
      access: 'policy',
      async handler(call, view) {
        const found = await view.get(notes.key(call.input.name))
        return found === null ? empty : { kind: 'data', data: found }
      },
    },
    update: { access: 'policy', handler: (call, view) => write(call.input.name, call.input.text, view) },
    patch: { access: 'policy', handler: (call, view) => write(call.input.name, call.input.text, view) },
    delete: {
      access: 'policy',
      async handler(call, view) {
        await view.commit([drop(notes.key(call.input.name))])
        return empty
      },
    },
  },
})

const noteFolder = note({
  path: 'note',
  fields: {},
  help,
  operations: {
    list: {
      access: 'policy',
      handler: async (_call, view) => ({ kind: 'list', keys: (await view.list(notes, '', { limit: 100 })).keys }),
    },
    scan: {
      access: 'policy',
      handler: async (_call, view) => ({
        kind: 'list',
        scan: true,
        keys: (await view.list(notes, '', { limit: 100 })).keys,
      }),
    },
  },
})

const shown = (input: Readonly<Record<string, unknown>>): Json =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Json

/** What the handler got, as the answer. */
const echoRow = note({
  path: 'echo/:name',
  fields: {
    name: captured('Shown.'),
    word: text({ description: 'Shown.', isSecret: true }),
    count: int({ description: 'Shown.' }),
    flag: bool({ description: 'Shown.' }),
    names: stringList({ description: 'Shown.' }),
    tree: anything({ description: 'Shown.' }),
    box: object({ description: 'Shown.' }),
  },
  help,
  operations: {
    read: { access: 'policy', handler: call => ({ kind: 'data', data: shown(call.input) }) },
    update: { access: 'policy', handler: call => ({ kind: 'data', data: shown(call.input) }) },
    delete: { access: 'policy', handler: call => ({ kind: 'data', data: shown(call.input) }) },
  },
})

const answers: Readonly<Record<string, () => Reply>> = {
  empty: () => empty,
  missing: () => missing,
  warned: () => ({ kind: 'empty', warnings: ['mind the step'] }),
  nothing: () => ({ kind: 'data', data: null }),
  gone: () => ({ kind: 'data', status: 404, data: { metadata: { version: 1 } } }),
  top: () => ({ kind: 'data', data: { a: 1, data: 2, errors: 'x' }, topLevel: true }),
  bare: () => ({ kind: 'bare', status: 202, body: { a: 1 } }),
  raw: () => ({ kind: 'raw', status: 200, contentType: 'text/plain', body: 'hello' }),
}

/** One answer of each shape. */
const shapeRow = note({
  path: 'shape/:name',
  fields: { name: captured('Which.') },
  help,
  operations: {
    read: { access: 'policy', handler: call => answers[call.input.name]!() },
    update: { access: 'policy', handler: call => answers[call.input.name]!() },
    delete: { access: 'policy', handler: call => answers[call.input.name]!() },
  },
})

/** Fails as it is told: by a fault's code, else as code that is broken. */
const failRow = note({
  path: 'fail',
  fields: { code: text({ description: 'Code of a fault; empty: an error of ours.' }) },
  help,
  operations: {
    update: {
      access: 'policy',
      handler(call) {
        if (call.input.code === '') throw new Error('the handler is broken')
        throw fault(call.input.code as FaultCode, 'as asked', { reason: 'because it was asked for' })
      },
    },
  },
})

/** What the engine sees of the request's headers. */
const headerRow = note({
  path: 'headers',
  fields: {},
  help,
  operations: {
    read: { access: 'policy', handler: call => ({ kind: 'data', data: { seen: [...call.headers].flat() } }) },
  },
})

const doors: readonly Row<View>[] = (['unauthenticated', 'optional', 'token', 'sudo'] as const).map(access =>
  note({
    path: `door/${access}`,
    fields: {},
    help,
    operations: { read: { access, handler: call => ({ kind: 'data', data: { known: call.caller !== null } }) } },
  }),
)

/** A secrets engine of a few lines: notes that are kept, and answers of each shape. For tests of the core only. */
export const notebook: Engine<View> = {
  type: 'notebook',
  kind: 'secret',
  version: 'v1',
  description: 'keeps notes',
  codecs: [notes],
  options: { size: ['small', 'large'], title: 'any' },
  open: ({ view }: Parts) => view,
  rows: [noteRow, noteFolder, echoRow, shapeRow, failRow, headerRow, ...doors],
}

/** Awaited before each login of `passwordMethod` is judged: for logins that are under way at once. */
export type Porter = { pause: Promise<void> }

/** An auth method whose logins name somebody: who isn't `nobody` has the password "right". Names are folded. */
export function passwordMethod(type: string, porter: Porter = { pause: Promise.resolve() }): Engine<Porter> {
  const row = rowOf<Porter>()
  return {
    type,
    kind: 'auth',
    version: 'v1',
    description: 'asks for a password',
    codecs: [],
    open: () => porter,
    rows: [
      row({
        path: 'login/*name',
        fields: { name: captured('Who it is.'), password: text({ description: 'The password.', isSecret: true }) },
        foldCase: true,
        alias: ({ input }) => ({ name: input.name, metadata: {} }),
        help,
        operations: {
          update: {
            access: 'login',
            async handler({ input: { name, password } }, { pause }) {
              await pause
              if (name.startsWith('nobody')) throw fault('credentials.unknown', 'wrong')
              if (password === 'away') throw fault('permission.bare', 'permission denied')
              if (password !== 'right') throw fault('credentials.refused', 'wrong')
              const { parameters } = noParameters
              const login = { alias: { name, metadata: {} }, displayName: name, metadata: {}, parameters }
              return { kind: 'login', login: { ...login, renewable: true, internal: null } }
            },
          },
        },
      }),
    ],
  }
}

/** What a renewal of its logins answers; tests set it. */
export type Doorkeeper = { renewal: Granted | 'unchanged' | null }

const door = rowOf<Doorkeeper>()

/** An auth method that lets everybody in, with the token that the body asks for. */
export function doorman(keeper: Doorkeeper = { renewal: 'unchanged' }): Engine<Doorkeeper> {
  return {
    type: 'doorman',
    kind: 'auth',
    version: 'v1',
    description: 'lets everybody in',
    codecs: [],
    open: () => keeper,
    renewLogin: (_held, state) => state.renewal,
    rows: [
      door({
        path: 'login',
        fields: {
          ...tokenFields,
          name: text({ description: 'Who it is; empty: nobody.' }),
          role: text({ description: 'The role that quotas count it under.' }),
          groups: commaList({ description: 'Groups of the outside that it is in.' }),
        },
        role: ({ input }) => input.role || null,
        help,
        operations: {
          update: {
            access: 'login',
            handler({ input, sent }) {
              const { parameters } = applyTokenInput(noParameters, input, sent)
              const alias = input.name === '' ? null : { name: input.name, metadata: { who: input.name } }
              const login = { alias, displayName: input.name, metadata: { who: input.name }, parameters }
              const groupAliases = input.groups.map(name => ({ name, metadata: {} }))
              return { kind: 'login', login: { ...login, groupAliases, renewable: true, internal: null } }
            },
          },
        },
      }),
    ],
  }
}
