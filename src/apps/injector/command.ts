import { createLog } from '#ground/base/log.ts'
import { FlagError, parseFlags } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import { createKubeClient } from '#kube/client.ts'
import { inClusterConfig, isInCluster } from '#kube/in-cluster.ts'
import { loadKubeConfig } from '#kube/kubeconfig.ts'
import type { InjectorDefaults } from '#delivery/annotations/defaults.ts'
import type { Command, Io } from '#protocol/command.ts'
import { injectorFlags, type InjectorFlags, levelOf, withEnvironment, withoutHarmless } from './flags.ts'
import { runInjector } from './injector.ts'

const help = (calledAs: string): string => `Usage: ${calledAs} injector [options]

  Adds the agent to pods that ask for it by annotation: the webhook of the sidecar
  injector. "setup kubernetes" installs it; by hand:

      $ ${calledAs} injector -vault-address=https://coffer.coffer.svc:8200 \\
          -vault-image=REF -tls-auto=coffer-injector -tls-auto-hosts=coffer-injector.coffer.svc

${flagsHelp([{ title: 'Command Options', flags: injectorFlags }])}`

/** `coffer injector`. Exit codes: 0 orderly end, 1 configuration or start. */
export const command: Command = {
  async run(argv, io) {
    try {
      const parsed = parseFlags(injectorFlags, withoutHarmless(argv, io.env))
      const flags = withEnvironment(parsed.values, io.env)
      return await start(flags, io)
    } catch (error) {
      if (error instanceof FlagError && error.code === 'help') {
        io.stdout(`${help(io.calledAs)}\n`)
        return 0
      }
      io.stderr(`Error: ${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
  },
}

async function start(flags: InjectorFlags, io: Io): Promise<number> {
  if (flags['vault-address'] === '') throw new Error('No Vault service configured: set -vault-address')
  if (flags['vault-image'] === '') throw new Error('no image for the agents: set -vault-image')
  if (flags.compat !== '' && flags.compat !== 'vault-k8s')
    throw new Error(`-compat "${flags.compat}" is not known; there is vault-k8s`)
  const log = createLog({
    level: levelOf(flags['log-level']),
    format: flags['log-format'] === 'json' ? 'json' : 'standard',
    write: line => io.stderr(line),
    now: () => io.world.clock.now(),
    name: 'injector',
  })
  const world = { ...io.world, log }
  const needsCluster = flags['tls-cert-file'] === '' || flags['tls-auto'] !== ''
  const config = isInCluster(io.env)
    ? await inClusterConfig(io.env)
    : needsCluster
      ? await loadKubeConfig({ env: io.env })
      : null
  const kube = config === null ? null : createKubeClient({ config, world, env: io.env })
  const namespace = io.env['NAMESPACE'] ?? config?.namespace ?? 'default'
  await runInjector({ flags, defaults: defaultsOf(flags), namespace, world, kube })
  kube?.close()
  return 0
}

function defaultsOf(flags: InjectorFlags): InjectorDefaults {
  return {
    address: flags['vault-address'],
    caCertBytes: decodedPem(flags['vault-cacert-bytes']),
    image: flags['vault-image'],
    authPath: flags['vault-auth-path'],
    cpuRequest: flags['cpu-request'],
    cpuLimit: flags['cpu-limit'],
    memoryRequest: flags['memory-request'],
    memoryLimit: flags['memory-limit'],
    ephemeralRequest: flags['ephemeral-storage-request'],
    ephemeralLimit: flags['ephemeral-storage-limit'],
    runAsUser: flags['run-as-user'],
    runAsGroup: flags['run-as-group'],
    runAsSameUser: flags['run-as-same-user'],
    setSecurityContext: flags['set-security-context'],
    exitOnRetryFailure: flags['template-config-exit-on-retry-failure'],
    staticSecretRenderInterval: flags['template-static-secret-render-interval'],
    revokeOnShutdown: flags['revoke-on-shutdown'],
    logLevel: 'info',
    logFormat: 'standard',
  }
}

// Given as PEM, or as base64 of it.
function decodedPem(text: string): string {
  if (text === '' || text.includes('-----BEGIN')) return text
  const decoded = Buffer.from(text, 'base64').toString()
  return decoded.includes('-----BEGIN') ? decoded : text
}
