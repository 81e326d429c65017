import type { Bytes } from '#ground/base/brand.ts'
import { type SealConfig, SealError } from './seal.ts'
import { splitProblem } from './shamir.ts'

export function encodeSealConfig(config: SealConfig): Bytes {
  return Buffer.from(JSON.stringify(config))
}

/** Reads what lies in plain text at `core/seal-config`; nobody vouches for it. @throws SealError `damaged` */
export function decodeSealConfig(bytes: Bytes): SealConfig {
  let value: Partial<Record<keyof SealConfig, unknown>> | null
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Record<keyof SealConfig, unknown>> | null
  } catch (error) {
    throw damaged(error)
  }
  const { type, shares, threshold, recoveryShares, recoveryThreshold } = value ?? {}
  if (type !== 'shamir' && type !== 'static') throw damaged()
  const hasRecovery = recoveryShares !== 0 || recoveryThreshold !== 0
  if (!isSplit(shares, threshold) || (hasRecovery && !isSplit(recoveryShares, recoveryThreshold))) throw damaged()
  return value as SealConfig
}

function isSplit(shares: unknown, threshold: unknown): boolean {
  if (!Number.isInteger(shares) || !Number.isInteger(threshold)) return false
  return splitProblem(shares as number, threshold as number) === null
}

const damaged = (cause?: unknown): SealError =>
  new SealError('damaged', 'the seal configuration in the storage is damaged', { cause })
