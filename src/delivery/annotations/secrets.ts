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

/**
 * What stands before NAME, and one sentence for the reference. The order counts: the first that fits claims the NAME.
 * @source vault-k8s annotations.go secrets()
 */
const claims = {
  'agent-inject-secret-': 'Path of a secret; a file NAME with its fields, a line each.',
  'agent-inject-template-file-': 'The template of NAME, as a file in the agent containers.',
  'agent-inject-template-': 'The template of NAME, in Go template syntax.',
} as const

/** The others, that only say more of a NAME; `SecretFile` is what they say. */
const companions = {
  'agent-inject-file-': 'Name of the file below its folder, instead of NAME.',
  'agent-inject-perms-': 'Mode of the file, like 0400; default 0644.',
  'agent-inject-command-': 'Run each time after the file was written.',
  'agent-template-left-delim-': 'What opens an action of the template, instead of {{.',
  'agent-template-right-delim-': 'What closes an action of the template, instead of }}.',
  'error-on-missing-key-': 'A field that the secret lacks is an error; the file is not written.',
  'secret-volume-path-': 'Folder of the file, instead of the common one.',
  'preserve-secret-case-': 'Keep the case of NAME in the name of the file.',
} as const

const claimPrefixes = Object.keys(claims)
export const companionPrefixes: readonly string[] = Object.keys(companions)

/** Every prefix with its sentence. */
export const secretAnnotations: Readonly<Record<string, string>> = { ...claims, ...companions }

export const secretPrefixes: readonly string[] = Object.keys(secretAnnotations)

/** For companions without a NAME at the end. */
export const caseName = 'preserve-secret-case'

const defaultTemplate = (path: string): string =>
  `{{ with secret "${path}" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}`

type NamePrefix = keyof typeof claims | keyof typeof companions

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
    const claim = claimPrefixes.find(one => key.startsWith(prefix + one) && key.length > prefix.length + one.length)
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
