import { matchesAnyGlob } from '#ground/text/glob.ts'
import { type Acl, mostSpecific } from './acl.ts'
import { bits } from './capability.ts'

/**
 * May the subject hear of an event about this path? The rule that decides for the path must grant `list` and
 * `subscribe`, and name the event's type. An event about no path is root's alone.
 * @source hv docs/concepts/events, "Policies"
 */
export function mayHear(acl: Acl, path: string | null, type: string): boolean {
  if (acl.root !== null) return true
  if (path === null) return false
  const rule = mostSpecific(acl, path, false)
  if (rule === null || (rule.capabilities & bits.deny) !== 0) return false
  const needed = bits.list | bits.subscribe
  return (rule.capabilities & needed) === needed && matchesAnyGlob(rule.subscribeEventTypes, type)
}
