import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock } from '#ground/base/clock.ts'
import { bundleForImage, type ImageApp, nodeFlags } from './bundle.ts'
import { makeTool } from './tool.ts'

const checkout = join(import.meta.dirname, '../../..')
const tool = makeTool({ clock: systemClock, signal: new AbortController().signal }, process.env)
const folder = mkdtempSync(join(tmpdir(), 'coffer-bundle-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const files = {
  'package.json': '{ "name": "example", "type": "module", "imports": { "#*": "./src/*" } }',
  'src/main.ts': `import { greet } from '#apps/one/one.ts'
if (process.argv[2] === 'yaml') void import('#apps/two/two.ts').then(two => console.log(two.read('a: 1')))
else greet(process.argv.slice(2))
`,
  'src/apps/one/one.ts': `import { Worker } from 'node:worker_threads'
import { extname } from 'node:path'
export function greet(args: string[]): void {
  const here = import.meta.url
  const worker = new Worker(new URL(\`./add.worker\${extname(here)}\`, here), { workerData: args.map(Number) })
  worker.once('message', (sum: number) => console.log('sum', sum))
}
`,
  'src/apps/one/add.worker.ts': `import { parentPort, workerData } from 'node:worker_threads'
parentPort!.postMessage((workerData as number[]).reduce((a, b) => a + b, 0))
`,
  'src/apps/two/two.ts': `import { parse } from 'yaml'
export const read = (text: string): string => JSON.stringify(parse(text))
`,
}
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}
symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'))

function run(args: string[], env: Record<string, string> = {}): string {
  const ran = spawnSync(process.execPath, [...nodeFlags, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  assert.equal(ran.status, 0, ran.stderr)
  return ran.stdout.trim()
}

const make = (out: string, apps: Record<string, ImageApp>): Promise<void> =>
  bundleForImage({ root: folder, out, apps, tool })

test('the image form runs from its code cache, finds its worker and keeps its arguments', async () => {
  const out = join(folder, 'image')
  await make(out, { main: { entry: 'src/main.ts', warmUp: ['yaml'] } })
  assert.deepEqual(readdirSync(out).sort(), ['THIRD-PARTY', 'add.worker.cjs', 'load.cjs', 'main.cjs', 'main.cjs.cache'])
  const load = [join(out, 'load.cjs'), join(out, 'main.cjs')]
  assert.equal(run([...load, '4', '5'], { COFFER_CODE_CACHE: 'require' }), 'sum 9')
  assert.equal(run([...load, 'yaml'], { COFFER_CODE_CACHE: 'require' }), '{"a":1}')
})

test('the image form runs without its cache and with one that does not fit', () => {
  const load = [join(folder, 'image/load.cjs'), join(folder, 'image/main.cjs')]
  writeFileSync(join(folder, 'image/main.cjs.cache'), 'not a cache')
  assert.equal(run([...load, '4', '5']), 'sum 9')
  rmSync(join(folder, 'image/main.cjs.cache'))
  assert.equal(run([...load, '4', '5']), 'sum 9')
})

test('a warm-up run that fails stops the build', async () => {
  writeFileSync(join(folder, 'src/bad.ts'), 'throw new Error("no")')
  await assert.rejects(
    make(join(folder, 'bad'), { bad: { entry: 'src/bad.ts', warmUp: [] } }),
    /warm-up run of bad \(\) failed: [\s\S]*no/,
  )
})
