import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { after, test } from 'node:test'
import { silentLog } from '#ground/base/log.ts'
import { systemWorld } from '#ground/base/world.ts'
import { parseHcl } from '#ground/hcl/parse.ts'
import { cliCommand } from '#apps/cli/command.ts'
import { runCommand } from '#apps/cli/stub-server.ts'
import { command } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'coffer-metrics-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/server.md'), 'utf8')
const chapter = guide.slice(guide.indexOf('\n## Watch it'), guide.indexOf('\n## ', guide.indexOf('\n## Watch it') + 1))

let configs = 0

type Started = AsyncDisposable & { readonly address: string; readonly logged: () => string }

/** The server with this configuration, in this process. */
async function start(config: string): Promise<Started> {
  const file = join(folder, `${configs++}.hcl`)
  parseHcl(config, file)
  writeFileSync(file, config)
  const ending = new AbortController()
  const ready = Promise.withResolvers<string>()
  let printed = ''
  let logged = ''
  const ended = command.run([`-config=${file}`], {
    stdout: text => {
      printed += String(text)
      if (printed.includes('server started')) ready.resolve(/Api Address: (\S+)/.exec(printed)?.[1] ?? '')
    },
    stderr: text => {
      logged += text
    },
    stdin: new PassThrough(),
    isInputTerminal: false,
    isOutputTerminal: false,
    env: {},
    cwd: folder,
    calledAs: 'coffer',
    world: systemWorld(silentLog, ending.signal),
  })
  const address = await Promise.race([ready.promise, ended.then(code => assert.fail(`ended with ${code}: ${logged}`))])
  return {
    address,
    logged: () => logged,
    async [Symbol.asyncDispose]() {
      ending.abort()
      assert.equal(await ended, 0)
    },
  }
}

type Sample = { readonly name: string; readonly labels: string; readonly value: string }
type Family = { readonly type: string; readonly samples: readonly Sample[] }

/** The text format 0.0.4, strictly: whatever a scraper could stumble over throws. */
function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, { type: string; samples: Sample[] }>()
  const seen = new Set<string>()
  let current = ''
  let helped = ''
  assert.ok(text.endsWith('\n'), 'the last line ends')
  for (const line of text.slice(0, -1).split('\n')) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (head?.[1] === 'HELP') helped = head[2]!
    else if (head !== null) {
      current = head[2]!
      assert.equal(current, helped, 'TYPE follows its HELP')
      assert.match(head[3]!, /^(counter|gauge|summary)$/)
      assert.ok(!families.has(current), `${current} has two types`)
      families.set(current, { type: head[3]!, samples: [] })
    } else {
      const sample =
        /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
          line,
        )
      assert.ok(sample, `no sample: ${line}`)
      const [, name = '', labels = '', value = ''] = sample
      const family = families.get(current)!
      const names = family.type === 'summary' ? [current, `${current}_sum`, `${current}_count`] : [current]
      assert.ok(names.includes(name), `${name} stands below ${current}`)
      if (family.type === 'summary' && name === current) assert.match(labels, /quantile="/)
      assert.ok(!seen.has(`${name}{${labels}}`), `${name}{${labels}} stands twice`)
      seen.add(`${name}{${labels}}`)
      family.samples.push({ name, labels, value })
    }
  }
  for (const [name, { samples }] of families) assert.ok(samples.length > 0, `${name} has no sample`)
  return families
}

const key = Buffer.alloc(32, 3).toString('base64')
const base = (listener: string, more = ''): string => `
${listener}
storage "inmem" {}
seal "static" {
  current_key_id = "one"
  current_key    = "${key}"
}
${more}`

test('the guide on metrics: its configuration and its commands, scraped from a real server', async () => {
  const stanza = /```hcl\n([\s\S]*?)```/.exec(chapter)![1]!
  const listener = stanza
    .replace(/address *= .*/, 'address = "127.0.0.1:0"\n  tls_disable = true')
    .replace(/.*tls_.*file.*\n/g, '')
  await using server = await start(base(listener))
  assert.doesNotMatch(server.logged(), /\[WARN\]/)
  const scrape = async (): Promise<Map<string, Family>> => {
    const answer = await fetch(`${server.address}/v1/sys/metrics?format=prometheus`)
    assert.deepEqual(
      [answer.status, answer.headers.get('content-type')],
      [200, 'text/plain; version=0.0.4; charset=utf-8'],
    )
    return parseExposition(await answer.text())
  }
  assert.equal((await scrape()).get('vault_core_unsealed')?.samples[0]?.value, '0', 'there while it is not initialised')
  const init = await fetch(`${server.address}/v1/sys/init`, {
    method: 'PUT',
    body: JSON.stringify({ recovery_shares: 1, recovery_threshold: 1 }),
  })
  const { root_token: token } = (await init.json()) as { root_token: string }
  const env = { VAULT_ADDR: server.address, VAULT_TOKEN: token, HOME: '/nonexistent' }
  const commands = [...chapter.matchAll(/^\$ coffer (.*)$/gm)].map(match => match[1]!)
  assert.ok(commands.length >= 2)
  for (const line of commands) {
    const [name = '', ...argv] = line.split(' ')
    const input = name === 'policy' ? 'path "sys/metrics" { capabilities = ["read"] }' : ''
    const end = await runCommand(cliCommand(name), argv, { env, stdin: Readable.from([input]) })
    assert.equal(end.code, 0, `${line}: ${end.stderr}`)
  }
  const families = await scrape()
  assert.equal(families.get('vault_core_unsealed')?.samples[0]?.value, '1')
  for (const [, name] of chapter.matchAll(/^\| `(vault_[a-z_]+)`/gm)) {
    // These come with a mount, a quota, and a count of leases that are there.
    const isThere = families.has(name!) || /_(route|quota|by_expiration)/.test(name!)
    assert.ok(isThere, `${name} of the guide is not there`)
  }
  for (const name of ['process_resident_memory_bytes', 'vault_runtime_alloc_bytes', 'vault_runtime_sys_bytes'])
    assert.ok(Number(families.get(name)?.samples[0]?.value) > 1_000_000, name)
})

for (const [rule, telemetry, asks] of [
  [
    'without a word of it a token is asked for',
    '',
    [
      ['/v1/sys/metrics', 403],
      ['/v1/sys/health', 200],
    ],
  ],
  [
    'disallow_metrics hides them, in any spelling',
    'telemetry { disallow_metrics = true }',
    [
      ['/v1/sys/metrics', 404],
      ['/v1/sys/%6Detrics', 404],
    ],
  ],
  [
    'metrics_only answers nothing else',
    'telemetry {\n metrics_only = true\n unauthenticated_metrics_access = true\n}',
    [
      ['/v1/sys/metrics', 200],
      ['/v1/sys/health', 404],
      ['/ui/', 404],
    ],
  ],
  [
    'metrics_path gives them another path, with a token or without',
    'telemetry {\n metrics_only = true\n metrics_path = "/metrics"\n}',
    [
      ['/metrics', 403],
      ['/v1/sys/metrics', 404],
    ],
  ],
] as const) {
  test(`listener telemetry: ${rule}`, async () => {
    const second = `listener "tcp" {\n address = "127.0.0.1:0"\n tls_disable = true\n${telemetry}\n}`
    await using server = await start(`${base(second)}\ntelemetry { disable_hostname = true }`)
    if (!telemetry.includes('metrics_only'))
      await fetch(`${server.address}/v1/sys/init`, {
        method: 'PUT',
        body: JSON.stringify({ recovery_shares: 1, recovery_threshold: 1 }),
      })
    for (const [path, status] of asks) {
      const answer = await fetch(server.address + path)
      await answer.arrayBuffer()
      // Sealed it is 503 instead of 403: nobody gets them either way.
      assert.equal(answer.status === 503 ? 403 : answer.status, status, path)
    }
  })
}
