import type { Instant } from '#ground/base/clock.ts'
import { drop, put, type Write } from '#backend/storage.ts'
import { deletionTime, type KvConfig, retention, type SecretEntry, versionKey } from './secret.ts'

/** The entry with one version more, and the writes beside it: the old value moves out, what is too old goes. */
export function appended(
  path: string,
  before: SecretEntry,
  text: string,
  config: KvConfig,
  now: Instant,
): { entry: SecretEntry; also: Write[] } {
  const version = before.currentVersion + 1
  const all = [
    ...before.versions,
    { version, createdAt: now, deletedAt: deletionTime(config, before, now), isDestroyed: false },
  ]
  const versions = all.slice(-retention(config, before))
  const expired = all.slice(0, all.length - versions.length)
  const also: Write[] = expired
    .filter(old => old.version !== before.currentVersion)
    .map(old => drop(versionKey(path, old.version)))
  const keepsLast = versions.some(one => one.version === before.currentVersion)
  if (before.text !== null && keepsLast) also.push(put(versionKey(path, before.currentVersion), before.text))
  return { entry: { ...before, currentVersion: version, versions, updatedAt: now, text }, also }
}
