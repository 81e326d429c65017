import { isJsonObject, type Json, RawJson, setKey } from './json.ts'
import { parseJson } from './json-parse.ts'

/**
 * RFC 7396: an object merges into the target key by key, null removes a key, anything else replaces. Neither argument
 * is changed; what is untouched is shared. Depth is bounded by what `parseJson` lets in.
 */
export function mergePatch(target: Json, patch: Json): Json {
  if (patch instanceof RawJson) return mergePatch(target, parseJson(patch.text))
  if (!isJsonObject(patch)) return patch
  const base = target instanceof RawJson ? parseJson(target.text) : target
  const merged: { [key: string]: Json } = {}
  if (isJsonObject(base)) {
    for (const key of Object.keys(base)) {
      if (!Object.hasOwn(patch, key)) setKey(merged, key, base[key]!)
      else if (patch[key] !== null) setKey(merged, key, mergePatch(base[key]!, patch[key]!))
    }
  }
  for (const key of Object.keys(patch)) {
    if (patch[key] !== null && !Object.hasOwn(merged, key)) setKey(merged, key, mergePatch(null, patch[key]!))
  }
  return merged
}
