import type { JsonObject } from '#ground/text/json.ts'

/** `===== Data =====`, as wide as the table that it stands above. */
export function headingOver(title: string, data: JsonObject): string {
  const longest = Math.max(0, ...Object.keys(data).map(key => Buffer.byteLength(key)))
  return heading(title, longest + '    '.length + 'Value'.length)
}

/** A title between equal signs, at least two on either side. @source openbao command/kv_helpers.go padEqualSigns */
export function heading(title: string, width: number): string {
  const room = width - (title.length + 2)
  const signs = room <= 0 ? 4 : room + (room % 2)
  const side = '='.repeat(signs / 2)
  return `${side} ${title} ${side}`
}
