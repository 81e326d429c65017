type Row = { readonly floor: number; readonly rooms: readonly string[]; readonly ordered?: true }

const inHouse = (house: string, rooms: string): string[] => rooms.split(' ').map(room => `${house}/${room}`)

/** The written order of rooms (docs/architecture.md): a room sees itself, lower floors, and what its row allows. */
const rows: readonly Row[] = [
  { floor: 0, rooms: inHouse('ground', 'base text crypto compute hcl template fields http process'), ordered: true },
  { floor: 1, rooms: ['protocol', 'kube', 'stores'] },
  { floor: 2, rooms: ['backend', 'client'] },
  {
    floor: 3,
    rooms: inHouse(
      'core',
      'seal barrier storage mounts identity policy leases tokens audit quota lockout events builtin pipeline node testing',
    ),
    ordered: true,
  },
  // recipe.ts stands in the hall of the house.
  {
    floor: 3,
    rooms: ['delivery', ...inHouse('delivery', 'agent-config annotations functions sinks obtain')],
    ordered: true,
  },
]

/** Houses whose rooms are not written down one by one: each is a stranger to the others. */
const openHouses: Readonly<Record<string, number>> = { engines: 3, auth: 3, apps: 4 }

export type Place = { readonly room: string; readonly floor: number; readonly order: number; readonly house: string }

const places = new Map<string, Place>()
for (const row of rows) {
  for (const [order, room] of row.rooms.entries()) {
    places.set(room, { room, floor: row.floor, order: row.ordered ? order : -1, house: room.split('/')[0]! })
  }
}

/** Where a path below `src/` stands; null when it stands in no room. */
export function placeOf(path: string): Place | null {
  const [src, first = '', second = '', ...rest] = path.split('/')
  if (src !== 'src') return null
  if (second === '') {
    if (first === 'commands.ts') return { room: 'commands', floor: 5, order: -1, house: 'commands' }
    if (first === 'main.ts') return { room: 'main', floor: 6, order: -1, house: 'main' }
    return null
  }
  const openFloor = openHouses[first]
  if (openFloor !== undefined) {
    return rest.length > 0 ? { room: `${first}/${second}`, floor: openFloor, order: -1, house: first } : null
  }
  return (rest.length > 0 ? places.get(`${first}/${second}`) : undefined) ?? places.get(first) ?? null
}

/** Why `from` may not import `to`; null when it may. */
export function layerFault(from: Place, to: Place): string | null {
  if (from.room === to.room || to.floor < from.floor) return null
  if (to.floor > from.floor) return `${to.room} stands on a higher floor than ${from.room}`
  if (from.house !== to.house || from.order === -1) return `${from.room} and ${to.room} are strangers on one floor`
  return to.order < from.order ? null : `${to.room} stands after ${from.room} in the order of ${from.house}`
}
