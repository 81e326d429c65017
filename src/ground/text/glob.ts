/**
 * Does `text` match a pattern in which each `*` stands for any run of characters, also none? Linear: no input makes it
 * back-track.
 * @source ryanuber/go-glob glob.go, which bound claims, service account names and allowed roles go by
 */
export function matchGlob(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const parts = pattern.split('*')
  if (parts.length === 1) return text === pattern
  const first = parts[0]!
  if (!text.startsWith(first)) return false
  let at = first.length
  for (let i = 1; i < parts.length - 1; i++) {
    const found = text.indexOf(parts[i]!, at)
    if (found < 0) return false
    at = found + parts[i]!.length
  }
  const last = parts[parts.length - 1]!
  return text.length - at >= last.length && text.endsWith(last)
}

/** Does any of the patterns match? */
export function matchesAnyGlob(patterns: readonly string[], text: string): boolean {
  return patterns.some(pattern => matchGlob(pattern, text))
}

/**
 * A star only at the ends: `*x`, `x*`, `*x*`. A lone `*` is the character itself, and so is one in the middle.
 * @source hashicorp/go-secure-stdlib strutil GlobbedStringsMatch, which policy parameter values go by
 */
export function matchEndStars(pattern: string, text: string): boolean {
  if (pattern.length < 2) return text === pattern
  const open = pattern.startsWith('*')
  const end = pattern.endsWith('*')
  if (open && end) return text.includes(pattern.slice(1, -1))
  if (open) return text.endsWith(pattern.slice(1))
  if (end) return text.startsWith(pattern.slice(0, -1))
  return text === pattern
}
