#!/bin/sh
# The tests of the sandbox on a kernel whose groups are of the new layout only: User Mode Linux from Debian (apt-get install user-mode-linux), as root,
# on this machine's own files. For machines that still have the old layout; with the new one `npm test` does the same.
set -eu
cd "$(dirname "$0")/../.."
command -v linux.uml >/dev/null || apt-get install -y -qq --no-install-recommends user-mode-linux
init=$(mktemp /tmp/errand-uml-XXXXXX)
out=$(mktemp /tmp/errand-uml-XXXXXX)
trap 'rm -f "$init" "$out"' EXIT
cat >"$init" <<INIT
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=1 NO_COLOR=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm; ln -sf /proc/self/fd /dev/fd
ip link set lo up; mount -t cgroup2 cgroup /sys/fs/cgroup
echo "kernel \$(uname -r), \$(cat /sys/fs/cgroup/cgroup.controllers)"
cd "$PWD" && node node_modules/vitest/vitest.mjs run test/unit/exec/held.test.ts --testTimeout 90000 --hookTimeout 120000; echo "exit \$?"
find /sys/fs/cgroup -name 'errand-*'
poweroff -f
INIT
chmod +x "$init"
linux.uml mem=2000M rootfstype=hostfs root=/dev/root hostfs=/ rw "init=$init" con0=null,fd:1 con=null quiet 2>&1 </dev/null | tee "$out"
grep -q '^exit 0' "$out"
