import { seconds } from '#ground/base/clock.ts'
import type { HclBlock } from '#ground/hcl/decode.ts'
import { lockoutTypes } from '#core/lockout/rule.ts'
import type { LockoutTune } from '#core/mounts/entry.ts'

/**
 * A stanza `user_lockout "userpass"`, or for `all`; what it doesn't say is left to a wider one.
 * @throws HclError with its place
 */
export function readLockout({ labels, body, at }: HclBlock): readonly [type: string, tune: LockoutTune] {
  const type = labels[0]!.toLowerCase()
  if (type !== 'all' && !lockoutTypes.has(type)) {
    throw body.error(at, `user_lockout is for all, ${[...lockoutTypes].join(', ')}, not "${labels[0]!}"`)
  }
  const threshold = body.integer('lockout_threshold') ?? 0
  const duration = body.duration('lockout_duration') ?? 0
  const counterReset = body.duration('lockout_counter_reset') ?? 0
  if (threshold < 0 || duration < 0 || counterReset < 0) throw body.error(at, 'user_lockout takes no negative numbers')
  const isDisabled = body.bool('disable_lockout')
  body.ignore('type')
  body.finish()
  return [
    type,
    {
      threshold,
      duration: seconds(duration),
      counterReset: seconds(counterReset),
      ...(isDisabled !== null && { isDisabled }),
    },
  ]
}
