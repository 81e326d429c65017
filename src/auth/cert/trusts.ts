import type { View } from '#backend/storage.ts'
import type { X509 } from '#ground/crypto/x509.ts'
import { type CertRole, roleEntries } from './role-entry.ts'
import type { Kit } from './kit.ts'
import { certificatesOf } from './pem.ts'

/** A role with its certificates, read. */
export type Trust = {
  readonly name: string
  readonly role: CertRole
  /** Those that sign others. */
  readonly authorities: readonly X509[]
  /** A client's own: it alone is let in. */
  readonly clients: readonly X509[]
}

const pageSize = 500

/** All roles of a mount with their certificates, kept read: every login looks at them. */
export class Trusts {
  readonly #view: View
  readonly #kit: Kit
  #all: Promise<readonly Trust[]> | null = null

  constructor(view: View, kit: Kit) {
    this.#view = view
    this.#kit = kit
  }

  /** Sorted by name. */
  all(): Promise<readonly Trust[]> {
    this.#all ??= this.#load().catch((error: unknown) => {
      this.#all = null
      throw error
    })
    return this.#all
  }

  async named(name: string): Promise<Trust | null> {
    return (await this.all()).find(trust => trust.name === name) ?? null
  }

  /** A role was written or deleted. */
  forget(): void {
    this.#all = null
  }

  async #load(): Promise<readonly Trust[]> {
    const trusts: Trust[] = []
    let after = ''
    for (;;) {
      const page = await this.#view.list(roleEntries, '', { ...(after !== '' && { after }), limit: pageSize })
      for (const name of page.keys) {
        const role = await this.#view.get(roleEntries.key(name))
        if (role !== null) trusts.push(trustOf(name, role, this.#kit))
      }
      if (!page.more) return trusts
      after = page.keys.at(-1)!
    }
  }
}

function trustOf(name: string, role: CertRole, kit: Kit): Trust {
  const certificates = certificatesOf(role.certificate, kit)
  const isClient = !certificates[0]!.isAuthority
  return {
    name,
    role,
    authorities: isClient ? [] : certificates,
    clients: isClient ? certificates.slice(0, 1) : [],
  }
}
