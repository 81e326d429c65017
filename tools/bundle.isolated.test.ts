import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { bundle } from './bundle.ts'

const checkout = dirname(import.meta.dirname)
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
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', ...env } })
  assert.equal(ran.status, 0, ran.stderr)
  return ran.stdout.trim()
}

test('the release form runs, finds its worker and loads an app only when asked', async () => {
  const out = join(folder, 'dist')
  await bundle(folder, out)
  assert.equal(run([join(out, 'main.js'), '1', '2']), 'sum 3')
  assert.equal(run([join(out, 'main.js'), 'yaml']), '{"a":1}')
  assert.ok(!readFileSync(join(out, 'main.js'), 'utf8').includes('YAMLParseError'), 'yaml stands in a chunk of its own')
  assert.match(readFileSync(join(out, 'THIRD-PARTY'), 'utf8'), /yaml 2\.[\d.]+ \(ISC\)[\s\S]*Copyright Eemeli/)
})

test('coffer itself runs from its bundle', {
  skip: existsSync(join(checkout, 'src/main.ts')) ? false : 'src/main.ts is not there',
}, async () => {
  const out = join(folder, 'coffer')
  await bundle(checkout, out)
  assert.match(run([join(out, 'main.js'), 'version']), /\d+\.\d+\.\d+/)
})
