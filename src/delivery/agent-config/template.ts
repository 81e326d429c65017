import { seconds } from '#ground/base/clock.ts'
import type { HclBlock, HclReader } from '#ground/hcl/decode.ts'
import { HclError } from '#ground/hcl/tree.ts'
import type { ExecStanza, TemplateStanza } from './config.ts'

/** One `template` stanza. @source consul-template config/template.go */
export function readTemplate({ body, at }: HclBlock, end: (body: HclReader) => void): TemplateStanza {
  const contents = body.string('contents')
  const source = body.string('source')
  if (contents !== null && contents !== '' && source !== null && source !== '') {
    throw body.error(at, "'contents' and 'source' cannot be specified together")
  }
  const destination = body.string('destination')
  if (destination === null || destination === '') throw body.error(at, "missing 'destination'")
  const hasSource = source !== null && source !== ''
  if (!hasSource && (contents === null || contents === ''))
    throw body.error(at, "either 'contents' or 'source' must be specified")
  const exec = readExec(body)
  const stanza: TemplateStanza = {
    name: hasSource ? source : '',
    text: hasSource ? { kind: 'source', path: source } : { kind: 'contents', contents: contents ?? '' },
    destination,
    createDestDirs: body.bool('create_dest_dirs') ?? true,
    perms: readPerms(body),
    user: body.string('user') ?? body.string('uid'),
    group: body.string('group') ?? body.string('gid'),
    delimiters: [body.string('left_delimiter') || '{{', body.string('right_delimiter') || '}}'],
    errorOnMissingKey: body.bool('error_on_missing_key') ?? false,
    errorFatal: body.bool('error_fatal') ?? true,
    exec,
    sandboxPath: body.string('sandbox_path') || null,
  }
  body.ignore('uid', 'gid')
  for (const key of ['function_denylist', 'function_blacklist']) {
    if ((body.strings(key) ?? []).length > 0) throw body.error(at, `${key} is not supported: leave it out`)
  }
  end(body)
  return stanza
}

// Octal, as text or as a number: in HCL `0640` is octal already.
function readPerms(body: HclReader): number | null {
  const value = body.value('perms')
  if (value === null) return null
  const text = value.kind === 'string' ? value.value : value.kind === 'number' ? value.text : ''
  if (text === '') return null
  if (!/^0?o?[0-7]{1,5}$/.test(text)) throw body.error(value.at, `perms "${text}" is no octal file mode, like "0640"`)
  return Number.parseInt(text.replace('o', ''), 8)
}

function readExec(body: HclReader): ExecStanza | null {
  const command = words(body, 'command')
  const timeout = body.duration('command_timeout')
  const block = body.block('exec')
  if (!block) return command === null ? null : { ...command, timeout: seconds(timeout ?? 30) }
  const inner = words(block.body, 'command')
  block.body.ignore('env', 'kill_signal', 'kill_timeout', 'reload_signal', 'splay')
  const execTimeout = block.body.duration('timeout')
  block.body.finish()
  const chosen = inner ?? command
  return chosen === null ? null : { ...chosen, timeout: seconds(execTimeout ?? timeout ?? 30) }
}

// One text goes to the shell, a list is run as it is.
function words(body: HclReader, name: string): Pick<ExecStanza, 'command' | 'isShell'> | null {
  const value = body.value(name)
  if (value === null) return null
  if (value.kind === 'string') return value.value === '' ? null : { command: [value.value], isShell: true }
  const list = body.strings(name)
  if (list === null || list.length === 0) throw new HclError(null, value.at, `${name} is empty`)
  return { command: list, isShell: false }
}
