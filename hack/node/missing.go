package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/process"
)

// Packages are the Debian packages that a node needs.
var Packages = []string{Containerd, "runc", "containernetworking-plugins", "iptables", "nftables", "xfsprogs"}

// probeLimit is how long it may take to find out what a machine lacks.
const probeLimit = time.Minute

// longestDir is how long the path of a node's folder may be: the kernel takes no longer path of a socket than that of
// the kubelet's in it, and containerd none of its own.
const longestDir = 107 - len("/kubelet/pod-resources/kubelet.sock")

// Missing says what this machine lacks for real nodes, each in a sentence. It tries everything in namespaces that it
// removes again. dir is the Dir that a node is to have; empty if that isn't known yet.
func Missing(ctx context.Context, dir string) []string {
	if os.Geteuid() != 0 {
		return []string{"Only root may make network namespaces, mounts and cgroups; run this as root."}
	}
	if problem := tooLong(dir); problem != "" {
		return []string{problem}
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	var missing []string
	for _, probe := range []struct {
		try  func(context.Context) error
		lack string
	}{
		{programs, "Programs are missing; install the packages " + strings.Join(Packages, " ") + "."},
		{cgroups, "No cgroup can be made, which limit what containers use."},
		{namespaces, "The kernel lacks what the network of nodes is made of."},
		{volumes, "The kernel can't mount a file, which is what volumes are."},
	} {
		if err := probe.try(ctx); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%v)", probe.lack, err))
		}
	}
	return missing
}

// tooLong returns a sentence if the path of a node's folder is too long.
func tooLong(dir string) string {
	if len(dir) <= longestDir {
		return ""
	}
	return fmt.Sprintf("The path %s is %d characters too long for the sockets of containerd and kubelet in it; use a folder with a shorter path, such as a checkout that is higher up.",
		dir, len(dir)-longestDir)
}

func programs(context.Context) error {
	var errs []error
	for _, name := range []string{Containerd, "ctr", "runc", "iptables-restore", "nft", "nsenter", "mkfs.xfs", "xfs_growfs", "losetup"} {
		_, err := exec.LookPath(name)
		errs = append(errs, err)
	}
	_, err := os.Stat("/usr/lib/cni/ptp")
	return errors.Join(append(errs, err)...)
}

func cgroups(context.Context) error {
	const name = "/tenantry-probe"
	return errors.Join(makeCgroups(name), removeCgroups(name))
}

// namespaces makes the rules and links of a node in namespaces of their own.
func namespaces(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tenantry-probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	keeper, err := process.Start(process.Command{
		Name:              "a process in namespaces of its own",
		Path:              "sleep",
		Args:              []string{"infinity"},
		LogPath:           filepath.Join(dir, "log"),
		Unshare:           unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		ParentDeathSignal: unix.SIGKILL,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keeper.Kill()) }()
	n := &Node{files: files{Dir: dir}, keeper: keeper}
	if err := errors.Join(n.files.write(), n.mount(ctx)); err != nil {
		return err
	}
	handle, err := fabric.Netlink(keeper)
	if err != nil {
		return err
	}
	defer handle.Close()
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, PeerName: "peer"}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
	_, nftErr := n.Run(ctx, "nft", "add table ip probe; add chain ip probe nat { type nat hook prerouting priority dstnat; }")
	return errors.Join(handle.LinkAdd(cable), handle.LinkAdd(bridge), n.queueConnections(ctx), nftErr)
}

// volumes makes a loop device and asks for XFS.
func volumes(ctx context.Context) error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(known)), "xfs") {
		return errors.New("it has no XFS")
	}
	_, err = process.Output(exec.CommandContext(ctx, "losetup", "--find"))
	return err
}

// mount mounts what keepers and containers have: a /proc of their own, and a file system of layers.
func (n *Node) mount(ctx context.Context) error {
	// By default, a new mount namespace passes on what is mounted in it.
	if _, err := n.Run(ctx, "mount", "--make-rprivate", "/"); err != nil {
		return err
	}
	var folders []string
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		folder := n.files.path("layers", name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		folders = append(folders, folder)
	}
	_, err := n.Run(ctx, "mount", "--types=overlay", "overlay", "--options",
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folders[0], folders[1], folders[2]), folders[3])
	return err
}
