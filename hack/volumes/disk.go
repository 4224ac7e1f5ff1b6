package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// disk is a folder with volumes: for each a file with a file system, and the folder where that is mounted. The file
// system is XFS, since growing one of ext4 in use takes CAP_SYS_RESOURCE, which containers and sandboxes lack.
type disk struct{ dir string }

func (d disk) path(volume string) string  { return filepath.Join(d.dir, volume) }
func (d disk) image(volume string) string { return d.path(volume) + ".xfs" }

// create makes a volume of that many bytes, unless it is there already, and returns the path where it is mounted. It
// takes the space on this machine's disk only as it is filled.
func (d disk) create(ctx context.Context, volume string, size int64) (path string, err error) {
	path, image := d.path(volume), d.image(volume)
	mounted, err := isMounted(path)
	if err != nil || mounted {
		return path, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	if err := sized(image, size); err != nil {
		return "", err
	}
	if err := execute(ctx, "mkfs.xfs", "-q", "-f", image); err != nil {
		return "", err
	}
	return path, execute(ctx, "mount", "-o", "loop", image, path)
}

// grow makes a volume larger while it is in use.
func (d disk) grow(ctx context.Context, volume string, size int64) error {
	if err := sized(d.image(volume), size); err != nil {
		return err
	}
	device, err := deviceOf(d.path(volume))
	if err != nil {
		return err
	}
	return errors.Join(execute(ctx, "losetup", "--set-capacity", device), execute(ctx, "xfs_growfs", "-d", d.path(volume)))
}

// remove removes a volume, unless it is in use.
func (d disk) remove(volume string) error {
	err := unix.Unmount(d.path(volume), 0)
	if errors.Is(err, unix.EBUSY) {
		return &controller.VolumeInUseError{Reason: fmt.Sprintf("the volume %s is in use", volume)}
	}
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // it isn't mounted, or not there
		return err
	}
	return errors.Join(os.RemoveAll(d.path(volume)), os.RemoveAll(d.image(volume)))
}

// sized gives a file at least that size.
func sized(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < size {
		err = file.Truncate(size)
	}
	return errors.Join(err, file.Close())
}

func isMounted(path string) (bool, error) {
	device, err := deviceOf(path)
	return device != "", err
}

// deviceOf returns the device that is mounted at a path; empty if none is.
func deviceOf(path string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == path {
			return fields[0], nil
		}
	}
	return "", nil
}

func execute(ctx context.Context, name string, args ...string) error {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}
