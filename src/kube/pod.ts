import type { IntOrString, KubeObject, KubeValue, LabelSelector, ObjectMeta, ObjectReference } from './objects.ts'

export type EnvVar = {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: { fieldPath: string; apiVersion?: string }
    resourceFieldRef?: { resource: string; containerName?: string; divisor?: string }
    secretKeyRef?: { name?: string; key: string; optional?: boolean }
    configMapKeyRef?: { name?: string; key: string; optional?: boolean }
  }
}

export type VolumeMount = {
  name: string
  mountPath: string
  subPath?: string
  subPathExpr?: string
  readOnly?: boolean
  recursiveReadOnly?: string
  mountPropagation?: string
}

export type SecurityContext = {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  readOnlyRootFilesystem?: boolean
  allowPrivilegeEscalation?: boolean
  privileged?: boolean
  capabilities?: { add?: string[]; drop?: string[] }
  seccompProfile?: { type: 'RuntimeDefault' | 'Unconfined' | 'Localhost'; localhostProfile?: string }
  seLinuxOptions?: KubeValue
  procMount?: string
}

/** CPU, memory and so on, in Kubernetes quantities: `250m`, `64Mi`. */
export type Quantities = Record<string, IntOrString>

export type Handler = {
  exec?: { command?: string[] }
  httpGet?: {
    path?: string
    port: IntOrString
    scheme?: string
    host?: string
    httpHeaders?: { name: string; value: string }[]
  }
  tcpSocket?: { port: IntOrString; host?: string }
  sleep?: { seconds: number }
}

export type Probe = Handler & {
  grpc?: { port: number; service?: string }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
  terminationGracePeriodSeconds?: number
}

export type Container = {
  name: string
  image?: string
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  command?: string[]
  args?: string[]
  workingDir?: string
  env?: EnvVar[]
  envFrom?: {
    prefix?: string
    secretRef?: { name?: string; optional?: boolean }
    configMapRef?: { name?: string; optional?: boolean }
  }[]
  ports?: { name?: string; containerPort: number; protocol?: string; hostPort?: number; hostIP?: string }[]
  volumeMounts?: VolumeMount[]
  volumeDevices?: { name: string; devicePath: string }[]
  resources?: { limits?: Quantities; requests?: Quantities; claims?: { name: string; request?: string }[] }
  securityContext?: SecurityContext
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
  lifecycle?: { postStart?: Handler; preStop?: Handler }
  /** `Always` on an init container makes it a native sidecar (Kubernetes 1.29). */
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  terminationMessagePath?: string
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError'
  stdin?: boolean
  tty?: boolean
}

export type ProjectedSource = {
  /** `expirationSeconds` is at least 600. */
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number }
  secret?: { name?: string; items?: KeyToPath[]; optional?: boolean }
  configMap?: { name?: string; items?: KeyToPath[]; optional?: boolean }
  downwardAPI?: { items?: DownwardFile[] }
  clusterTrustBundle?: KubeValue
}

export type KeyToPath = { key: string; path: string; mode?: number }
export type DownwardFile = {
  path: string
  fieldRef?: { fieldPath: string; apiVersion?: string }
  resourceFieldRef?: { resource: string; containerName?: string; divisor?: string }
  mode?: number
}

export type Volume = {
  name: string
  emptyDir?: { medium?: '' | 'Memory' | (string & {}); sizeLimit?: IntOrString }
  secret?: { secretName?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean }
  configMap?: { name?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean }
  projected?: { sources?: ProjectedSource[] | null; defaultMode?: number }
  downwardAPI?: { items?: DownwardFile[]; defaultMode?: number }
  csi?: {
    driver: string
    readOnly?: boolean
    fsType?: string
    volumeAttributes?: Record<string, string>
    nodePublishSecretRef?: { name?: string }
  }
  hostPath?: { path: string; type?: string }
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
  ephemeral?: KubeValue
}

export type PodSpec = {
  containers: Container[]
  initContainers?: Container[]
  ephemeralContainers?: (Container & { targetContainerName?: string })[]
  volumes?: Volume[]
  serviceAccountName?: string
  serviceAccount?: string
  automountServiceAccountToken?: boolean
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  securityContext?: SecurityContext & {
    fsGroup?: number
    fsGroupChangePolicy?: string
    supplementalGroups?: number[]
    sysctls?: { name: string; value: string }[]
  }
  shareProcessNamespace?: boolean
  hostNetwork?: boolean
  hostPID?: boolean
  hostIPC?: boolean
  hostUsers?: boolean
  hostname?: string
  subdomain?: string
  dnsPolicy?: string
  nodeName?: string
  nodeSelector?: Record<string, string>
  affinity?: KubeValue
  tolerations?: KubeValue[]
  topologySpreadConstraints?: KubeValue[]
  imagePullSecrets?: { name?: string }[]
  priorityClassName?: string
  terminationGracePeriodSeconds?: number
  activeDeadlineSeconds?: number
}

export type ContainerState = {
  running?: { startedAt?: string }
  waiting?: { reason?: string; message?: string }
  terminated?: {
    exitCode: number
    signal?: number
    reason?: string
    message?: string
    startedAt?: string
    finishedAt?: string
  }
}

export type ContainerStatus = {
  name: string
  ready?: boolean
  started?: boolean
  restartCount?: number
  image?: string
  imageID?: string
  state?: ContainerState
  lastState?: ContainerState
}

export type Pod = KubeObject & {
  spec?: PodSpec
  status?: {
    phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
    reason?: string
    message?: string
    podIP?: string
    hostIP?: string
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
    containerStatuses?: ContainerStatus[]
    initContainerStatuses?: ContainerStatus[]
    qosClass?: string
    startTime?: string
  }
}

export type PodTemplate = { metadata?: ObjectMeta; spec: PodSpec }

export type Deployment = KubeObject & {
  spec: {
    replicas?: number
    selector: LabelSelector
    template: PodTemplate
    strategy?: {
      type?: 'Recreate' | 'RollingUpdate'
      rollingUpdate?: { maxSurge?: IntOrString; maxUnavailable?: IntOrString }
    }
    minReadySeconds?: number
    revisionHistoryLimit?: number
    progressDeadlineSeconds?: number
    paused?: boolean
  }
  status?: WorkloadStatus
}

export type StatefulSet = KubeObject & {
  spec: {
    replicas?: number
    serviceName?: string
    selector: LabelSelector
    template: PodTemplate
    podManagementPolicy?: 'OrderedReady' | 'Parallel'
    updateStrategy?: {
      type?: 'RollingUpdate' | 'OnDelete'
      rollingUpdate?: { partition?: number; maxUnavailable?: IntOrString }
    }
    volumeClaimTemplates?: PersistentVolumeClaim[]
    persistentVolumeClaimRetentionPolicy?: { whenDeleted?: 'Retain' | 'Delete'; whenScaled?: 'Retain' | 'Delete' }
    minReadySeconds?: number
    revisionHistoryLimit?: number
  }
  status?: WorkloadStatus
}

export type DaemonSet = KubeObject & {
  spec: {
    selector: LabelSelector
    template: PodTemplate
    updateStrategy?: {
      type?: 'RollingUpdate' | 'OnDelete'
      rollingUpdate?: { maxSurge?: IntOrString; maxUnavailable?: IntOrString }
    }
  }
  status?: {
    desiredNumberScheduled?: number
    numberReady?: number
    updatedNumberScheduled?: number
    observedGeneration?: number
  }
}

export type ReplicaSet = KubeObject & { spec?: { replicas?: number; selector?: LabelSelector; template?: PodTemplate } }

export type WorkloadStatus = {
  observedGeneration?: number
  replicas?: number
  readyReplicas?: number
  updatedReplicas?: number
  availableReplicas?: number
  conditions?: { type: string; status: string; reason?: string; message?: string }[]
}

export type PersistentVolumeClaim = KubeObject & {
  spec?: {
    accessModes?: string[]
    storageClassName?: string
    volumeName?: string
    volumeMode?: string
    resources?: { requests?: Quantities; limits?: Quantities }
  }
}

export type Job = KubeObject & {
  spec: {
    template: PodTemplate
    backoffLimit?: number
    completions?: number
    parallelism?: number
    activeDeadlineSeconds?: number
    ttlSecondsAfterFinished?: number
    suspend?: boolean
  }
  status?: {
    active?: number
    succeeded?: number
    failed?: number
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
  }
}

export type CronJob = KubeObject & {
  spec: {
    schedule: string
    jobTemplate: { metadata?: ObjectMeta; spec: Job['spec'] }
    concurrencyPolicy?: 'Allow' | 'Forbid' | 'Replace'
    suspend?: boolean
    timeZone?: string
    successfulJobsHistoryLimit?: number
    failedJobsHistoryLimit?: number
  }
  status?: { active?: ObjectReference[]; lastScheduleTime?: string }
}
