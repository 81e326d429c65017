import type { TokenReviewStatus } from '#kube/reviews.ts'
import { type ApiAnswer, type ApiAsk, scriptedTransport } from '#kube/scripted-transport.ts'

type Claims = Readonly<Record<string, unknown>>

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token of these claims, signed with nothing: the API server of a test is the only one that judges it. */
export const jwtOf = (claims: Claims, header: Claims = { alg: 'RS256', kid: 'test' }): string =>
  `${encode(header)}.${encode(claims)}.c2lnbmF0dXJl`

export type Account = { readonly namespace: string; readonly name: string; readonly uid: string }

export const app: Account = { namespace: 'shop', name: 'app', uid: 'uid-of-app' }

/** Claims of a projected token. @param more replaces claims; undefined takes one away. */
export const claimsOf = ({ namespace, name, uid }: Account, more: Claims = {}): Claims => ({
  iss: 'https://kubernetes.default.svc',
  aud: ['https://kubernetes.default.svc'],
  'kubernetes.io': { namespace, serviceaccount: { name, uid }, pod: { name: 'pod', uid: 'uid-of-pod' } },
  ...more,
})

/** The API server as far as the method asks it: reviews of accounts that it has, labels of namespaces, annotations. */
export class ScriptedApiServer {
  readonly asked: ApiAsk[] = []
  accounts: readonly Account[] = [app]
  labels: Readonly<Record<string, Readonly<Record<string, string>>>> = {}
  annotations: Readonly<Record<string, string>> = {}
  /** In place of what it would say to a review. */
  review: Partial<TokenReviewStatus> | null = null
  /** In place of any answer. */
  answer: ApiAnswer | null = null

  readonly transport = scriptedTransport(ask => {
    this.asked.push(ask)
    return this.answer ?? this.#answerTo(ask)
  })

  #answerTo({ path, body }: ApiAsk): ApiAnswer {
    if (path === '/apis/authentication.k8s.io/v1/tokenreviews') {
      return { status: 201, body: { kind: 'TokenReview', status: this.#reviewOf(body as ReviewAsk) } }
    }
    const [, namespace = '', , account] =
      /^\/api\/v1\/namespaces\/([^/]+)(\/serviceaccounts\/([^/]+))?$/.exec(path) ?? []
    if (account !== undefined) return { status: 200, body: { metadata: { annotations: this.annotations } } }
    const labels = this.labels[namespace]
    if (labels !== undefined) return { status: 200, body: { metadata: { labels } } }
    return { status: 404, body: { kind: 'Status', reason: 'NotFound', message: `namespaces "${namespace}" not found` } }
  }

  #reviewOf({ spec: { token, audiences } }: ReviewAsk): TokenReviewStatus {
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as {
      'kubernetes.io'?: { namespace: string; serviceaccount: { name: string } }
    }
    const legacy = claims as Record<string, string>
    const namespace = claims['kubernetes.io']?.namespace ?? legacy['kubernetes.io/serviceaccount/namespace']
    const name =
      claims['kubernetes.io']?.serviceaccount.name ?? legacy['kubernetes.io/serviceaccount/service-account.name']
    const found = this.accounts.find(one => one.name === name && one.namespace === namespace)
    if (found === undefined) return { error: `serviceaccounts "${name}" not found` }
    const user = { username: `system:serviceaccount:${namespace}:${name}`, uid: found.uid }
    return { authenticated: true, user, ...(audiences && { audiences }), ...this.review }
  }
}

type ReviewAsk = { readonly spec: { readonly token: string; readonly audiences?: readonly string[] } }

/** A CA that nobody has the key of; its public key verifies nothing. */
export const testCa = `-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUNd5GuMKtGezlCf0A7ElR2FQSue0wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjUxMzMwNDBaGA8yMTI2MTEwMTEzMzA0
MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGb6
akQYW5Z15xQ1pt6twQwISmYMAUGvK2lDDpC6/0pkCLZ8A4ks3ADZ5Vq7gxWzkgxS
QwLBl5RXE+X3OtcMCMCjUzBRMB0GA1UdDgQWBBT9uJnFmxnxc7UCPfAFQg5yDOx1
OzAfBgNVHSMEGDAWgBT9uJnFmxnxc7UCPfAFQg5yDOx1OzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIHsV7crgNP+/YQtvhszopEWhvCBuG1GsvIWN
Td4dx2WOAiBc9ZiBCGRw+Av3iKKT/iWkO0zA7LH/DaIM/I8xKkrM5w==
-----END CERTIFICATE-----
`
