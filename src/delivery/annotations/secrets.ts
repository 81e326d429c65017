import { posix } from 'node:path'
import { readBool } from './parse.ts'
import { prefix, type Settings } from './table.ts'

/** One file to render, as the annotations with its NAME say. */
export type SecretFile = {
  /** As written, case and all: companions match it exactly. */
  readonly rawName: string
  readonly destination: string
  readonly mountPath: string
  readonly contents: string | null
  readonly source: string | null
  readonly leftDelimiter: string
  readonly rightDelimiter: string
  readonly command: string
  readonly perms: string
  /** A field that the data lacks fails the template, instead of being written as `<no value>`. */
  readonly errorOnMissingKey: boolean
}

/** What stands before NAME. The order counts: the first that fits claims the NAME. @source vault-k8s annotations.go secrets() */
const claims = ['agent-inject-secret-', 'agent-inject-template-file-', 'agent-inject-template-'] as const

/** The others, that only say more of a NAME; `SecretFile` is what they say. */
export const companionPrefixes = [
  'agent-inject-file-',
  'agent-inject-perms-',
  'agent-inject-command-',
  'agent-template-left-delim-',
  'agent-template-right-delim-',
  'error-on-missing-key-',
  'secret-volume-path-',
  'preserve-secret-case-',
] as const

export const secretPrefixes: readonly string[] = [...claims, ...companionPrefixes]

/** For companions without a NAME at the end. */
export const caseName = 'preserve-secret-case'

const defaultTemplate = (path: string): string =>
  `{{ with secret "${path}" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}`

type NamePrefix = (typeof claims)[number] | (typeof companionPrefixes)[number]

type Annotations = Readonly<Record<string, string>>

/**
 * The files that the annotations ask for, in the order of their names: the original's order is by chance, and two
 * replicas of one pod differ for no reason.
 * @throws Denial
 */
export function readSecretFiles(pod: Annotations, settings: Settings): readonly SecretFile[] {
  const names: string[] = []
  for (const key of Object.keys(pod).sort()) {
    // `agent-inject-template-file-` alone is a template of the name `file-`.
    const claim = claims.find(one => key.startsWith(prefix + one) && key.length > prefix.length + one.length)
    if (claim === undefined || (pod[key] ?? '').trim() === '') continue
    const rawName = key.slice(prefix.length + claim.length)
    if (!names.includes(rawName)) names.push(rawName)
  }
  return names.map(name => fileOf(name, pod, settings))
}

function fileOf(rawName: string, pod: Annotations, settings: Settings): SecretFile {
  const said = (what: NamePrefix): string => pod[`${prefix}${what}${rawName}`] ?? ''
  const name = keepsCase(rawName, pod) ? rawName : rawName.toLowerCase()
  const mountPath = said('secret-volume-path-') || settings.secretVolumePath
  const file = said('agent-inject-file-')
  const template = said('agent-inject-template-')
  const source = said('agent-inject-template-file-')
  const path = said('agent-inject-secret-')
  const usesSource = template === '' && source !== ''
  return {
    rawName,
    destination: file === '' ? `${mountPath}/${name}` : posix.join(mountPath, file),
    mountPath,
    contents: usesSource ? null : template !== '' ? template : defaultTemplate(path),
    source: usesSource ? source : null,
    leftDelimiter: said('agent-template-left-delim-') || '{{',
    rightDelimiter: said('agent-template-right-delim-') || '}}',
    command: said('agent-inject-command-'),
    perms: said('agent-inject-perms-'),
    errorOnMissingKey: readBool(said('error-on-missing-key-')),
  }
}

// A bad value here is silently false in the original, alone among the booleans.
function keepsCase(rawName: string, pod: Annotations): boolean {
  const own = pod[`${prefix}${caseName}-${rawName}`] ?? pod[prefix + caseName] ?? ''
  try {
    return readBool(own)
  } catch {
    return false
  }
}
