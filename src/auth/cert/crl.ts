import { captured, text } from '#ground/fields/kit.ts'
import type { Input } from '#ground/fields/field.ts'
import { instant } from '#ground/base/clock.ts'
import type { Call } from '#backend/call.ts'
import { namesRow } from '#backend/listing.ts'
import { empty, type Reply } from '#backend/reply.ts'
import { fault } from '#protocol/fault.ts'
import { type CrlEntry, crlEntries, readList } from './revocations.ts'
import { type CertState, row } from './state.ts'

const fields = {
  name: captured('Name of the list.'),
  crl: text({ description: 'The list itself, PEM or DER.' }),
  url: text({ description: 'Where it is fetched from, now and whenever a new one is due.' }),
} as const

const encoder = new TextEncoder()

async function write(call: Call<Input<typeof fields>>, state: CertState): Promise<Reply> {
  const { name, crl, url } = call.input
  if (crl === '' && url === '') throw fault('request.invalid', "one of 'crl' or 'url' must be provided")
  if (crl !== '' && url !== '') throw fault('request.invalid', "only one of 'crl' or 'url' may be provided")
  await keep(name, url, url === '' ? encoder.encode(crl) : await state.revocations.fetch(url, call.signal), state)
  return empty
}

/** The alarm that fetches the next one stands in the same commit. */
async function keep(
  name: string,
  url: string,
  bytes: Uint8Array,
  { parts, revocations, kit }: CertState,
): Promise<void> {
  const { der, list } = readList(bytes, kit)
  const entry: CrlEntry = { url, der: Buffer.from(der).toString('base64') }
  const at = url === '' ? null : instant(parts.world.clock.now() + revocations.waitMs(list))
  await parts.view.update<CrlEntry, void>(crlEntries.key(name), () => ({
    entry,
    effects: { alarms: [{ kind: 'crl', id: name, at }] },
    result: undefined,
  }))
  revocations.forget()
}

/** Until it can be fetched the old list counts, and the alarm is rung again. */
export async function refresh(name: string, state: CertState, signal: AbortSignal): Promise<void> {
  const entry = await state.parts.view.get(crlEntries.key(name))
  if (entry === null || entry.url === '') return
  await keep(name, entry.url, await state.revocations.fetch(entry.url, signal), state)
}

export const crlRows = [
  namesRow<CertState>('crls', crlEntries, 'Names of all revocation lists.'),
  row({
    path: 'crls/:name',
    fields,
    operations: {
      read: {
        access: 'policy',
        summary: 'The serial numbers on a list.',
        async handler(call, { parts, revocations }) {
          const { name } = call.input
          const list = (await revocations.all()).get(name)
          if (list === undefined) throw fault('request.invalid', `no such CRL ${name}`)
          const entry = await parts.view.get(crlEntries.key(name))
          const serials = Object.fromEntries([...list.serials].map(serial => [serial, {}]))
          return { kind: 'data', data: { cdp: entry?.url ? { url: entry.url } : null, serials } }
        },
      },
      update: { access: 'policy', summary: 'Keep a list of revoked certificates.', handler: write },
      delete: {
        access: 'policy',
        summary: 'Forget a list: its certificates are let in again.',
        async handler(call, { parts, revocations }) {
          const { name } = call.input
          const wasThere = await parts.view.update<CrlEntry, boolean>(crlEntries.key(name), now => ({
            entry: null,
            effects: { alarms: [{ kind: 'crl', id: name, at: null }] },
            result: now !== null,
          }))
          revocations.forget()
          if (!wasThere) throw fault('request.invalid', `no such CRL ${name}`)
          return empty
        },
      },
    },
    help: {
      synopsis: 'Lists of revoked certificates.',
      description: 'A certificate whose issuer and serial number are on any of them is refused, for every role.',
    },
  }),
]
