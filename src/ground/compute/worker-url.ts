import { extname } from 'node:path'

/**
 * Where `NAME.worker.ts` stands: beside the asking module in the sources, and beside all else in a bundle, which is flat
 * (`tools/bundle.ts`).
 * @param here the asking module's `import.meta.url`.
 */
export function workerUrl(name: string, here: string): URL {
  return new URL(`./${name}.worker${extname(here)}`, here)
}
