import type { Standing } from '#core/identity/standing.ts'
import { nobody, type TemplateSubject } from '#core/policy/template.ts'
import { rootNamespace } from '#backend/namespace.ts'

/** What policy templates are filled in with for a token's entity and its groups. */
export function subjectOf(standing: Standing | null): TemplateSubject {
  if (standing === null) return nobody
  const { id, name, metadata, aliases } = standing.entity
  const groups = [...standing.direct, ...standing.inherited]
  return {
    entity: { id, name, metadata, aliases },
    groups: groups.map(group => ({
      id: group.id,
      name: group.name,
      namespaceId: rootNamespace.id,
      metadata: group.metadata,
    })),
  }
}
