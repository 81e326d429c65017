import { goQuote } from '#ground/text/quote.ts'

/** Why a pod is refused; `message` is what `kubectl` shows, in the original's words. */
export class Denial extends Error {
  override readonly name = 'Denial'
}

/** What Go's ParseBool takes, and the empty text for false. @source vault-k8s annotations.go parseutil.ParseBool */
export function readBool(raw: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(raw)) return true
  if (['', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(raw)) return false
  throw new Denial(`cannot parse '' as bool: strconv.ParseBool: parsing ${goQuote(raw)}: invalid syntax`)
}

/** Decimal, 64 bits; empty is 0. */
export function readInt(raw: string): number {
  if (raw === '') return 0
  if (!/^[+-]?\d+$/.test(raw) || !Number.isSafeInteger(Number(raw))) {
    throw new Denial(`strconv.ParseInt: parsing ${goQuote(raw)}: invalid syntax`)
  }
  return Number(raw)
}

/** Decimal, 64 bits, no sign; the empty text is none. @source Go strconv.ParseUint */
export function readUint(raw: string): number {
  if (!/^\d+$/.test(raw)) throw new Denial(`strconv.ParseUint: parsing ${goQuote(raw)}: invalid syntax`)
  if (!Number.isSafeInteger(Number(raw)))
    throw new Denial(`strconv.ParseUint: parsing ${goQuote(raw)}: value out of range`)
  return Number(raw)
}

const quantityPattern = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/

/** A quantity as given, null for the empty text, which leaves the resource out. @source apimachinery resource.ParseQuantity */
export function readQuantity(raw: string): string | null {
  if (raw === '') return null
  if (/^(?:[+-]?[0-9.]*)(?:Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?$/.test(raw) || quantityPattern.test(raw)) return raw
  throw new Denial("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
}
