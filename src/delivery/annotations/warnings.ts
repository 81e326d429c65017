import { nearestWord } from '#ground/text/nearest.ts'
import { caseName, companionPrefixes, secretPrefixes, type SecretFile } from './secrets.ts'
import { annotations, controlNames, prefix } from './table.ts'

const known = new Set<string>([...Object.values(annotations).map(one => one.name), ...controlNames, caseName])

/** What an annotation that changes nothing is answered with: `kubectl` shows it, and the pod goes on. */
export function annotationWarnings(
  pod: Readonly<Record<string, string>>,
  files: readonly SecretFile[],
): readonly string[] {
  const rawNames = files.map(file => file.rawName)
  const warnings: string[] = []
  for (const key of Object.keys(pod).sort()) {
    if (!key.startsWith(prefix)) continue
    const fault = faultOf(key.slice(prefix.length), rawNames)
    if (fault === null) continue
    const { why, near } = fault
    warnings.push(`annotation ${key} ${why}${near === null ? '' : `; did you mean ${prefix}${near}?`}`)
  }
  return warnings
}

type Fault = { readonly why: string; readonly near: string | null }

function faultOf(name: string, rawNames: readonly string[]): Fault | null {
  if (known.has(name)) return null
  const companion = companionPrefixes.find(one => name.startsWith(one))
  if (companion !== undefined) return companionFault(companion, name.slice(companion.length), rawNames)
  if (secretPrefixes.some(one => name.startsWith(one))) return null
  const named = companionPrefixes.flatMap(one => rawNames.map(rawName => one + rawName))
  const why = secretPrefixes.includes(`${name}-`)
    ? 'changes nothing without the name of a secret at its end'
    : 'is not supported and changes nothing'
  return { why, near: nearestWord(name, [...known, ...named]) }
}

function companionFault(companion: string, rawName: string, rawNames: readonly string[]): Fault | null {
  if (rawNames.includes(rawName)) return null
  const near = nearestWord(rawName, rawNames)
  return {
    why: `changes nothing: no secret or template has the name "${rawName}"`,
    near: near === null ? null : companion + near,
  }
}
