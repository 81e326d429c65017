import type { ControlPlane } from './controlplane.ts'

export function prepareNode(): Promise<void> {
  throw new Error('the node is not there yet; use the control plane (api)')
}

export function startCluster(): Promise<ControlPlane> {
  throw new Error('the node is not there yet; use the control plane (api)')
}
