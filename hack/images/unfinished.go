package images

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unfinished is what the names of folders begin with in which something is being made.
const unfinished = "new-"

// begin notes that something is being made in the folder until end is called. If nobody else makes anything, what is
// unfinished there is from a program that was killed, and begin removes it. The kernel lifts the lock of such a program.
func (m Maker) begin() (end func() error, err error) {
	if err := os.MkdirAll(m.layers(), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(m.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		err = m.removeUnfinished()
	}
	if err = errors.Join(err, unix.Flock(int(file.Fd()), unix.LOCK_SH)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

func (m Maker) removeUnfinished() error {
	var errs []error
	for _, folder := range []string{m.Dir, m.layers()} {
		left, err := filepath.Glob(filepath.Join(folder, unfinished+"*"))
		errs = append(errs, err)
		for _, path := range left {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
