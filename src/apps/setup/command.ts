import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { boolFlag, FlagError, type Flags, parseFlags, stringFlag, stringListFlag } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import { ApiError, ConnectError } from '#client/api-error.ts'
import { createKubeClient } from '#kube/client.ts'
import { minorOf, serverVersion } from '#kube/discovery.ts'
import { KubeConfigError, KubeError } from '#kube/errors.ts'
import { loadKubeConfig } from '#kube/kubeconfig.ts'
import type { Command, Io } from '#protocol/command.ts'
import { configuredClient } from './connect.ts'
import { dryRun, setUp } from './kubernetes.ts'
import { SetupError } from './material.ts'
import type { SetupPlan } from './plan.ts'
import { tearDown } from './remove.ts'
import { syncKeys } from './signed.ts'
import { setUpWorkload } from './workload.ts'

const kubernetesFlags = {
  image: stringFlag({ usage: 'Image of server, injector and agents; never :latest.' }),
  namespace: stringFlag({ default: 'coffer', usage: 'Where everything goes.' }),
  'external-address': stringFlag({
    usage: 'Address of a server outside of the cluster, as pods reach it: only injector and logins are set up.',
  }),
  'external-ca-cert': stringFlag({ usage: 'CA of the server outside, PEM file, handed to the agents.' }),
  'kubernetes-host': stringFlag({
    usage: 'Address of the API server, as the server outside reaches it; default that of the kubeconfig.',
  }),
  reviewer: stringFlag({ usage: '"secret": a token that never ends reviews the logins of a server outside.' }),
  auth: stringFlag({
    default: 'kubernetes',
    usage: '"jwt": a server outside gets the keys of the cluster and need not reach its API server.',
  }),
  'sync-keys': boolFlag({ usage: 'With -auth=jwt: only push the keys of the cluster anew.' }),
  address: stringFlag({ usage: 'Where the server outside is asked by this command; default the environment.' }),
  seal: stringFlag({
    default: 'static',
    usage: '"static" (the server unseals itself with the Secret coffer-seal) or "shamir".',
  }),
  'storage-class': stringFlag({ usage: "Storage class of the volumes; default the cluster's." }),
  'storage-size': stringFlag({ usage: 'Size of the data volume; default 1Gi.' }),
  'audit-size': stringFlag({ usage: 'Size of the audit volume; default 1Gi.' }),
  'failure-policy': stringFlag({
    usage:
      'What becomes of pods that ask for injection while no injector answers: "Fail" refuses them (the default from Kubernetes 1.28 on, where other pods never meet the webhook), "Ignore" lets them in as they are.',
  }),
  wait: boolFlag({ default: true, usage: 'Wait until the injector runs and the API server trusts it.' }),
  'auth-path': stringFlag({ default: 'auth/kubernetes', usage: 'Where the auth method is mounted.' }),
  'keys-out': stringFlag({ usage: 'Write the keys of init to this file (0600) instead of printing them.' }),
  'dry-run': boolFlag({ usage: 'Print everything and change nothing.' }),
  remove: boolFlag({ usage: 'Take everything away but volumes and key material, the webhook first.' }),
  purge: boolFlag({ usage: 'With -remove: volumes and key material, too.' }),
} satisfies Flags

const workloadFlags = {
  namespace: stringFlag({ default: 'default', usage: 'Namespace of the account.' }),
  'service-account': stringFlag({ usage: 'The account of the pods; made if it is not there.' }),
  read: stringListFlag({ usage: 'Path to read, like secret/app/*; may be given several times.' }),
  role: stringFlag({ usage: "Name of role and policy; default the account's name." }),
  'no-bind-uid': boolFlag({ usage: 'Let an account of the same name that is made anew log in, too.' }),
  'auth-path': stringFlag({ default: 'auth/kubernetes', usage: 'Where the auth method is mounted.' }),
  address: stringFlag({ usage: 'Address of the server; default the environment.' }),
} satisfies Flags

const help = (calledAs: string): string => `Usage: ${calledAs} setup kubernetes|workload [options]

  Server and injector into the cluster of the current kubeconfig:

      $ ${calledAs} setup kubernetes -image=registry.example.org/coffer:0.1.0

  The pods of an account may read secrets:

      $ ${calledAs} setup workload -namespace=default -service-account=app -read='secret/app/*'

${flagsHelp([
  { title: 'setup kubernetes', flags: kubernetesFlags },
  { title: 'setup workload', flags: workloadFlags },
])}`

/** Webhooks have `matchConditions` from here on. */
const matchConditionsMinor = 28

/** `coffer setup`. Exit codes: 0 done, 1 usage or what a person must mend, 2 a server or the cluster refused. */
export const command: Command = {
  async run(argv, io) {
    const [what, ...rest] = argv
    try {
      if (what === 'kubernetes') return await runKubernetes(rest, io)
      if (what === 'workload') return await runWorkload(rest, io)
      if (what === undefined || /^--?h(elp)?$/.test(what)) throw new FlagError('help', '')
      throw new SetupError(`there is no "setup ${what}": kubernetes or workload`)
    } catch (error) {
      return report(error, io)
    }
  },
}

function report(error: unknown, io: Io): number {
  if (error instanceof FlagError && error.code === 'help') {
    io.stdout(`${help(io.calledAs)}\n`)
    return 0
  }
  if (error instanceof FlagError || error instanceof SetupError || error instanceof KubeConfigError) {
    io.stderr(`Error: ${error.message}\n`)
    return 1
  }
  if (error instanceof ApiError || error instanceof ConnectError || error instanceof KubeError) {
    io.stderr(`Error: ${error.message}\n`)
    return 2
  }
  throw error
}

function planOf(flags: ReturnType<typeof parseFlags<typeof kubernetesFlags>>['values'], io: Io): SetupPlan {
  if (flags.image === '' && !flags.remove && !flags['sync-keys'])
    throw new SetupError('-image is missing: the reference of the image, as the nodes pull it')
  if (flags.image.endsWith(':latest') || (flags.image !== '' && !/[:@][^/]+$/.test(flags.image))) {
    throw new SetupError(
      '-image needs a tag or digest that is not latest: a moving tag changes what runs in front of your secrets',
    )
  }
  const { seal } = flags
  if (seal !== 'static' && seal !== 'shamir') throw new SetupError(`-seal "${seal}" is neither static nor shamir`)
  const policy = flags['failure-policy']
  if (policy !== '' && policy !== 'Ignore' && policy !== 'Fail')
    throw new SetupError(`-failure-policy "${policy}" is neither Ignore nor Fail`)
  const address = flags['external-address']
  const ca = flags['external-ca-cert']
  return {
    namespace: flags.namespace,
    image: flags.image,
    external: address === '' ? null : { address, caPem: ca === '' ? '' : readFileSync(resolve(io.cwd, ca), 'utf8') },
    seal,
    storageClass: flags['storage-class'] || null,
    storageSize: flags['storage-size'] || null,
    auditSize: flags['audit-size'] || null,
    failurePolicy: policy === '' ? null : policy,
    matchesByAnnotation: true,
    authPath: flags['auth-path'].replace(/\/+$/, ''),
  }
}

function authOf(flags: ReturnType<typeof parseFlags<typeof kubernetesFlags>>['values']): 'kubernetes' | 'jwt' {
  const { auth } = flags
  if (auth !== 'kubernetes' && auth !== 'jwt') throw new SetupError(`-auth "${auth}" is neither kubernetes nor jwt`)
  if (flags['sync-keys'] && auth !== 'jwt') throw new SetupError('-sync-keys goes with -auth=jwt')
  if (auth === 'jwt' && !flags['sync-keys'] && flags['external-address'] === '') {
    throw new SetupError('-auth=jwt goes with -external-address: a server in the cluster can ask the API server')
  }
  return auth
}

async function runKubernetes(argv: readonly string[], io: Io): Promise<number> {
  const { values: flags } = parseFlags(kubernetesFlags, argv)
  const plan = planOf(flags, io)
  if (flags['dry-run']) {
    io.stdout(dryRun(plan))
    return 0
  }
  const say = (line: string): void => io.stdout(`${line}\n`)
  using kube = createKubeClient({ config: await loadKubeConfig({ env: io.env }), world: io.world, env: io.env })
  say(`cluster: ${kube.config.server} (${kube.config.origin})`)
  if (flags.remove) {
    await tearDown(kube, plan, flags.purge, say)
    return 0
  }
  const auth = authOf(flags)
  if (flags['sync-keys']) {
    await syncKeys(kube, plan, flags.address, io, say)
    return 0
  }
  const minor = minorOf(await serverVersion(kube))
  const matchesByAnnotation = minor !== null && minor >= matchConditionsMinor
  const reviewer = flags.reviewer
  if (reviewer !== '' && reviewer !== 'secret')
    throw new SetupError(`-reviewer "${reviewer}" is not known; there is secret`)
  await setUp(
    kube,
    { ...plan, matchesByAnnotation },
    {
      waits: flags.wait,
      keysOut: flags['keys-out'] === '' ? '' : resolve(io.cwd, flags['keys-out']),
      kubernetesHost: flags['kubernetes-host'],
      reviewer,
      auth,
      address: flags.address,
    },
    io,
    say,
  )
  say(nextSteps(plan, io.calledAs))
  return 0
}

function nextSteps(plan: SetupPlan, calledAs: string): string {
  const first =
    plan.external === null
      ? `    $ export COFFER_ADDR=kube://${plan.namespace}/coffer\n    $ ${calledAs} login -method=kubernetes\n`
      : ''
  return `\nReady. Next:\n\n${first}    $ ${calledAs} kv put secret/app/db username=app password=s3cr3t\n    $ ${calledAs} setup workload -namespace=default -service-account=app -read='secret/app/*'\n`
}

async function runWorkload(argv: readonly string[], io: Io): Promise<number> {
  const { values: flags } = parseFlags(workloadFlags, argv)
  const serviceAccount = flags['service-account']
  if (serviceAccount === '') throw new SetupError('-service-account is missing: the account of the pods')
  if (flags.read.length === 0) throw new SetupError("-read is missing: what the pods read, like -read='secret/app/*'")
  using kube = createKubeClient({ config: await loadKubeConfig({ env: io.env }), world: io.world, env: io.env })
  await using client = await configuredClient(io, flags.address)
  const workload = {
    namespace: flags.namespace,
    serviceAccount,
    reads: flags.read,
    role: flags.role || serviceAccount,
    bindsUid: !flags['no-bind-uid'],
    authPath: flags['auth-path'].replace(/\/+$/, ''),
  }
  await setUpWorkload(kube, client, workload, line => io.stdout(`${line}\n`))
  return 0
}
