import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, startCluster } from '../test/cluster/node.ts'
import { annotated, buildImage, cofferImage, deployment, Person } from '../test/cluster/seed.ts'

// What the agent costs a pod, on a real kubelet (root):
//
//     sh bin/pinned bench/pods.ts [minutes that the agent idles, default 2] [pods of the burst, default 30]
//
// One pod: from its init agent's first log line to the rendered file; memory and CPU of the agent that stays, from its
// own cgroup. Then many pods at once, and how long each took from its making to being ready (whole seconds: that is
// what the API server keeps).

const minutes = Number(process.argv[2] ?? 2)
const many = Number(process.argv[3] ?? 30)
const namespace = 'bench'
const say = (text: string): void => void process.stdout.write(`${text}\n`)

type PodList = {
  items: {
    metadata: { creationTimestamp: string }
    status?: { conditions?: { type: string; status: string; lastTransitionTime: string }[] }
  }[]
}

const builder = new Person({})
await using cluster: Cluster = await startCluster({ images: [await buildImage(builder)] })
using person = new Person({ KUBECONFIG: cluster.kubeconfig, COFFER_ADDR: 'kube://coffer/coffer' })
builder[Symbol.dispose]()

await person.run(['setup', 'kubernetes', `-image=${cofferImage}`, `-keys-out=${person.home}/keys`])
await person.run(['login', '-method=kubernetes'])
await person.run(['kv', 'put', 'secret/app/db', 'username=app', 'password=s3cr3t'])
await cluster.kubectl(['create', 'namespace', namespace])
await person.run(['setup', 'workload', `-namespace=${namespace}`, '-service-account=app', '-read=secret/app/*'])

await roll('one', 1)
const log = (await cluster.kubectl(['logs', 'deploy/one', '-c', 'vault-agent-init'], { namespace })).stdout
const times = [...log.matchAll(/^(\d{4}-\d\d-\d\dT[\d:.]+)Z? .*?(agent started|rendered)/gm)]
const at = (what: string): number => Date.parse(`${times.find(([, , one]) => one === what)?.[1] ?? ''}Z`)
say(`first log line to the rendered file: ${at('rendered') - at('agent started')} ms`)

const before = await measure()
say(`agent after start: ${text(before)}`)
await sleep(60_000)
const first = await measure()
for (let minute = 2; minute <= minutes; minute++) await sleep(60_000)
const last = await measure()
say(`agent after ${minutes} min: ${text(last)}`)
if (minutes > 1) say(`CPU a minute, from the second on: ${((last.cpuMs - first.cpuMs) / (minutes - 1)).toFixed(1)} ms`)
await cluster.kubectl(['delete', 'deploy/one', '--wait=true'], { namespace })

const started = performance.now()
await roll('many', many)
const whole = (performance.now() - started) / 1000
const list = await cluster.call<PodList>('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3Dmany`)
const took = list.items
  .map(({ metadata, status }) => {
    const isReady = status?.conditions?.find(one => one.type === 'Ready' && one.status === 'True')
    return (Date.parse(isReady?.lastTransitionTime ?? '') - Date.parse(metadata.creationTimestamp)) / 1000
  })
  .sort((a, b) => a - b)
say(
  `${many} pods at once: all ready after ${whole.toFixed(1)} s; each ${took[0]} to ${took.at(-1)} s, half within ${took[took.length >> 1]} s`,
)

async function roll(name: string, replicas: number): Promise<void> {
  const input = JSON.stringify(deployment(name, annotated('app'), replicas))
  await cluster.kubectl(['apply', '-f', '-'], { namespace, input })
  await cluster.kubectl(['rollout', 'status', `deploy/${name}`, '--timeout=300s'], { namespace, timeoutMs: 310_000 })
}

type Measured = { readonly workingMb: number; readonly anonymousMb: number; readonly cpuMs: number }

// Seen from the node: a container's view of its cgroup differs between kubelets.
async function measure(): Promise<Measured> {
  const script = `pid=$(pgrep -f "[/]app/coffer.cjs agent" | head -1)
grep RssAnon /proc/$pid/status
awk '{ print "cpu", ($14 + $15) * 10 }' /proc/$pid/stat
group=$(sed -n 's/^[0-9]*:memory://p' /proc/$pid/cgroup)
cd /sys/fs/cgroup/memory$group && cat memory.usage_in_bytes && grep total_inactive_file memory.stat`
  const { stdout } = await cluster.exec(['sh', '-c', script])
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1])
  return {
    workingMb: (number(/^(\d+)$/m) - number(/^total_inactive_file (\d+)$/m)) / 2 ** 20,
    anonymousMb: number(/^RssAnon:\s+(\d+) kB$/m) / 1024,
    cpuMs: number(/^cpu (\d+)$/m),
  }
}

function text({ workingMb, anonymousMb, cpuMs }: Measured): string {
  return `${anonymousMb.toFixed(1)} MB anonymous, ${workingMb.toFixed(1)} MB in its cgroup's working set, ${cpuMs.toFixed(0)} ms of CPU in all`
}
