package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// runHold keeps the namespaces that it was started in, until it is ended. As the first process of a PID namespace it
// also prepares its mounts, collects the exit of orphans, and takes all other processes with it when it ends.
func runHold() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGCHLD)
	if os.Getpid() == 1 {
		if err := isolateMounts(); err != nil {
			fmt.Fprintln(os.Stderr, "hold:", err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	for received := range signals {
		if received == unix.SIGTERM {
			return
		}
		collectExits()
	}
}

// isolateMounts hides this PID namespace's mounts from the machine, and the machine's /proc and /run from it.
func isolateMounts() error {
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
	)
}

func collectExits() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
