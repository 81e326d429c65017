#!/bin/bash
# The first process of a node's mount, PID and network namespaces. Everything that the node changes of the machine is
# in them, and goes with this process.
# usage: node-init.sh NODE_IP SERVICE_CIDR
set -euo pipefail
mount --make-rshared /
mount -t proc proc /proc
# Kubelet, kube-proxy, containerd and CNI plugins write below these whatever their flags say.
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
# The kubelet sets these six for the whole machine: it gets files with the same content instead.
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  mkdir -p "/run/sysctl/${name%/*}"
  cat "/proc/sys/$name" > "/run/sysctl/$name"
  mount --bind "/run/sysctl/$name" "/proc/sys/$name"
done
ip link set lo up
ip link add cni0 type bridge
ip addr add "$1/24" dev cni0
ip link set cni0 up
# So that the node itself reaches Services: kube-proxy rewrites what is routed here.
ip route add "$2" dev cni0 src "$1"
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
# Bash reaps what is orphaned. No route leads out of here.
while :; do sleep 3600 & wait $! || true; done
