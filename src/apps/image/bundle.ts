import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { BuildOptions } from 'esbuild'
import { thirdPartyNotice } from './licences.ts'
import { ImageError, type Tool } from './tool.ts'

/** V8's and Node's flags in the image. A code cache is refused under others. */
export const nodeFlags = ['--disable-sigusr1', '--no-warnings', '--max-semi-space-size=4'] as const

/** What the driver takes along when it is there, and does without. */
const mongodbPeers = [
  '@mongodb-js/zstd',
  'aws4',
  'gcp-metadata',
  'kerberos',
  'mongodb-client-encryption',
  'snappy',
  'socks',
] as const

/** What every bundle of the program has in common. */
export const bundleOptions = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  // Optional peers, imported when named and installed by who needs them (docs/dependencies.md); and esbuild itself,
  // which only a checkout has.
  external: ['esbuild', 'pg-native', ...mongodbPeers, '@aws-sdk/*', '@google-cloud/*', '@azure/*'],
  legalComments: 'none',
  metafile: true,
  logLevel: 'silent',
} as const satisfies BuildOptions

/** Workers by base name: esbuild doesn't follow `new Worker(new URL(…))`, so each is an entry of its own. */
export function workerEntries(root: string): Record<string, string> {
  return Object.fromEntries(
    globSync('src/**/*.worker.ts', { cwd: root }).map(path => [basename(path, '.ts'), path] as const),
  )
}

export type ImageApp = {
  /** Its entry below `src/`. No top-level await: the file becomes CommonJS. */
  readonly entry: string
  /** Arguments of the run that fills the code cache: as much of the usual way as ends by itself. */
  readonly warmUp: readonly string[]
}

export type ImageBundle = {
  /** The checkout. */
  readonly root: string
  /** Removed first. */
  readonly out: string
  /** Name → app; the file is `name.cjs`, started as `node FLAGS load.cjs name.cjs …`. */
  readonly apps: Readonly<Record<string, ImageApp>>
  readonly tool: Tool
}

/**
 * The form of images: one CommonJS file an app, `load.cjs` to start it, and V8's code cache made by running it with
 * this very Node (start it in the image by the same one, with the same flags). CommonJS with its own cache takes a
 * third less anonymous memory than ESM.
 * @throws ImageError outside a checkout, and when sources or a warm-up run fail.
 */
export async function bundleForImage({ root, out, apps, tool }: ImageBundle): Promise<void> {
  const { build } = await import('esbuild').catch(() => {
    throw new ImageError('image build runs from a checkout, and needs its packages (npm ci): esbuild is not there')
  })
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const entries = Object.fromEntries(Object.entries(apps).map(([name, app]) => [name, app.entry]))
  const result = await build({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: { ...entries, ...workerEntries(root) },
    outdir: out,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    minify: true,
    keepNames: true,
    define: { 'import.meta.url': 'cofferModuleUrl', 'import.meta.dirname': '__dirname' },
    banner: { js: "const cofferModuleUrl = require('node:url').pathToFileURL(__filename).href;" },
  }).catch((error: unknown) => {
    throw new ImageError(`the sources can not be bundled: ${error instanceof Error ? error.message : String(error)}`)
  })
  copyFileSync(join(import.meta.dirname, 'load.cjs'), join(out, 'load.cjs'))
  writeFileSync(join(out, 'THIRD-PARTY'), thirdPartyNotice(root, Object.keys(result.metafile.inputs)))
  for (const [name, app] of Object.entries(apps)) await makeCodeCache(out, name, app, tool)
}

async function makeCodeCache(out: string, name: string, app: ImageApp, tool: Tool): Promise<void> {
  const argv = [process.execPath, ...nodeFlags, join(out, 'load.cjs'), join(out, `${name}.cjs`), ...app.warmUp]
  const { isOk, output } = await tool(argv, { env: { HOME: out, COFFER_MAKE_CODE_CACHE: '1' } })
  if (!isOk) throw new ImageError(`warm-up run of ${name} (${app.warmUp.join(' ')}) failed: ${output.slice(-2000)}`)
}
