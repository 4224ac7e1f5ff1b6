# Runs a program as a container runtime would run it: with a network of its own, in which there is nothing
# else; with a root of its own, which it can't write to, that has the programs of this machine and the
# volumes; as a user without any privilege; without any variable of the starter's. It stays the same
# process, and expects to be in new mount and network namespaces.
#
#   container.sh ROOT USER PATH=… VARIABLE=… … -- SOURCE:TARGET … -- PROGRAM ARGUMENT …
set -eu
# A shell goes on after an interrupt unless the command that it waits for died of it. A pod that was deleted as it
# started would then run on.
trap 'exit 130' INT
root=$1 user=$2
shift 2
variables=()
while [ "$1" != -- ]; do variables+=("$1"); shift; done
shift

ip link set lo up
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir "$root"/{usr,etc,dev,proc,tmp,var}
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done
for directory in usr dev proc; do mount --rbind "/$directory" "$root/$directory"; done
cp /etc/ld.so.cache "$root/etc/"
printf 'root:x:0:0::/:\npostgres:x:%s:%s::/:\n' "$user" "$user" >"$root/etc/passwd"
while [ "$1" != -- ]; do
	mkdir -p "$root${1#*:}"
	mount --bind "${1%%:*}" "$root${1#*:}"
	shift
done
shift
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all \
	--inh-caps=-all --pdeathsig KILL env -i "${variables[@]}" "$@"
