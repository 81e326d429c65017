import type { Identity } from './certificates.ts'

/** Who a kubeconfig speaks as. */
export type Credentials = Identity | { token: string } | { tokenFile: string }

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A kubeconfig with everything inline (JSON is YAML): it works from any folder and in any mount namespace. */
export function kubeconfig(url: string, caPem: string, who: Credentials, namespace = 'default'): string {
  const user =
    'cert' in who ? { 'client-certificate-data': base64(who.cert), 'client-key-data': base64(who.key) } : { ...who }
  return `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': base64(caPem) } }],
      users: [{ name: 'test', user }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
      'current-context': 'test',
    },
    null,
    2,
  )}\n`
}
