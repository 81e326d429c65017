/** How many letters to insert, remove, replace or swap to make `b` of `a`; counting stops above `most`. */
export function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1)
      row.push(cost)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/**
 * The word that someone who wrote `word` most likely meant, or null when none is near: at most a third of the letters
 * differ, three at most. Words over 64 letters are not looked at.
 */
export function nearestWord(word: string, known: Iterable<string>): string | null {
  if (word.length > 64) return null
  const most = Math.min(3, Math.max(1, Math.floor(word.length / 3)))
  let best: string | null = null
  let bestDistance = most + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), most)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}
