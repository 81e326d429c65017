import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, constantFrom, assert as property, property as given, string } from 'fast-check'
import { FunctionError, NotReady, TemplateError, TemplateExecError, TemplateParseError } from './errors.ts'
import { define, type FunctionTable, functionTable } from './function.ts'
import { deniedFunction, textFunctions } from './functions/text.ts'
import { parseTemplate } from './template.ts'
import { JsonNumber, Struct, TypedList, type Value } from './value.ts'

const canary = 'hunter2'

/** A host's functions: one secret, one that isn't there yet. */
function host(missing: string[] = []): FunctionTable {
  const data = new Map<string, Value>([
    ['password', canary],
    ['pin', new JsonNumber('4711')],
    ['list', [canary]],
    ['map', new Map([[canary, canary]])],
  ])
  const secret = new Struct('dependency.Secret', [
    ['LeaseID', ''],
    ['Data', data],
  ])
  return new Map([
    ...textFunctions,
    ...functionTable([
      define('secret', ['string'], 'interface {}', '', path => {
        if (path === 'there') return secret
        missing.push(path)
        return null
      }),
      define('wait', [], 'string', '', () => {
        throw new NotReady('kv/later')
      }),
      define('crash', [], 'string', '', () => {
        throw new TypeError('a bug of ours')
      }),
    ]),
  ])
}

function run(text: string, data?: Value, options = {}): string {
  return parseTemplate('', text, { functions: host() }).execute(data, { missingKey: 'zero', ...options })
}

test('a pass notes all that is missing and goes on with empty values', () => {
  const missing: string[] = []
  const template = parseTemplate(
    '',
    '{{with secret "a"}}{{.Data.x}}{{end}}{{with secret "b"}}x{{end}}{{secret "there" | len | not}}',
    {
      functions: host(missing),
    },
  )
  assert.throws(() => template.execute(undefined, { missingKey: 'zero' }), /len of type dependency.Secret/)
  assert.deepEqual(missing, ['a', 'b'])
})

test('a field of data that is missing is nothing, or an error when missing keys are', () => {
  assert.equal(run('{{(secret "a").Data.x}}'), '<no value>')
  assert.throws(() => run('{{(secret "a").Data.x}}', undefined, { missingKey: 'error' }), {
    message: 'template: :1:10: executing "" at <"a">: nil data; no entry for key "Data"',
  })
})

test('NotReady and bugs pass through a template as they are', () => {
  assert.throws(
    () => run('{{wait | toUpper}}'),
    (error: unknown) => error instanceof NotReady && error.what === 'kv/later',
  )
  assert.throws(() => run('{{crash}}'), TypeError)
})

test('functions of an execution replace those of the parse', () => {
  const template = parseTemplate('', '{{env "A"}}', {
    functions: functionTable([define('env', ['string'], 'string', '', () => 'parse')]),
  })
  const functions = functionTable([define('env', ['string'], 'string', '', name => `run ${name}`)])
  assert.equal(template.execute(undefined), 'parse')
  assert.equal(template.execute(undefined, { functions }), 'run A')
  assert.equal(template.execute(undefined), 'parse')
})

test('a denied function fails when it is called', () => {
  const functions = functionTable([deniedFunction('plugin')])
  const template = parseTemplate('', '{{if .}}{{plugin "x"}}{{end}}', { functions })
  assert.equal(template.execute(false), '')
  assert.throws(() => template.execute(true), /error calling plugin: function is disabled$/)
})

test('bytes that are no text go through to the file', () => {
  const bytes = Buffer.from([0xfe, 0xed, 0x00, 0xff, 0xc3])
  const template = parseTemplate('', '{{base64Decode .}}', { functions: textFunctions })
  assert.deepEqual(Buffer.from(template.render(bytes.toString('base64'))), bytes)
})

const leaks = [
  '{{range (secret "there").Data.password}}{{end}}',
  '{{(secret "there").Data.password | parseJSON}}',
  '{{(secret "there").Data.password | parseInt}}',
  '{{(secret "there").Data.password | parseUint}}',
  '{{(secret "there").Data.password | parseFloat}}',
  '{{(secret "there").Data.password | parseBool}}',
  '{{(secret "there").Data.password | base64Decode | base64Decode}}',
  '{{(secret "there").Data.password.more}}',
  '{{(secret "there").Data.password | call}}',
  '{{index (secret "there").Data.list (secret "there").Data.password}}',
  '{{index (secret "there").Data.list (len (secret "there").Data.password)}}',
  '{{slice (secret "there").Data.password 9}}',
  '{{eq (secret "there").Data.map (secret "there").Data.map}}',
  '{{eq (secret "there").Data.map (secret "there").Data.list}}',
  '{{eq (secret "there").Data.password 1}}',
  '{{lt (secret "there").Data.map 1}}',
  '{{add (secret "there").Data.password 1}}',
  '{{add 1 (secret "there").Data.pin}}',
  '{{loop (secret "there").Data.password}}',
  '{{indent (secret "there").Data.password "x"}}',
  '{{join "," (secret "there").Data.list}}',
  '{{executeTemplate (secret "there").Data.password}}',
  '{{define "t"}}{{.more}}{{end}}{{template "t" (secret "there").Data.password}}',
  '{{len (secret "there").Data.pin | toUpper}}',
  '{{secret "there" | toJSON | parseInt}}',
]

for (const text of leaks) {
  test(`an error holds no value: ${text}`, () => {
    assert.throws(
      () => run(text),
      (error: unknown) => error instanceof TemplateExecError && !/hunter2|4711|'h'/.test(error.message),
    )
  })
}

const bombs = [
  [
    'too much output',
    '{{range loop 1000}}{{printf "%1000s" "x"}}{{end}}',
    { outputBytesMax: 10_000 },
    /output exceeds 10000 bytes/,
  ],
  [
    'too many steps',
    '{{range loop 1000}}{{range loop 1000}}{{end}}{{end}}',
    { stepsMax: 1_000 },
    /exceeded 1000 steps/,
  ],
  ['a range too long', '{{range .}}{{end}}', { rangeMax: 10 }, /range over more than 10 items/],
  [
    'templates that call themselves',
    '{{define "t"}}{{template "t"}}{{end}}{{template "t"}}',
    {},
    /maximum template depth \(1000\)/,
  ],
  [
    'templates that call themselves through a function',
    '{{define "t"}}{{executeTemplate "t"}}{{end}}{{template "t"}}',
    { depthMax: 50 },
    /maximum template depth \(50\)/,
  ],
  [
    'a value that doubles',
    '{{$x := "xxxxxxxx"}}{{range loop 100}}{{$x = print $x $x}}{{end}}',
    {},
    /a value grew too long|nested too deep/,
  ],
  ['a replacement that squares', '{{$x := printf "%100000s" "x"}}{{replaceAll "" $x $x}}', {}, /result exceeds/],
  ['an indent without end', '{{indent 1000000000 "x"}}', {}, /indent by more than/],
  ['a loop without end', '{{range loop 9223372036854775807}}{{end}}', {}, /more than 1000000 rounds/],
  ['a count without end', '{{range 9223372036854775807}}{{end}}', {}, /range over more than 1000000 items/],
] as const

for (const [rule, text, limits, message] of bombs) {
  test(`an execution ends at its bounds: ${rule}`, () => {
    assert.throws(
      () =>
        run(
          text,
          new TypedList(
            'int',
            Array.from({ length: 11 }, () => 1n),
          ),
          { limits },
        ),
      (error: unknown) => error instanceof TemplateExecError && message.test(error.message),
    )
  })
}

test('nesting is bounded when it is parsed', () => {
  for (const text of ['{{if 1}}'.repeat(5_000), `{{${'('.repeat(5_000)}`, '{{block "a" .}}'.repeat(5_000)]) {
    assert.throws(() => parseTemplate('', text), {
      name: 'TemplateParseError',
      message: /max expression depth exceeded/,
    })
  }
})

test('nested blocks within the bound execute, also inside a template that calls itself', () => {
  const deep = 450
  const open = '{{if .}}'.repeat(deep)
  assert.equal(parseTemplate('', `${open}x${'{{end}}'.repeat(deep)}`).execute(true), 'x')
  const bomb = `{{define "t"}}${open}{{template "t" .}}${'{{end}}'.repeat(deep)}{{end}}{{template "t" .}}`
  assert.throws(() => parseTemplate('', bomb).execute(true), TemplateExecError)
})

test('keys that JavaScript knows are plain keys', () => {
  for (const key of ['__proto__', 'constructor', 'toString']) {
    assert.equal(run(`{{.${key}}}`, new Map()), '<no value>')
    assert.equal(run(`{{.${key}}}`, new Map([[key, 'own']])), 'own')
    assert.equal(run(`{{(parseJSON .).${key}.x}}`, `{"${key}": {"x": "own"}}`), 'own')
  }
  assert.throws(() => run('{{constructor}}'), TemplateParseError)
})

const words = [
  '{{',
  '}}',
  '{{-',
  '-}}',
  ' ',
  '\n',
  '.',
  '.a',
  '$x',
  ':=',
  '=',
  '|',
  '(',
  ')',
  '"a"',
  '`b`',
  '1',
  '0x',
  'if',
  'range',
  'with',
  'else',
  'end',
  'define',
  'template',
  'block',
  'break',
  'printf',
  '"%d"',
  'index',
  'len',
  'nil',
  'true',
  "'c'",
  ',',
  '/*',
  '*/',
  'é',
  '\ud800',
]

test('whatever the text, a template gives output or a TemplateError', () => {
  const pieces = array(constantFrom(...words), { maxLength: 30 }).map(parts => parts.join(''))
  const data = new Map<string, Value>([['a', new Map([['a', 1n]])]])
  property(
    given(pieces, text => {
      try {
        parseTemplate('', text).execute(data, { limits: { stepsMax: 1_000, outputBytesMax: 10_000 } })
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error
      }
    }),
    { numRuns: 1_000, seed: 7 },
  )
})

test('text without delimiters comes out as it went in', () => {
  property(
    given(string({ unit: 'binary' }), text => {
      if (text.includes('{{')) return
      assert.equal(parseTemplate('', text).execute(undefined), text)
    }),
    { numRuns: 300, seed: 7 },
  )
})

test('FunctionError is told with the function and its place', () => {
  const functions = functionTable([
    define('refuse', ['string'], 'string', '', () => {
      throw new FunctionError('no')
    }),
  ])
  assert.throws(() => parseTemplate('x', 'a\n {{refuse "b"}}', { functions }).execute(undefined), {
    name: 'TemplateExecError',
    message: 'template: x:2:3: executing "x" at <refuse "b">: error calling refuse: no',
  })
})
