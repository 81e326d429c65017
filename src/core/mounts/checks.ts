import type { AnyEngine } from '#backend/engine.ts'
import { fault } from '#protocol/fault.ts'
import { fullPath, type MountEntry } from './entry.ts'

/** The path of a mount that is there, or comes there, and can't be together with this one. */
export function conflict(entries: readonly MountEntry[], path: string): string | null {
  const isIn = (taken: string): boolean => taken.startsWith(path) || path.startsWith(taken)
  for (const entry of entries) {
    const { moving } = entry
    const paths = moving === undefined ? [fullPath(entry)] : [fullPath(entry), fullPath({ ...entry, path: moving.to })]
    const taken = paths.find(isIn)
    if (taken !== undefined) return taken
  }
  return null
}

/** @throws Fault @source openbao vault/mount.go: paths may nest, but none may be a prefix of another. */
export function checkPath(entries: readonly MountEntry[], entry: MountEntry): void {
  const path = fullPath(entry)
  const taken = conflict(entries, path)
  if (taken === path) throw fault('request.invalid', `path is already in use at ${path}`)
  if (taken !== null) throw fault('request.invalid', `existing mount at ${taken}`)
}

/** @throws Fault for an option, or a value of one, that the engine doesn't have. */
export function checkOptions(engine: AnyEngine, entry: MountEntry): void {
  for (const [name, value] of Object.entries(entry.options ?? {})) {
    const allowed = engine.options?.[name]
    if (allowed === undefined) throw fault('request.invalid', `unknown mount option "${name}" for type ${entry.type}`)
    if (allowed !== 'any' && !allowed.includes(value)) {
      throw fault('request.invalid', `mount option "${name}" must be one of ${allowed.join(', ')}, not "${value}"`)
    }
  }
}
