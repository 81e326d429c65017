import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  boolFlag,
  durationFlag,
  intFlag,
  misplacedFlagsHint,
  parseFlags,
  stringFlag,
  stringListFlag,
  stringMapFlag,
} from './flags.ts'
import { flagsHelp } from './flags-help.ts'
import { KvArgsError, readKvArgs } from './kv-args.ts'

const flags = {
  address: stringFlag({
    usage: 'Address of the\n  server.',
    default: 'https://127.0.0.1:8200',
    env: 'VAULT_ADDR',
    aliases: ['a', 'addr'],
  }),
  force: boolFlag({ usage: 'Go on.', aliases: ['f'] }),
  'no-color': boolFlag({ usage: 'Plain.', default: false }),
  limit: intFlag({ usage: 'At most.', default: 5 }),
  ttl: durationFlag({ usage: 'How long.', default: 3600 }),
  policy: stringListFlag({ usage: 'A policy.' }),
  meta: stringMapFlag({ usage: 'A pair.' }),
  secret: stringFlag({ usage: 'Hidden.', isHidden: true }),
}

test('flags: values have their types, and the last one of a scalar wins', () => {
  const { values, rest, given } = parseFlags(
    flags,
    '-f -limit 0x10 -ttl=90m -policy a -policy= -meta k=v=w -meta x= -limit=7 path -force'.split(' '),
  )
  assert.deepEqual(
    [values.force, values.limit, values.ttl, values.policy, [...values.meta], values.address],
    [
      true,
      7,
      5400,
      ['a', ''],
      [
        ['k', 'v=w'],
        ['x', ''],
      ],
      'https://127.0.0.1:8200',
    ],
  )
  assert.deepEqual(rest, ['path', '-force'])
  assert.deepEqual([...given].sort(), ['force', 'limit', 'meta', 'policy', 'ttl'])
})

test('flags: the environment counts where the flag is not given', () => {
  const env = (name: string): string | undefined => ({ VAULT_ADDR: 'http://x' })[name]
  assert.equal(parseFlags(flags, [], env).values.address, 'http://x')
  assert.equal(parseFlags(flags, ['-a=http://y'], env).values.address, 'http://y')
})

const wrong: readonly (readonly [argv: string[], text: string])[] = [
  [['-limit', 'x'], 'invalid value "x" for flag -limit: strconv.ParseInt: parsing "x": invalid syntax'],
  [['-ttl=1x'], 'invalid value "1x" for flag -ttl: time: unknown unit "x" in duration "1x"'],
  [['-meta=k'], 'invalid value "k" for flag -meta: missing = in KV pair: "k"'],
  [['-addr'], 'flag needs an argument: -addr'],
  [['-nope'], 'flag provided but not defined: -nope'],
  [['-constructor'], 'flag provided but not defined: -constructor'],
]
for (const [argv, text] of wrong) {
  test(`flags: ${argv.join(' ')} is refused`, () =>
    assert.throws(() => parseFlags(flags, argv), { name: 'FlagError', code: 'usage', message: text }))
}

test('flags: a bad value in the environment names the variable', () => {
  const own = { n: intFlag({ usage: '', env: 'VAULT_N' }) }
  assert.throws(() => parseFlags(own, [], () => 'x'), { message: /^invalid value in environment variable VAULT_N: / })
})

test('flags after the arguments are named, but for stdin and the global ones', () => {
  assert.equal(
    misplacedFlagsHint(['secret/x', '-field=y', '-', '-format=json', '--z'], ['format']),
    'Command flags must be provided before positional arguments. The following arguments will not be parsed as flags: [-field=y,--z]',
  )
  assert.equal(misplacedFlagsHint(['secret/x', '-']), null)
})

test('flags: help has titles, sorted names, examples, aliases, defaults and variables', () => {
  const { address, 'no-color': plain, force, secret } = flags
  assert.equal(
    flagsHelp([
      { title: 'HTTP Options', flags: { 'no-color': plain, address, secret } },
      { title: 'Hidden Options', flags: { secret } },
      { title: 'Command Options', flags: { force } },
    ]),
    `HTTP Options:

  -address=<string>
      Address of the server. This is aliased as "-a" and "-addr". The default
      is https://127.0.0.1:8200. This can also be specified via the VAULT_ADDR
      environment variable.

  -no-color
      Plain. The default is false.

Command Options:

  -force
      Go on. This is aliased as "-f".`,
  )
})

const files: Readonly<Record<string, string>> = { 'a.txt': 'from file\n', 'a.json': '{"x":1.0,"y":["z"]} trailing' }
const sources = {
  file(path: string): string {
    const text = Object.hasOwn(files, path) ? files[path] : undefined
    if (text === undefined) throw new Error(`open ${path}: no such file or directory`)
    return text
  },
  stdin: (): Promise<string> => Promise.resolve('{"s":"in"}'),
}

const kv: readonly (readonly [args: string[], want: string])[] = [
  [['a=1', 'b=x=y', 'c='], '{"a":"1","b":"x=y","c":""}'],
  [['a=1', 'a=2', 'a=3'], '{"a":["1","2","3"]}'],
  [['a=@a.txt'], '{"a":"from file\\n"}'],
  [['a=\\@a.txt'], '{"a":"@a.txt"}'],
  [['a=-'], '{"a":"{\\"s\\":\\"in\\"}"}'],
  [['-', 'a=1'], '{"s":"in","a":"1"}'],
  [['@a.json'], '{"x":{"text":"1.0"},"y":["z"]}'],
  [['@a.json', 'y=w'], '{"x":{"text":"1.0"},"y":["z","w"]}'],
  [['', '__proto__=1'], '{"__proto__":"1"}'],
]
for (const [args, want] of kv) {
  test(`data arguments: ${args.join(' ')}`, async () =>
    assert.equal(JSON.stringify(await readKvArgs(args, sources)), want))
}
const badKv: readonly (readonly [args: string[], text: RegExp])[] = [
  [['a'], /^format must be key=value$/],
  [['-', 'a=-'], /^stdin already consumed$/],
  [['a=@none'], /^error reading file: open none: no such file or directory$/],
]
for (const [args, text] of badKv) {
  test(`data arguments: ${args.join(' ')} is refused`, () =>
    assert.rejects(readKvArgs(args, sources), { name: 'KvArgsError', message: text }))
}
test('data arguments: a command without stdin says so, and a file that is no object, too', async () => {
  await assert.rejects(readKvArgs(['-'], { ...sources, stdin: null }), new KvArgsError('stdin is not supported'))
  await assert.rejects(readKvArgs(['-'], { ...sources, stdin: () => '[1]' }), { name: 'KvArgsError' })
})
