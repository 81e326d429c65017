import type { Headers } from './message.ts'

/**
 * Header fields as two parallel lists. A request has a dozen fields and is asked for half of them: a scan beats the
 * making of a map.
 */
export class HeaderList implements Headers {
  readonly names: string[] = []
  readonly values: string[] = []

  /** @param name lower case */
  add(name: string, value: string): void {
    this.names.push(name)
    this.values.push(value)
  }

  get(name: string): string | undefined {
    const index = this.names.indexOf(name)
    return index < 0 ? undefined : this.values[index]
  }

  all(name: string): readonly string[] {
    const found: string[] = []
    for (let i = 0; i < this.names.length; i++) if (this.names[i] === name) found.push(this.values[i]!)
    return found
  }

  has(name: string): boolean {
    return this.names.includes(name)
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!, this.values[i]!]
  }
}

/** Headers from pairs, for tests and for callers that build a request by hand. Names may be in any case. */
export function headersOf(pairs: Iterable<readonly [name: string, value: string]>): HeaderList {
  const list = new HeaderList()
  for (const [name, value] of pairs) list.add(name.toLowerCase(), value)
  return list
}
