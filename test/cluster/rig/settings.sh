# Sourced by every script of the rig. State stands in $RIG, what is built in $RIG_CACHE (a CI cache may restore it).
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
REPOSITORY=$(readlink -f "$HERE/../../..")

# Keep the path short: unix sockets take 108 bytes.
RIG=${RIG:-/tmp/rig}
RIG_CACHE=${RIG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rig}
# Seconds until the rig takes itself down, whatever became of who started it.
RIG_LIMIT=${RIG_LIMIT:-3000}
# The rig goes when this process goes ('' = it stays until `down` or the limit).
RIG_OWNER=${RIG_OWNER:-}

NODE_IP=10.200.0.1
NODE_CIDR=10.200.0.0/24
POD_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16
API_IP=10.96.0.1
CONTAINERD_SOCKET=/run/rig/ctd.sock

# The hierarchies of cgroup v1 in which the rig has a group of its own.
CGROUPS="cpu cpuacct cpuset memory devices freezer blkio pids systemd unified"
# What the kubelet changes on the whole machine; `down` puts it back.
SYSCTLS="vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes"

# Held by the rig itself for as long as it is up: cgroups and addresses allow one a machine.
RIG_LOCK=/tmp/mcp-recorder-rig.lock

PATH=$PATH:/usr/sbin:/sbin
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin:/usr/lib/go/bin
export RIG RIG_CACHE PATH

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}
