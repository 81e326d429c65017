import { type Credentials, net } from './layout.ts'

type Parts = { folder: string; cgroup: string; socket: string; credentials: Credentials }

/** Folder that the kubelet works in; CSI drivers register below its `plugins_registry`. */
export const kubeletRoot = (folder: string): string => `${folder}/kubelet`

export function kubeletConfig({ folder, cgroup, socket, credentials: { path } }: Parts): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${socket}`,
    // containerd 1.6 can't be asked for it.
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: ['pods'],
    failSwapOn: false,
    failCgroupV1: false,
    makeIPTablesUtilChains: false,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: path('ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: path('kubelet-server.crt'),
    tlsPrivateKeyFile: path('kubelet-server.key'),
    readOnlyPort: 0,
    clusterDomain: 'cluster.local',
    clusterDNS: [net.nodeIp],
    resolvConf: `${folder}/resolv.conf`,
    // A test machine's disk is nearly full now and then: nothing is evicted or deleted for that.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      'memory.available': '1Mi',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
    // How soon a changed Secret shows in a pod, and how often a CSI driver is asked again; a minute by default.
    syncFrequency: '2s',
    nodeStatusUpdateFrequency: '2s',
    volumePluginDir: `${folder}/volumeplugins`,
    podLogsDir: `${folder}/podlogs`,
    maxPods: 200,
    // Lowering a score needs CAP_SYS_RESOURCE.
    oomScoreAdj: 0,
    featureGates: { KubeletCrashLoopBackOffMax: true },
    crashLoopBackOff: { maxContainerRestartPeriod: '1s' },
  }
}

export function proxyConfig({ credentials: { kubeconfig } }: Pick<Parts, 'credentials'>): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: kubeconfig('proxy') },
    clusterCIDR: net.podCidr,
    hostnameOverride: net.nodeName,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    nodePortAddresses: ['primary'],
    // Else it sets a sysctl that is the machine's.
    conntrack: { maxPerCore: 0 },
    oomScoreAdj: 0,
  }
}

/** Names outside the cluster get an error at once: no route leads there anyway. */
export function dnsConfig({ credentials: { kubeconfig } }: Pick<Parts, 'credentials'>): string {
  return `. {
  bind ${net.nodeIp}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig('dns')}
  }
}
`
}
