import { spawnSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildOptions, build } from 'esbuild'
import { thirdPartyNotice } from './bundle/licences.ts'

// Optional peers: imported when named, installed by who needs them (docs/dependencies.md).
const external = ['pg-native', 'mysql2', 'mongodb', 'ioredis', '@aws-sdk/*', '@google-cloud/*', '@azure/*']

const common = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  external,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions

/** Workers by base name: esbuild doesn't follow `new Worker(new URL(…))`, so each is an entry of its own. */
function workerEntries(root: string): Record<string, string> {
  return Object.fromEntries(
    globSync('src/**/*.worker.ts', { cwd: root }).map(path => [basename(path, '.ts'), path] as const),
  )
}

/**
 * The form of the npm release and of what tests kill: ESM with shared chunks in a flat folder, so that one app doesn't
 * parse another's code. Removes `outDir` first.
 */
export async function bundle(root: string, outDir: string): Promise<void> {
  rmSync(outDir, { recursive: true, force: true })
  const result = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: { main: 'src/main.ts', ...workerEntries(root) },
    outdir: outDir,
    format: 'esm',
    splitting: true,
    sourcemap: 'linked',
    sourcesContent: false,
    // CommonJS packages call require() for built-ins.
    banner: {
      js: "import { createRequire as cofferRequire } from 'node:module'; const require = cofferRequire(import.meta.url);",
    },
  })
  writeFileSync(join(outDir, 'THIRD-PARTY'), thirdPartyNotice(root, Object.keys(result.metafile.inputs)))
}

export type ImageApp = {
  /** Its entry below `src/`. No top-level await: the file becomes CommonJS. */
  entry: string
  /** Arguments of the run that fills the code cache: as much of the usual way as ends by itself. */
  warmUp: readonly string[]
  /** Environment of that run. */
  env?: Readonly<Record<string, string>>
}

/**
 * The form of images: one CommonJS file an app, `load.cjs` to start it, and V8's code cache made by running it with
 * this very Node (start it in the image by the same one, with the same V8 flags). CommonJS with its own cache takes a
 * third less anonymous memory than ESM. Removes `outDir` first.
 * @param apps name → app; the file is `name.cjs`, started as `node load.cjs name.cjs …`.
 * @throws Error when a warm-up run doesn't end well within a minute.
 */
export async function bundleForImage(
  root: string,
  outDir: string,
  apps: Readonly<Record<string, ImageApp>>,
): Promise<void> {
  rmSync(outDir, { recursive: true, force: true })
  mkdirSync(outDir, { recursive: true })
  const entries = Object.fromEntries(Object.entries(apps).map(([name, app]) => [name, app.entry]))
  const result = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: { ...entries, ...workerEntries(root) },
    outdir: outDir,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    minify: true,
    keepNames: true,
    define: { 'import.meta.url': 'cofferModuleUrl', 'import.meta.dirname': '__dirname' },
    banner: { js: "const cofferModuleUrl = require('node:url').pathToFileURL(__filename).href;" },
  })
  copyFileSync(join(import.meta.dirname, 'bundle/load.cjs'), join(outDir, 'load.cjs'))
  writeFileSync(join(outDir, 'THIRD-PARTY'), thirdPartyNotice(root, Object.keys(result.metafile.inputs)))
  for (const [name, app] of Object.entries(apps)) makeCodeCache(outDir, name, app)
}

function makeCodeCache(outDir: string, name: string, app: ImageApp): void {
  const run = spawnSync(process.execPath, [join(outDir, 'load.cjs'), join(outDir, `${name}.cjs`), ...app.warmUp], {
    env: { PATH: process.env['PATH'] ?? '', HOME: outDir, ...app.env, COFFER_MAKE_CODE_CACHE: '1' },
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (run.status !== 0) {
    const end = run.signal ? `was ended by ${run.signal}` : `ended with ${run.status}`
    throw new Error(`warm-up run of ${name} (${app.warmUp.join(' ')}) ${end}: ${run.stderr.slice(-2000)}`)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = dirname(import.meta.dirname)
  await bundle(root, join(root, 'dist'))
}
