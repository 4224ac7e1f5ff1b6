package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// escapes are ways out of a container, which return nil if they lead out.
var escapes = []struct {
	name string
	try  func() error
}{
	{"become root", func() error { return unix.Setuid(0) }},
	{"join the group of root", func() error { return unix.Setgid(0) }},
	{"gain privileges by a set-user-ID program", newPrivileges},
	{"have a capability", capabilities},
	{"take a capability", func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		all := [2]unix.CapUserData{{Effective: ^uint32(0), Permitted: ^uint32(0)}}
		return unix.Capset(&header, &all[0])
	}},
	{"mount a file system", func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") }},
	{"make a user namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
	{"make a network namespace", func() error { return unix.Unshare(unix.CLONE_NEWNET) }},
	{"change the root folder", func() error { return unix.Chroot("/proc") }},
	{"make a device", func() error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0))) }},
	{"read a disk", devices},
	{"send any packet", func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		return closed(socket, err)
	}},
	{"load a program into the kernel", func() error {
		_, _, err := unix.Syscall(unix.SYS_BPF, 0, 0, 0)
		if err == unix.EINVAL { // It was let in.
			return nil
		}
		return err
	}},
	{"watch the machine", func() error {
		file, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE}, -1, 0, -1, 0)
		return closed(file, err)
	}},
	{"set a kernel parameter", func() error { return write("/proc/sys/kernel/core_pattern", "|/tmp/run") }},
	{"restart the machine", func() error { return write("/proc/sysrq-trigger", "h") }},
	{"lift the limits of the container", liftLimits},
	{"read the kernel's memory", func() error { return read("/proc/kcore") }},
	{"read the kernel's log", func() error {
		_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 16))
		return err
	}},
	{"see other processes", processes},
	{"listen on the node's addresses", func() error {
		addresses, err := net.InterfaceAddrs()
		for _, address := range addresses {
			if strings.HasPrefix(address.String(), "10.200.") {
				return err
			}
		}
		return os.ErrNotExist
	}},
	{"use the token of a ServiceAccount", func() error { return read("/var/run/secrets/kubernetes.io/serviceaccount/token") }},
}

// escape prints the ways that lead out, and "tried N" at the end.
func escape() {
	for _, way := range escapes {
		if err := way.try(); err == nil {
			fmt.Println("escaped:", way.name)
		}
	}
	fmt.Println("tried", len(escapes))
}

func closed(file int, err error) error {
	if err == nil {
		return unix.Close(file)
	}
	return err
}

func newPrivileges() error {
	forbidden, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && forbidden == 1 {
		return os.ErrPermission
	}
	return err
}

func capabilities() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		name, set, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.HasPrefix(name, "Cap") && strings.Trim(set, "\t 0") != "" {
			return nil
		}
	}
	return os.ErrPermission
}

func devices() error {
	found, err := filepath.Glob("/dev/[svn][dv]*")
	if err != nil || len(found) == 0 {
		return os.ErrNotExist
	}
	return read(found[0])
}

// processes succeeds if a process is there that isn't one of this program.
func processes() error {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	for _, name := range names {
		if command, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(command)) != "peer" {
			return nil
		}
	}
	return os.ErrNotExist
}

// liftLimits succeeds if the container can have more memory, by either version of cgroups.
func liftLimits() error {
	version1 := write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1")
	version2 := write("/sys/fs/cgroup/memory.max", "max")
	if version1 != nil && version2 != nil {
		return errors.Join(version1, version2)
	}
	return nil
}

func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}

func read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Read(make([]byte, 16))
	return err
}
