import type { TarEntry } from '#ground/base/tar.ts'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Debian's packages of the libraries that Node is linked with. */
const libraryPackages = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1']
/** What their copyright files refer to. */
const commonLicences = ['GPL-2', 'GPL-3', 'LGPL-2.1']

export type LicenceInput = {
  /** Path of Node's binary, in its package. */
  readonly node: string
  /** Path of busybox, on this machine or in an unpacked package. */
  readonly busybox: string
  /** Root of the machine; `/` but in tests. */
  readonly root: string
}

/**
 * Licences of what stands in the image beside the program; those of the program's packages are in `app/THIRD-PARTY`.
 * @returns the files, and what has none here: a machine that isn't Debian keeps them elsewhere.
 */
export function licenceFiles({ node, busybox, root }: LicenceInput): { files: TarEntry[]; missing: string[] } {
  const files: TarEntry[] = ['usr/share', 'usr/share/doc', 'usr/share/common-licenses'].map(path => ({
    kind: 'folder',
    path,
    mode: 0o755,
  }))
  const missing: string[] = []
  const take = (path: string, what: string, places: readonly string[]): void => {
    const place = places.find(one => existsSync(one))
    if (place === undefined) missing.push(what)
    else files.push({ kind: 'file', path, mode: 0o644, data: readFileSync(place) })
  }
  take('usr/share/doc/node/LICENSE', 'Node', [join(dirname(dirname(node)), 'LICENSE')])
  for (const name of libraryPackages) {
    take(`usr/share/doc/${name}/copyright`, name, [join(root, `usr/share/doc/${name}/copyright`)])
  }
  const doc = 'share/doc/busybox-static/copyright'
  take(`usr/${doc}`, 'busybox', [
    join(dirname(busybox), '../usr', doc),
    join(dirname(busybox), '..', doc),
    join(root, 'usr/share/doc/busybox/copyright'),
  ])
  for (const name of commonLicences) {
    const path = `usr/share/common-licenses/${name}`
    take(path, name, [join(root, path)])
  }
  return { files, missing }
}
