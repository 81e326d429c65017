import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { bundleOptions, workerEntries } from '#apps/image/bundle.ts'
import { thirdPartyNotice } from '#apps/image/licences.ts'

/**
 * The form of the npm release and of what tests kill: ESM with shared chunks in a flat folder, so that one app doesn't
 * parse another's code. Removes `outDir` first.
 */
export async function bundle(root: string, outDir: string): Promise<void> {
  rmSync(outDir, { recursive: true, force: true })
  const result = await build({
    ...bundleOptions,
    logLevel: 'warning',
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

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = dirname(import.meta.dirname)
  await bundle(root, join(root, 'dist'))
}
