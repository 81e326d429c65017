/** Who a policy's templates are filled in for. */
export type TemplateSubject = {
  readonly entity: TemplateEntity | null
  readonly groups: readonly TemplateGroup[]
}

type Texts = Readonly<Record<string, string>>

export type TemplateEntity = {
  readonly id: string
  readonly name: string
  readonly metadata: Texts
  readonly aliases: readonly TemplateAlias[]
}

export type TemplateAlias = {
  readonly mountAccessor: string
  readonly id: string
  readonly name: string
  readonly metadata: Texts
  readonly customMetadata: Texts
}

export type TemplateGroup = {
  readonly id: string
  readonly name: string
  readonly namespaceId: string
  readonly metadata: Texts
}

/** For tokens without an entity: every template is unresolved. */
export const nobody: TemplateSubject = { entity: null, groups: [] }

/**
 * The outcome of filling in: `unresolved` when a value doesn't exist, `refused` when one exists that would widen the
 * pattern. `head` is the text before the first template.
 */
export type Filled =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unresolved' | 'refused'; readonly head: string; readonly why: string }

/** What is wrong with the braces of a pattern, or null. */
export function templateFault(pattern: string): string | null {
  const [head, ...pieces] = pattern.split('{{')
  const isBalanced = !head!.includes('}}') && pieces.every(piece => piece.split('}}').length === 2)
  return isBalanced ? null : 'unbalanced templating characters'
}

/**
 * Puts the subject's values in for `{{identity.…}}`. The value is text, never again a template.
 * @param forbidden what a value may not contain: a `*`, `+` or `/` from a user's metadata would widen the pattern
 * @param namespaceId groups are found by name in this namespace only
 * @source openbao sdk/helper/identitytpl/templating.go
 */
export function fillTemplate(
  pattern: string,
  subject: TemplateSubject,
  namespaceId: string,
  forbidden: readonly string[],
): Filled {
  const [head = '', ...pieces] = pattern.split('{{')
  let text = head
  for (const piece of pieces) {
    const [selector = '', tail = ''] = piece.split('}}', 2)
    const value = lookUp(selector.trim(), subject, namespaceId)
    if (value === undefined || value === '') {
      return { kind: 'unresolved', head, why: `there is no value for {{${selector.trim()}}}` }
    }
    const bad = forbidden.find(mark => value.includes(mark))
    if (bad !== undefined) {
      return { kind: 'refused', head, why: `the value of {{${selector.trim()}}} contains "${bad}"` }
    }
    text += value + tail
  }
  return { kind: 'text', text }
}

const after = (text: string, start: string): string | null => (text.startsWith(start) ? text.slice(start.length) : null)
const own = (texts: Texts, key: string): string | undefined => (Object.hasOwn(texts, key) ? texts[key] : undefined)

function lookUp(selector: string, subject: TemplateSubject, namespaceId: string): string | undefined {
  const ofEntity = after(selector, 'identity.entity.')
  if (ofEntity !== null) return subject.entity === null ? undefined : entityValue(ofEntity, subject.entity)
  const ofGroups = after(selector, 'identity.groups.')
  return ofGroups === null ? undefined : groupValue(ofGroups, subject.groups, namespaceId)
}

function entityValue(selector: string, entity: TemplateEntity): string | undefined {
  if (selector === 'id') return entity.id
  if (selector === 'name') return entity.name
  const key = after(selector, 'metadata.')
  if (key !== null) return own(entity.metadata, key)
  const ofAlias = after(selector, 'aliases.')
  const dot = ofAlias?.indexOf('.') ?? -1
  if (ofAlias === null || dot < 0) return undefined
  const alias = entity.aliases.find(one => one.mountAccessor === ofAlias.slice(0, dot))
  return alias && aliasValue(ofAlias.slice(dot + 1), alias)
}

function aliasValue(selector: string, alias: TemplateAlias): string | undefined {
  if (selector === 'id') return alias.id
  if (selector === 'name') return alias.name
  const key = after(selector, 'metadata.')
  if (key !== null) return own(alias.metadata, key)
  const custom = after(selector, 'custom_metadata.')
  return custom === null ? undefined : own(alias.customMetadata, custom)
}

function groupValue(selector: string, groups: readonly TemplateGroup[], namespaceId: string): string | undefined {
  const match = /^(ids|names)\.([^.]*)\.(.*)$/s.exec(selector)
  if (!match) return undefined
  const [, by, wanted, member] = match as unknown as [string, string, string, string]
  const group = groups.find(one => (by === 'ids' ? one.id : one.namespaceId === namespaceId && one.name) === wanted)
  if (group === undefined) return undefined
  if (member === 'id') return group.id
  if (member === 'name') return group.name
  const key = after(member, 'metadata.')
  return key === null ? undefined : own(group.metadata, key)
}
