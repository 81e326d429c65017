import type { EntityEntry } from '#core/identity/identity.ts'
import { type TemplateSubject, nobody } from '#core/policy/template.ts'

/** What policy templates are filled in with for a token's entity. */
export function subjectOf(entity: EntityEntry | null): TemplateSubject {
  if (entity === null) return nobody
  const { id, name, metadata, aliases } = entity
  return {
    entity: { id, name, metadata, aliases: aliases.map(alias => ({ ...alias, customMetadata: {} })) },
    groups: [],
  }
}
