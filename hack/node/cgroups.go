package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies returns the roots of the cgroup hierarchies: one by version 2, one a controller by version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}, nil
	}
	return filepath.Glob(filepath.Join(cgroupRoot, "*"))
}

// makeCgroups makes a cgroup in each hierarchy, in which a kubelet can make those of its pods.
func makeCgroups(name string) error {
	if err := removeCgroups(name); err != nil {
		return err
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		made := filepath.Join(root, name)
		if err := os.MkdirAll(made, 0o755); err != nil {
			return err
		}
		// By version 1, a cgroup of cpuset starts with no CPU and no memory, and takes no process.
		for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(root, made, setting); err != nil {
				return err
			}
		}
	}
	return nil
}

func inherit(parent, child, setting string) error {
	value, err := os.ReadFile(filepath.Join(parent, setting))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(child, setting), value, 0o644)
}

// removeCgroups removes the cgroups of a node that has ended.
func removeCgroups(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		var found []string
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, path := range slices.Backward(found) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
