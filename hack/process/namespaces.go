package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// shared are the namespaces of Command.Inside, in the order in which they are entered. The mounts come last, since
// paths mean something else after that.
var shared = []struct {
	name string
	flag int
}{
	// A thread stays in its PID namespace and only chooses that of its children.
	{"pid", unix.CLONE_NEWPID},
	{"net", unix.CLONE_NEWNET},
	{"mnt", unix.CLONE_NEWNS},
}

// within runs start on this thread while it is in the namespaces of the process.
func within(p *Process, start func() error) (err error) {
	// A thread can enter another's mounts only if it shares its root and working directory with no other thread.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("can't prepare to enter the namespaces of %s: %w", p.Name(), err)
	}
	directory, err := os.Open(".")
	if err != nil {
		return err
	}
	defer directory.Close()
	var there, back []*os.File
	defer func() {
		for _, file := range append(there, back...) {
			err = errors.Join(err, file.Close())
		}
	}()
	for _, namespace := range shared {
		target, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", p.PID(), namespace.name))
		if err != nil {
			return fmt.Errorf("can't find the namespaces of %s: %w", p.Name(), err)
		}
		there = append(there, target)
		own, err := os.Open("/proc/thread-self/ns/" + namespace.name)
		if err != nil {
			return err
		}
		back = append(back, own)
	}
	if !p.Alive() {
		return fmt.Errorf("%s has ended, and its namespaces with it", p.Name())
	}
	defer func() { err = errors.Join(err, enter(back), unix.Fchdir(int(directory.Fd()))) }()
	if err := enter(there); err != nil {
		return fmt.Errorf("can't enter the namespaces of %s: %w", p.Name(), err)
	}
	return start()
}

func enter(namespaces []*os.File) error {
	for number, namespace := range namespaces {
		if err := unix.Setns(int(namespace.Fd()), shared[number].flag); err != nil {
			return err
		}
	}
	return nil
}
