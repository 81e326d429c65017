import type { Capability, Operation } from '#protocol/verdict.ts'

/** Capabilities as bits. */
export const bits: Readonly<Record<Capability, number>> = {
  deny: 1,
  create: 2,
  read: 4,
  update: 8,
  delete: 16,
  list: 32,
  sudo: 64,
  patch: 128,
  scan: 256,
  subscribe: 512,
  recover: 1024,
}

const sorted = (Object.keys(bits) as Capability[]).sort()

/** The names in a set, sorted. */
export function capabilityNames(set: number): Capability[] {
  return sorted.filter(name => (set & bits[name]) !== 0)
}

/**
 * Which capability an operation takes; null: none grants it.
 * @source openbao vault/policy/acl.go AllowOperation: revoke, renew and rollback go by update
 */
export function capabilityOf(operation: Operation | 'sudo'): Capability | null {
  switch (operation) {
    case 'create':
    case 'read':
    case 'update':
    case 'patch':
    case 'delete':
    case 'list':
    case 'scan':
    case 'sudo':
      return operation
    case 'revoke':
    case 'renew':
    case 'rollback':
      return 'update'
    case 'help':
    case 'header':
    case 'alias-lookahead':
    case 'resolve-role':
      break
  }
  return null
}
