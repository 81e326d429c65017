import type { HttpRequest, HttpResponse } from '#ground/http/message.ts'

const contentPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

/** What the page shows; nothing secret. */
export type PageFacts = {
  readonly address: string
  readonly version: string
  readonly state: 'uninitialised' | 'sealed' | 'ready'
}

const words = {
  uninitialised: 'not initialised yet',
  sealed: 'sealed',
  ready: 'unsealed and ready',
} as const

/** `/` and `/ui` lead to the one page that there is: where the server is, how it is, and what to type. */
export function uiPages(facts: PageFacts, request: HttpRequest): HttpResponse | null {
  if (request.method !== 'GET' && request.method !== 'HEAD') return null
  if (request.path === '/' || request.path === '/ui')
    return { status: 307, headers: [['Location', '/ui/']], body: null }
  if (request.path === '/robots.txt') return text('User-agent: *\nDisallow: /\n', 'text/plain')
  if (request.path !== '/ui/') return null
  return text(render(facts), 'text/html; charset=utf-8')
}

function text(body: string, type: string): HttpResponse {
  return {
    status: 200,
    headers: [
      ['Content-Type', type],
      ['Cache-Control', 'no-store'],
      ['Content-Security-Policy', contentPolicy],
      ['X-Content-Type-Options', 'nosniff'],
      ['Referrer-Policy', 'no-referrer'],
    ],
    body,
  }
}

const escaped = (value: string): string => value.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)

const commands: Readonly<Record<PageFacts['state'], readonly (readonly [command: string, what: string])[]>> = {
  uninitialised: [['coffer operator init', 'make the keys; they are shown once']],
  sealed: [['coffer operator unseal', 'give one share of the unseal key; repeat until it is unsealed']],
  ready: [
    ['coffer status', 'the state of this server'],
    ['coffer login', 'with a token, or -method=kubernetes'],
    ['coffer kv put secret/app/db username=app password=…', 'write a secret'],
    ['coffer kv get -field=password secret/app/db', 'read it back'],
    ['coffer policy explain -accessor=… read secret/data/app/db', 'which rule decides, and why'],
    ['coffer path-help secret', 'what a mount can do'],
  ],
}

function render({ address, version, state }: PageFacts): string {
  const rows = commands[state].map(
    ([command, what]) => `<tr><td><code>${escaped(command)}</code></td><td>${escaped(what)}</td></tr>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>coffer</title>
<style>
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5c6577; --line: #d9dee8; --ground: #fbfcfe; --mark: ${state === 'ready' ? '#1f8a52' : '#b26a00'} }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf4; --soft: #9aa4b8; --line: #2c3446; --ground: #121724 } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 52rem; margin: 0 auto; padding: 3rem 1.25rem }
h1 { font-size: 1.6rem; margin: 0 0 .25rem }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem }
p { color: var(--soft); margin: 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.5rem; margin: 1.75rem 0 0 }
dt { color: var(--soft) } dd { margin: 0 }
.state::before { content: ""; display: inline-block; width: .65rem; height: .65rem; border-radius: 50%; background: var(--mark); margin-right: .5rem }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid var(--line); padding: .5rem .75rem .5rem 0; vertical-align: top }
td:last-child { color: var(--soft) }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
<h1>coffer</h1>
<p>Secrets for Kubernetes, over the API that Vault clients speak.</p>
<dl>
<dt>State</dt><dd class="state">${words[state]}</dd>
<dt>Address</dt><dd><code>${escaped(address)}</code></dd>
<dt>Version</dt><dd><code>${escaped(version)}</code></dd>
</dl>
<h2>What to type next</h2>
<table>${rows.join('')}</table>
</main>
</body>
</html>
`
}
