import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The licences of all packages that went into a bundle, as one text. esbuild's `legalComments` keeps comments only,
 * which most packages don't have.
 * @param inputs paths of the metafile, relative to `root`.
 * @throws Error for a package that states no licence at all.
 */
export function thirdPartyNotice(root: string, inputs: readonly string[]): string {
  const folders = new Set<string>()
  for (const input of inputs) {
    const folder = packageFolder(root, input)
    if (folder) folders.add(folder)
  }
  const notices = [...folders].sort().map(folder => {
    const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
    const name = `${String(about['name'])} ${String(about['version'])}`
    const licence = typeof about['license'] === 'string' ? about['license'] : null
    const texts = readdirSync(folder)
      .filter(file => /^(licen[cs]e|copying|notice)\b/i.test(file))
      .sort()
      .map(file => readFileSync(join(folder, file), 'utf8').trim())
    if (licence === null && texts.length === 0) throw new Error(`${name} states no licence`)
    return `${'='.repeat(80)}\n${name}${licence ? ` (${licence})` : ''}\n\n${texts.join('\n\n')}\n`
  })
  return `Packages contained in this program, with their licences.\n\n${notices.join('\n')}`
}

function packageFolder(root: string, input: string): string | null {
  if (!input.includes('node_modules/')) return null
  // An inner package.json may hold only `type`: the package's own has a version.
  for (let folder = dirname(join(root, input)); !folder.endsWith('/node_modules'); folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    if (existsSync(file) && /"version"\s*:/.test(readFileSync(file, 'utf8'))) return folder
  }
  return null
}
