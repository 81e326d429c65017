import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { capture, must, type Output } from './process.ts'

const root = join(import.meta.dirname, '../..')

/** Reference of the image that `buildImage` makes. */
export const cofferImage = 'localhost/coffer:test'

/** `bin/coffer` of this checkout as a person at a terminal would use it, with a home folder of its own. */
export class Person implements Disposable {
  readonly home = mkdtempSync(join(tmpdir(), 'coffer-person-'))
  readonly #env: Readonly<Record<string, string>>

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env
  }

  /** @throws Error with what it said, unless `mayFail`. */
  run(args: readonly string[], options: { mayFail?: true; env?: Record<string, string> } = {}): Promise<Output> {
    const run = options.mayFail ? capture : must
    const env = { HOME: this.home, ...this.#env, ...options.env }
    return run([join(root, 'bin/coffer'), ...args], { cwd: this.home, env, timeoutMs: 240_000 })
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true })
  }
}

/** Builds the image of this checkout. @returns path of the archive. */
export async function buildImage(person: Person): Promise<string> {
  const archive = join(person.home, 'coffer.tar')
  await person.run(['image', 'build', `-o=${archive}`, `-ref=${cofferImage}`])
  return archive
}

export type Annotations = Readonly<Record<string, string>>

/** What the guide tells the owner of a pod to write. */
export const annotated = (role: string): Annotations => ({
  'vault.hashicorp.com/agent-inject': 'true',
  'vault.hashicorp.com/role': role,
  'vault.hashicorp.com/agent-inject-secret-db': 'secret/data/app/db',
  'vault.hashicorp.com/agent-inject-template-db':
    '{{ with secret "secret/data/app/db" }}{{ .Data.data.username }}:{{ .Data.data.password }}{{ end }}',
  'vault.hashicorp.com/agent-requests-cpu': '10m',
})

const podSpec = (script: string, restartPolicy: string): object => ({
  serviceAccountName: 'app',
  restartPolicy,
  terminationGracePeriodSeconds: 1,
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'app',
      image: cofferImage,
      imagePullPolicy: 'Never',
      command: ['sh', '-ec', script],
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
})

export const deployment = (name: string, annotations: Annotations, replicas = 1): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: podSpec('trap exit TERM; sleep 100000 & wait', 'Always'),
    },
  },
})

export const job = (name: string, annotations: Annotations): object => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name },
  spec: {
    backoffLimit: 0,
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: podSpec('cat /vault/secrets/db', 'Never'),
    },
  },
})
