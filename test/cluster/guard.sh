#!/bin/sh
# Removes what a run leaves on disk and among the cgroups, as soon as the run ends, however it ends: stdin is a pipe
# from the harness, and the kernel closes it with the process, also after SIGKILL.
# usage: guard.sh RUN_FOLDER [CGROUP_NAME]
folder=$1 cgroup=$2
trap '' HUP INT TERM
cat >/dev/null
tries=0
while [ "$tries" -lt 150 ]; do
  left=
  if [ -n "$cgroup" ]; then
    for group in /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
      [ -d "$group" ] || continue
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
      [ -d "$group" ] && left=1
    done
  fi
  # The cluster's mounts were in its own mount namespace, so nothing but its files can be below.
  rm -rf --one-file-system "$folder" 2>/dev/null
  [ -e "$folder" ] && left=1
  [ -z "$left" ] && exit 0
  tries=$((tries + 1))
  sleep 0.1
done
exit 1
