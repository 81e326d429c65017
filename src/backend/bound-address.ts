import { cidrContains, parseCidr } from '#ground/text/cidr.ts'
import { fault } from '#protocol/fault.ts'
import type { TokenParameters } from './login.ts'

/** @throws Fault 403 when who logs in stands outside of the role's `token_bound_cidrs`. */
export function requireBoundAddress(parameters: Pick<TokenParameters, 'boundCidrs'>, remoteAddress: string): void {
  const { boundCidrs } = parameters
  if (boundCidrs.length === 0 || boundCidrs.some(cidr => cidrContains(parseCidr(cidr), remoteAddress))) return
  throw fault('permission.bare', 'permission denied', {
    reason: `address ${remoteAddress} is outside of token_bound_cidrs ${boundCidrs.join(', ')}`,
  })
}
