import { readFile } from 'node:fs/promises'
import type { World } from '#ground/base/world.ts'
import { Secret } from '#ground/base/secret.ts'
import type { CallerOptions } from '#kube/caller.ts'
import type { KubeClient } from '#kube/client.ts'
import { serviceAccountFolder } from '#kube/in-cluster.ts'
import { OneServer } from '#kube/one-server.ts'
import { fault } from '#protocol/fault.ts'
import type { KubernetesConfig } from './config-entry.ts'

/** How long the pod's own token counts before it is read again; the kubelet replaces it. @source caching_file_reader.go */
const localTokenMs = 60_000
const localCaMs = 3_600_000

type Cached = { readonly text: string | null; readonly readAt: number }

/** An API server that can be asked, and the token to ask with; null = the login's own. */
export type Reviewer = { readonly client: KubeClient; readonly token: Secret | null; readonly origin: string }

export type ReviewerOptions = { readonly folder?: string } & Pick<CallerOptions, 'transport'>

/**
 * The connection of one mount to its API server: one client with its kept connections, made anew when configuration or
 * CA changed. @source openbao builtin/credential/kubernetes/backend.go
 */
export class Reviewers {
  readonly #world: World
  readonly #folder: string
  readonly #server: OneServer
  readonly #files = new Map<string, Cached>()

  /** @param options `folder`: where the pod's own token and CA lie; `transport`: as of the Kubernetes client. */
  constructor(world: World, options: ReviewerOptions = {}) {
    this.#world = world
    this.#folder = options.folder ?? serviceAccountFolder
    const { transport } = options
    this.#server = new OneServer({ world, deadlineMs: 10_000, ...(transport && { transport }) })
  }

  /** @throws Fault when the CA that is to be used can't be read. */
  async current(config: KubernetesConfig): Promise<Reviewer> {
    const ca = await this.#ca(config)
    const token =
      config.reviewerJwt !== ''
        ? config.reviewerJwt
        : config.disablesLocal
          ? null
          : await this.#file('token', localTokenMs)
    const origin =
      config.reviewerJwt !== ''
        ? 'token_reviewer_jwt'
        : token === null
          ? "the login's own token"
          : "the pod's own token"
    return {
      client: this.#server.client({
        host: config.host,
        ca: ca === null ? { kind: 'system' } : { kind: 'pem', pem: ca },
        auth: { kind: 'none' },
        origin: 'auth/kubernetes/config',
      }),
      token: token === null ? null : new Secret(token),
      origin,
    }
  }

  reset(): void {
    this.#server.close()
    this.#files.clear()
  }

  async #ca(config: KubernetesConfig): Promise<string | null> {
    if (config.caCert !== '') return config.caCert
    if (config.disablesLocal || config.host.startsWith('http://')) return null
    return this.#file('ca.crt', localCaMs)
  }

  async #file(name: string, maxAgeMs: number): Promise<string | null> {
    const now = this.#world.clock.now()
    const cached = this.#files.get(name)
    if (cached && now - cached.readAt < maxAgeMs && now >= cached.readAt) return cached.text
    let text: string | null = null
    try {
      text = (await readFile(`${this.#folder}/${name}`, 'utf8')).trim()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw fault('backend.failed_bare', `could not load backend configuration`, {
          reason: `the file ${this.#folder}/${name} can not be read: ${(error as NodeJS.ErrnoException).code}`,
        })
      }
    }
    this.#files.set(name, { text, readAt: now })
    return text
  }
}
