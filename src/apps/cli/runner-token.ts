import { Secret } from '#ground/base/secret.ts'
import { createHttpClient } from '#ground/http/client.ts'
import { isJsonObject } from '#ground/text/json.ts'
import { parseJson } from '#ground/text/json-parse.ts'
import { LoginError } from '#client/login/login.ts'
import type { Io } from '#protocol/command.ts'

const askMsMax = 10_000
const answerBytesMax = 64 << 10

/**
 * A token that says which job this is, made by its runner when asked (GitHub Actions with `id-token: write`).
 * @returns null where there is no such runner.
 * @source docs.github.com, "OpenID Connect reference": ACTIONS_ID_TOKEN_REQUEST_URL
 */
export async function runnerToken(io: Io, audience: string | undefined): Promise<Secret | null> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: address, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = io.env
  if (!address || !bearer) return null
  const url = new URL(address)
  if (audience !== undefined) url.searchParams.set('audience', audience)
  const http = createHttpClient({ clock: io.world.clock })
  try {
    const answer = await http.request({
      method: 'GET',
      url,
      headers: [['Authorization', `bearer ${bearer}`]],
      timeoutMs: askMsMax,
      responseBytesMax: answerBytesMax,
      signal: io.world.signal,
    })
    const body = answer.status === 200 ? parseJson(Buffer.from(answer.body).toString('utf8')) : null
    const value = isJsonObject(body ?? undefined) ? (body as { readonly value?: unknown }).value : undefined
    if (typeof value !== 'string') throw new LoginError(`the runner gave no token: status ${answer.status}`)
    return new Secret(value)
  } finally {
    http.close()
  }
}
