import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { boxImage } from './containerd.ts'
import { holdInProcess } from './held.ts'
import { imageArchive } from '#apps/image/archive.ts'
import { leftovers, networkNamespaceOf, untilNothingLeft } from './leftovers.ts'
import { type Cluster, nodeIp, startCluster } from './node.ts'
import { children, must } from './process.ts'
import { cgroupPrefix, cgroupRoots, sweep } from './sweep.ts'

let cluster: Cluster

before(async () => {
  cluster = await startCluster()
})
after(async () => {
  await cluster?.[Symbol.asyncDispose]()
})

type Pod = { status?: { phase?: string } }

const podOf = (name: string, script: string, more: object = {}, container: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'box', image: boxImage, imagePullPolicy: 'Never', command: ['sh', '-ec', script], ...container },
    ],
    ...more,
  },
})

/** Runs a pod to its end. @returns what it printed. */
async function runPod(namespace: string, pod: object): Promise<string> {
  const made = await cluster.call<{ metadata: { name: string } }>('POST', `/api/v1/namespaces/${namespace}/pods`, pod)
  const { name } = made.metadata
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`
  const ended = await cluster.until<Pod>(path, ({ status }) => ['Succeeded', 'Failed'].includes(status?.phase ?? ''))
  const { stdout } = await cluster.kubectl(['logs', name], { namespace })
  assert.equal(ended.status?.phase, 'Succeeded', stdout)
  return stdout
}

test('a pod runs, with the token of its service account', async () => {
  const namespace = await cluster.newNamespace()
  const token = (await runPod(namespace, podOf('p', 'cat /var/run/secrets/kubernetes.io/serviceaccount/token'))).trim()
  const answer = await cluster.request('GET', '/api/v1/nodes', { token })
  assert.equal(answer.status, 403)
  assert.match(JSON.stringify(answer.body), new RegExp(`system:serviceaccount:${namespace}:default`))
})

test('a Service is found by its name as soon as it is made, and leads to its pod', async () => {
  const namespace = await cluster.newNamespace()
  const serve = 'mkdir /tmp/w; echo served > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w'
  const probe = { readinessProbe: { httpGet: { port: 8080, path: '/' }, periodSeconds: 1 } }
  const [pod, service] = [
    podOf('web', serve, {}, probe),
    { metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } },
  ]
  // The name is asked for before it exists, so that a cached "no such name" would show.
  const early = podOf('early', 'wget -qO- http://web/ 2>&1 || true')
  assert.match(await runPod(namespace, early), /bad address 'web'/)
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/services`, service)
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/pods`, pod)
  await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/web', '--timeout=60s'], { namespace })
  const names = [`http://web/`, `http://web.${namespace}/`, `http://web.${namespace}.svc.cluster.local/`]
  // kube-proxy follows the endpoint a moment after the pod is ready.
  const ask = `for i in $(seq 50); do wget -qO- http://web/ >/dev/null 2>&1 && break; sleep 0.1; done;`
  const asked = await runPod(namespace, podOf('client', `${ask} ${names.map(url => `wget -qO- ${url}`).join('; ')}`))
  assert.equal(asked, 'served\nserved\nserved\n')
})

test('a claim binds to a local volume, which obeys fsGroup', async () => {
  const namespace = await cluster.newNamespace()
  await cluster.call('POST', `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  const more = {
    securityContext: { runAsUser: 100, runAsGroup: 1000, fsGroup: 1000, runAsNonRoot: true },
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
  }
  const mounted = { volumeMounts: [{ name: 'data', mountPath: '/data' }] }
  await runPod(namespace, podOf('writer', 'echo kept > /data/file', more, mounted))
  assert.equal(await runPod(namespace, podOf('reader', 'cat /data/file', more, mounted)), 'kept\n')
  const claim = await cluster.call<{ spec: { volumeName: string } }>(
    'GET',
    `/api/v1/namespaces/${namespace}/persistentvolumeclaims/data`,
  )
  assert.equal(readFileSync(join(cluster.folder, 'volumes', claim.spec.volumeName, 'file'), 'utf8'), 'kept\n')
})

test('a service of this machine is exposed to pods, an image imported, and exec reaches pods', async () => {
  const server = createServer((_request, response) => response.end('outside\n')).listen(0, '127.0.0.1')
  await new Promise<unknown>(resolve => server.once('listening', resolve))
  try {
    await cluster.expose(8200, { host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    const namespace = await cluster.newNamespace()
    assert.equal(await runPod(namespace, podOf('p', `wget -qO- http://${nodeIp}:8200/`)), 'outside\n')
    const archive = join(cluster.folder, 'own.tar')
    writeFileSync(archive, imageArchive('localhost/own:test', {}, [[{ kind: 'folder', path: 'x', mode: 0o755 }]]))
    assert.deepEqual(await cluster.importImage(archive), ['localhost/own:test'])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('the node is apart: its own network and processes, and exec runs there', async () => {
  const { stdout } = await cluster.exec(['ip', '-brief', 'address', 'show', 'cni0'])
  assert.match(stdout, /10\.244\.0\.1\/24/)
  assert.notEqual(networkNamespaceOf(cluster.initPid), networkNamespaceOf(process.pid))
  await assert.rejects(cluster.exec(['false']), /exit code 1/)
  await using sleeper = await cluster.start('sleeper', ['sleep', '1000'])
  assert(sleeper.isRunning())
  await sleeper[Symbol.asyncDispose]()
  assert(!sleeper.isRunning())
})

test('a sweep removes cgroups of dead runs, and not those of live ones', () => {
  const dead = cgroupRoots().map(root => join(root, `${cgroupPrefix}1-1-test`))
  for (const path of dead) mkdirSync(join(path, 'pods'), { recursive: true })
  const removed = sweep()
  assert.deepEqual(dead.filter(existsSync), [])
  assert(dead.length > 0 && dead.every(path => removed.includes(path)))
  const { cgroup } = cluster
  assert(cgroupRoots().every(root => existsSync(join(root, cgroup))))
})

test('a killed harness takes pods, mounts, network and cgroups along', { timeout: 240_000 }, async () => {
  using held = await holdInProcess('up')
  const { folder, kubeconfig } = held
  const kubectl = join(cluster.binaries, 'kubectl')
  const pod = podOf('p', 'sleep 1000', { volumes: [{ name: 'm', emptyDir: { medium: 'Memory' } }] })
  const run = (args: readonly string[], input = ''): Promise<unknown> =>
    must([kubectl, ...args], { input, env: { KUBECONFIG: kubeconfig, HOME: folder } })
  await run(['apply', '-f', '-'], JSON.stringify(pod))
  await run(['wait', '--for=condition=Ready', 'pod/p', '--timeout=60s'])
  const unshare = children(held.pid).find(pid => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('unshare'))
  const [initPid = -1] = children(unshare ?? -1)
  const cgroup = /cgroupRoot":"\/([^"]+)/.exec(readFileSync(join(folder, 'kubelet.json'), 'utf8'))?.[1] ?? ''
  const traces = { folder, cgroup, networkNamespace: networkNamespaceOf(initPid) }
  const alive = leftovers(traces)
  for (const part of ['kubelet', 'containerd-shim', 'in its network', 'mount seen', `/sys/fs/cgroup`]) {
    assert(
      alive.some(line => line.includes(part)),
      `no ${part} in\n${alive.join('\n')}`,
    )
  }
  await held.kill()
  assert.deepEqual(await untilNothingLeft(traces), [])
})
