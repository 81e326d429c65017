/**
 * Orders two strings as Go, SQLite and etcd order them: by their UTF-8 bytes. That is the order of code points, which
 * JavaScript's own order by UTF-16 units leaves where a surrogate meets U+E000 to U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? lifted(x) - lifted(y) : x - y
  }
  return a.length - b.length
}

// Moves the surrogates above the rest of the plane that they outrank.
function lifted(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}

/** The keys of an object in the order of their UTF-8 bytes. A new array. */
export function sortedKeys(value: object): string[] {
  const keys = Object.keys(value)
  for (let i = 1; i < keys.length; i++) {
    if (compareUtf8(keys[i - 1]!, keys[i]!) > 0) return keys.sort(compareUtf8)
  }
  return keys
}
