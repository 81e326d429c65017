import { nearestWord } from '#ground/text/nearest.ts'
import { caseName, secretPrefixes } from './secrets.ts'
import { annotations, controlNames, prefix } from './table.ts'

const known = new Set<string>([...Object.values(annotations).map(one => one.name), ...controlNames, caseName])

/** What an annotation that changes nothing is answered with: `kubectl` shows it, and the pod goes on. */
export function annotationWarnings(pod: Readonly<Record<string, string>>): readonly string[] {
  const warnings: string[] = []
  for (const key of Object.keys(pod).sort()) {
    if (!key.startsWith(prefix)) continue
    const name = key.slice(prefix.length)
    if (known.has(name) || secretPrefixes.some(one => name.startsWith(one))) continue
    const near = nearestWord(name, known)
    warnings.push(
      `annotation ${key} is not supported and changes nothing${near === null ? '' : `; did you mean ${prefix}${near}?`}`,
    )
  }
  return warnings
}
