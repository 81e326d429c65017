import { readFile } from 'node:fs/promises'
import type { Secret } from '#ground/base/secret.ts'
import { boolFlag, stringFlag } from '#ground/text/flags.ts'
import type { Json } from '#ground/text/json.ts'
import { indentedJson } from '../render/documents.ts'
import type { Envelope } from '#protocol/envelope.ts'
import { unwrap } from '#client/calls/wrapping.ts'
import { attempt, type Context } from '../context.ts'
import { loginMethods } from '../login-methods.ts'
import { sanitizePath } from '../paths.ts'
import { type Row, row } from '../row.ts'
import { writePrivately } from '#client/token-store.ts'
import { CliError, wrapped } from '../ui.ts'

const flags = {
  method: stringFlag({
    usage:
      'Auth method to log in by, by its type: "token", "kubernetes", "userpass", "approle", "cert", "jwt", "oidc".',
    default: 'token',
  }),
  path: stringFlag({ usage: 'Where the auth method is mounted. Default: its type.' }),
  'no-store': boolFlag({ usage: "Don't store the token; only print it." }),
  'no-print': boolFlag({ usage: "Don't print the token; only store it." }),
  'token-only': boolFlag({ usage: 'Print only the token: short for -field=token -no-store.' }),
}

type LoginContext = Context<typeof flags>

const loginRow = row({
  name: 'login',
  needsNoToken: true,
  synopsis: 'Authenticate locally',
  usage: '[options] [AUTH K=V...]',
  help: `Logs in and stores the token for later commands. The default is a token that you have already, which is checked:

    $ % login
    Token (will be hidden):

With Kubernetes: inside a pod its own service account is used; outside, the kubeconfig is, to ask the cluster for a
short-lived token of the account "coffer-admin" (or account=, namespace=, audience=):

    $ % login -method=kubernetes role=admin
    $ % login -method=kubernetes -path=prod role=app jwt=@token

With a name and a password, which is asked for when it isn't given:

    $ % login -method=userpass username=bob
    Password (will be hidden):
    $ % login -method=userpass -path=people username=bob

With a role id and a secret id, which is read from a file or asked for:

    $ % login -method=approle role_id=@role-id secret_id=@secret-id

With a signed token, such as that of a CI job, from a file or stdin:

    $ % login -method=jwt role=ci jwt=@token
    $ % login -method=jwt role=ci jwt=-

With the browser, by an OpenID provider; the browser comes back to http://localhost:8250/oidc/callback (or port=,
listenaddress=, callbackmethod=, callbackhost=, callbackport=). skip_browser=true only shows the address, timeout=5m is
how long it waits:

    $ % login -method=oidc role=dev`,
  output: ['field', 'format'],
  flags,
  args: null,
  async run(c) {
    const isTokenOnly = c.flags['token-only']
    const isStored = !c.flags['no-store'] && !isTokenOnly
    const field = isTokenOnly ? 'token' : c.field
    if (c.flags['no-store'] && c.flags['no-print']) {
      throw new CliError(1, '-no-store and -no-print cannot be used together')
    }
    const answer = await logIn(c)
    const isWrapped = answer.auth === null && answer.wrapInfo !== null
    if (isWrapped && !isStored) {
      return isTokenOnly ? c.ui.envelopeField(answer, 'wrapping_token') : c.ui.envelope(answer)
    }
    const envelope = await unwrapped(c, answer)
    if (envelope.auth?.mfaRequirement) {
      c.ui.warn(
        `${wrapped('A login request was issued that is subject to MFA validation. Please make sure to validate the login by sending another request to sys/mfa/validate endpoint.')}\n`,
      )
      return c.ui.envelope(envelope)
    }
    if (!envelope.auth) throw new CliError(2, 'Error extracting token: no auth or wrapping info in response')
    if (isStored) await store(c, envelope.auth.clientToken, envelope)
    else if (!isTokenOnly) {
      c.ui.warn(
        `${wrapped('The token was not stored in token helper. Set the VAULT_TOKEN environment variable or pass the token below with each request to Vault.')}\n`,
      )
    }
    if (c.flags['no-print']) return
    if (field !== '') return c.ui.envelopeField(envelope, field)
    if (c.ui.isTable) {
      const again = `You do NOT need to run "${c.io.calledAs} login" again.`
      c.ui.output(
        `${wrapped(`Success! You are now authenticated. The token information displayed below is already stored in the token helper. ${again} Future Vault requests will automatically use this token.`)}\n`,
      )
    }
    return c.ui.envelope(envelope)
  },
})

async function logIn(c: LoginContext): Promise<Envelope> {
  const type = sanitizePath(c.flags.method) || 'token'
  const make = loginMethods[type]
  if (!make) {
    throw new CliError(
      1,
      wrapped(
        `Unknown auth method: ${type}. Use "${c.io.calledAs} auth list" to see the complete list of auth methods. Additionally, some auth methods are only available via the HTTP API.`,
      ),
    )
  }
  const [first = ''] = c.args
  const args = type === 'token' && first !== '' && first !== '-' && !first.includes('=') ? [`token=${first}`] : c.args
  // A token piped in alone (`login -`) is no JSON object.
  const config: Record<string, string> =
    type === 'token' && first === '-'
      ? { token: (await c.input()).trim() }
      : await c.texts(args, 'Error parsing configuration')
  const mount = sanitizePath(config['mount'] ?? (c.flags.path || type))
  return attempt('Error authenticating', make(c, { ...config, mount }))
}

async function unwrapped(c: LoginContext, answer: Envelope): Promise<Envelope> {
  if (!answer.wrapInfo) return answer
  if (answer.wrapInfo.wrappedAccessor === '') {
    throw new CliError(2, 'Error extracting token: wrapped response does not contain a token')
  }
  const client = c.client.with({ token: answer.wrapInfo.token })
  const envelope = await attempt('Error extracting token', unwrap(client, null))
  if (!envelope) throw new CliError(2, 'Error extracting token: empty response from auth helper')
  return envelope
}

async function store(c: LoginContext, token: Secret, envelope: Envelope): Promise<void> {
  const { checkout, environment, tokenPath } = c.settings
  const text = token.reveal('stored for later commands')
  try {
    if (checkout) await storeInCheckout(c, checkout.path, text)
    else await writePrivately(c.io.world.entropy, tokenPath, text)
  } catch (error) {
    c.ui.error(`Error storing token: ${(error as Error).message}`)
    c.ui.error(
      `${wrapped('Authentication was successful, but the token was not persisted. The resulting token is shown below for your records.')}\n`,
    )
    await c.ui.envelope(envelope)
    throw new CliError(2, '', { cause: error })
  }
  if (environment.tokenVariable === undefined) return
  const name = environment.tokenVariable
  c.ui.warn(
    `${wrapped(`WARNING! The ${name} environment variable is set! The value of this variable will take precedence; if this is unwanted please unset ${name} or update its value accordingly.`)}\n`,
  )
}

// The checkout's pair is what the next command reads: the token changes there, the address stays with it.
async function storeInCheckout(c: LoginContext, path: string, token: string): Promise<void> {
  const pair = JSON.parse(await readFile(path, 'utf8')) as { [key: string]: Json }
  await writePrivately(c.io.world.entropy, path, `${indentedJson({ ...pair, token })}\n`)
}

export const loginRows: readonly Row[] = [loginRow]
