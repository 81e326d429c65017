import { systemClock } from '#ground/base/clock.ts'
import { createHttpClient } from '#ground/http/client.ts'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPairSync } from 'node:crypto'

export type RealProvider = AsyncDisposable & {
  readonly issuer: string
  /**
   * What a browser does: follows the provider's pages, logs in as `user` and agrees.
   * @returns where it is sent back to
   */
  browse(address: string, user: string): Promise<URL>
  /** The browser's last step, to the page that waits for it. */
  visit(back: URL): Promise<{ readonly status: number; readonly text: string }>
}

const client = { client_id: 'coffer', client_secret: 'client-secret' }
export const providerClient = { oidc_client_id: client.client_id, oidc_client_secret: client.client_secret }

const jwk = (): Record<string, unknown> => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid: 'provider',
  use: 'sig',
  alg: 'RS256',
})

/** npm's oidc-provider on loopback, with its own pages for login and consent. @param redirectUris where it sends people back to */
export async function openProvider(redirectUris: readonly string[]): Promise<RealProvider> {
  const { default: Provider } = await import('oidc-provider')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(issuer, {
    clients: [{ ...client, redirect_uris: [...redirectUris], application_type: 'native' }],
    jwks: { keys: [jwk()] },
    cookies: { keys: ['of a test'] },
    claims: { openid: ['sub'], profile: ['name', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `The ${id}`, groups: ['dev', 'ops'] }),
    }),
  })
  const callback = provider.callback()
  server.on('request', (request, response) => void callback(request, response))
  return {
    issuer,
    browse: (address, user) => browse(address, user, issuer),
    visit,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function browse(address: string, user: string, issuer: string): Promise<URL> {
  const http = createHttpClient({ clock: systemClock })
  using _closing = { [Symbol.dispose]: () => http.close() }
  const cookies = new Map<string, string>()
  let url = new URL(address)
  let form: URLSearchParams | null = null
  for (let steps = 0; steps < 20; steps++) {
    const headers = {
      Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      ...(form && { 'Content-Type': 'application/x-www-form-urlencoded' }),
    }
    const answer = await http.request({
      method: form === null ? 'GET' : 'POST',
      url,
      headers: Object.entries(headers),
      body: form?.toString() ?? null,
    })
    for (const cookie of answer.headers.all('set-cookie')) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!
      cookies.set(name!, value!)
    }
    const text = Buffer.from(answer.body).toString()
    const location = answer.headers.get('location')
    if (location !== undefined) {
      url = new URL(location, url)
      form = null
      if (url.origin !== issuer) return url
      continue
    }
    const action = /<form[^>]+action="([^"]+)"/.exec(text)?.[1]
    if (action === undefined) throw new Error(`the provider answers ${answer.status}: ${text.slice(0, 500)}`)
    url = new URL(action, url)
    const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1] ?? 'login'
    form = new URLSearchParams({ prompt, ...(prompt === 'login' && { login: user, password: 'any' }) })
  }
  throw new Error('the provider sends the browser around in circles')
}

async function visit(url: URL): Promise<{ readonly status: number; readonly text: string }> {
  const http = createHttpClient({ clock: systemClock })
  using _closing = { [Symbol.dispose]: () => http.close() }
  const answer = await http.request({ method: 'GET', url })
  return { status: answer.status, text: Buffer.from(answer.body).toString() }
}
