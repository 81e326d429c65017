import { layerFault, placeOf } from './layers.ts'
import { type Finding, isContract, isLab, isProduct, isTest, resolveImport, type Tree } from './tree.ts'

/** Packages whose types must not leave one room. */
const packageRooms: Readonly<Record<string, string>> = {
  pkijs: 'ground/crypto',
  asn1js: 'ground/crypto',
  'shamir-secret-sharing': 'ground/crypto',
  openpgp: 'ground/crypto',
  bcryptjs: 'ground/crypto',
}

// What starts processes and servers joins rooms as an app does.
const joinsRooms = (path: string): boolean => /\.(isolated|pods|crash)\.test\.ts$/.test(path)

const testRoom = 'core/testing'

export function layers(tree: Tree): Finding[] {
  const findings: Finding[] = []
  for (const source of tree.sources.values()) {
    if (!source.path.startsWith('src/')) continue
    const place = placeOf(source.path)
    if (!place) {
      findings.push({ rule: 'layers', path: source.path, line: 1, text: 'stands in no room of the written order' })
      continue
    }
    for (const entry of source.imports) {
      const report = (text: string): number =>
        findings.push({ rule: 'layers', path: source.path, line: entry.line, text })
      const target = resolveImport(source.path, entry.specifier)
      if (target === null) continue
      if (!tree.sources.has(target)) report(`imports ${entry.specifier}, which is not there`)
      else if (isProduct(source.path) && !isProduct(target)) report(`product code imports ${target}`)
      else if (isProduct(source.path) && place.room !== testRoom && placeOf(target)?.room === testRoom)
        report(`product code imports ${target}, which is for tests`)
      else if (entry.specifier.startsWith('.') && target.startsWith('src/') && placeOf(target)?.room !== place.room) {
        report(`another room is imported as #${target.slice(4)}`)
      } else if (target.startsWith('src/') && !joinsRooms(source.path)) {
        const to = placeOf(target)
        // The whole server, for tests: of engines and methods, too, which must not see it otherwise.
        const fault =
          to && (to.room === testRoom && (isTest(source.path) || isLab(source.path)) ? null : layerFault(place, to))
        if (fault) report(fault)
      }
    }
  }
  return findings
}

export function packages(tree: Tree): Finding[] {
  const findings: Finding[] = []
  const runtime = { ...tree.packageJson.dependencies }
  const known = { ...runtime, ...tree.packageJson.devDependencies }
  for (const source of tree.sources.values()) {
    const allowed = isProduct(source.path) ? runtime : known
    for (const { specifier, line } of source.imports) {
      if (/^(\.|#|node:)/.test(specifier)) continue
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
      const report = (text: string): number => findings.push({ rule: 'packages', path: source.path, line, text })
      if (!Object.hasOwn(allowed, name)) report(`${name} is no dependency in package.json (built-ins need node:)`)
      const room = packageRooms[name]
      if (room && source.path.startsWith('src/') && !source.path.startsWith(`src/${room}/`)) {
        report(`${name} is wrapped in ${room}; use that`)
      }
    }
  }
  return findings
}

/** Each circle of imports once, type-only and dynamic ones included. */
export function cycles(tree: Tree): Finding[] {
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const findings: Finding[] = []
  const visit = (path: string): void => {
    state.set(path, 'open')
    trail.push(path)
    for (const entry of tree.sources.get(path)?.imports ?? []) {
      const target = resolveImport(path, entry.specifier)
      if (target === null || !tree.sources.has(target)) continue
      if (state.get(target) === 'open') {
        const circle = [...trail.slice(trail.indexOf(target)), target].join(' → ')
        findings.push({ rule: 'cycles', path, line: entry.line, text: circle })
      } else if (!state.has(target)) visit(target)
    }
    trail.pop()
    state.set(path, 'done')
  }
  for (const path of tree.sources.keys()) if (!state.has(path)) visit(path)
  return findings
}

const entries = (path: string): boolean =>
  path === 'src/main.ts' ||
  path.endsWith('.worker.ts') ||
  isTest(path) ||
  path.startsWith('tools/') ||
  path.startsWith('bench/')

/** Files that nobody imports; a contract suite needs an importer too, or it would never run. */
export function deadFiles(tree: Tree): Finding[] {
  const imported = new Set<string>()
  for (const source of tree.sources.values()) {
    for (const { specifier } of source.imports) {
      const target = resolveImport(source.path, specifier)
      if (target !== null) imported.add(target)
    }
  }
  return [...tree.sources.keys()]
    .filter(path => !imported.has(path) && (!entries(path) || isContract(path)))
    .map(path => ({ rule: 'dead', path, line: 1, text: 'nobody imports it' }))
}

/** Workers lie flat beside the bundle, found by base name (tools/bundle.ts). */
export function workerNames(tree: Tree): Finding[] {
  const seen = new Map<string, string>()
  const findings: Finding[] = []
  for (const path of tree.sources.keys()) {
    if (!path.endsWith('.worker.ts')) continue
    const base = path.slice(path.lastIndexOf('/') + 1)
    const other = seen.get(base)
    if (other) findings.push({ rule: 'workers', path, line: 1, text: `has the base name of ${other}; dist/ is flat` })
    seen.set(base, path)
  }
  return findings
}
