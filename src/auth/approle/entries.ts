import { createHash } from 'node:crypto'
import type { Instant, Seconds } from '#ground/base/clock.ts'
import { createHmacKey } from '#ground/crypto/hmac.ts'
import { jsonEntries, type Key } from '#backend/storage.ts'
import type { StoredParameters } from '#backend/token-parameters.ts'

/** What a workload may log in as, and with which secret ids. */
export type Role = {
  /** Of this role: one made anew under the same name has another, and none of its secret ids. */
  readonly uid: string
  readonly roleId: string
  /** Hex. Secret ids are kept under their HMAC by it, and nowhere as they are. */
  readonly hmacKey: string
  readonly bindSecretId: boolean
  readonly secretIdBoundCidrs: readonly string[]
  /** 0 = without limit. */
  readonly secretIdNumUses: number
  /** 0 = without end. */
  readonly secretIdTtl: Seconds
  /** Kept and shown: there is no replication. */
  readonly localSecretIds: boolean
  readonly stored: StoredParameters
}

/** One secret id, without itself. */
export type SecretId = {
  readonly accessor: string
  /** Logins that are left; 0 = without limit, since a used-up one is removed. */
  readonly numUses: number
  /** As asked for; the end is bounded by the mount. */
  readonly ttl: Seconds
  readonly createdAt: Instant
  readonly updatedAt: Instant
  /** null = never. */
  readonly expiresAt: Instant | null
  readonly metadata: Readonly<Record<string, string>>
  readonly cidrList: readonly string[]
  readonly tokenBoundCidrs: readonly string[]
}

/** By name, in lower case. */
export const roleEntries = jsonEntries<Role>('role/')

/** By hash of the role id, which may be anything: the name of the role. */
export const roleIdEntries = jsonEntries<{ readonly name: string }>('role-id/')

/** By `<uid of the role>/<HMAC>`: one entry each, so that none grows with their number. */
export const secretIdEntries = jsonEntries<SecretId>('secret-id/')

/** By `<uid of the role>/<accessor>`: the HMAC. An accessor is looked for among those of its role alone. */
export const accessorEntries = jsonEntries<{ readonly hmac: string }>('accessor/')

export const roleKey = (name: string): Key<Role> => roleEntries.key(name)

export const roleIdKey = (roleId: string): Key<{ readonly name: string }> =>
  roleIdEntries.key(createHash('sha256').update(roleId).digest('base64url'))

/** The part of a role that secret ids are found by. */
export type Owner = Pick<Role, 'uid' | 'hmacKey'>

export const hmacOf = ({ hmacKey }: Owner, secretId: string): string => createHmacKey(hmacKey).hex(secretId)

export const secretIdKey = ({ uid }: Pick<Owner, 'uid'>, hmac: string): Key<SecretId> =>
  secretIdEntries.key(`${uid}/${hmac}`)

export const accessorKey = ({ uid }: Pick<Owner, 'uid'>, accessor: string): Key<{ readonly hmac: string }> =>
  accessorEntries.key(`${uid}/${accessor}`)
