package process

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// record has what another program needs to find a process.
type record struct {
	Name       string         `json:"name"`
	PID        int            `json:"pid"`
	Identity   string         `json:"identity"`
	LogPath    string         `json:"logPath"`
	LogStart   int64          `json:"logStart"`
	StopSignal syscall.Signal `json:"stopSignal"`
}

func newRecord(command Command, pid int, logStart int64) record {
	return record{
		Name:       command.Name,
		PID:        pid,
		LogPath:    command.LogPath,
		LogStart:   logStart,
		StopSignal: cmp.Or(command.StopSignal, syscall.SIGTERM),
	}
}

// Load returns the process that Start recorded at the path. When it has ended since, the
// returned Process is not Alive. The error wraps fs.ErrNotExist when there is no record.
func Load(path string) (*Process, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the record of a process: %w", err)
	}
	p := &Process{recordPath: path, exited: make(chan struct{})}
	if err := json.Unmarshal(content, &p.record); err != nil {
		return nil, fmt.Errorf("%s is no record of a process; delete it once the process is gone: %w", path, err)
	}

	// The handle comes first: it keeps referring to the process whose identity is then checked, even if the number is
	// reused.
	if p.handle, err = os.FindProcess(p.record.PID); err != nil {
		return nil, fmt.Errorf("can't look up %s (process %d): %w", p.Name(), p.PID(), err)
	}
	if !p.record.current() {
		close(p.exited)
		return p, nil
	}
	if err := p.watchExit(); err != nil {
		return nil, fmt.Errorf("can't watch %s (process %d): %w", p.Name(), p.PID(), err)
	}
	return p, nil
}

// current reports whether the number still belongs to the recorded process.
func (r record) current() bool {
	found, err := identity(r.PID)
	return err == nil && found == r.Identity
}

// watchExit closes exited once the process, which is not a child of this program, has ended. If it has already, and
// only its parent doesn't know yet, exited is closed when this returns.
func (p *Process) watchExit() error {
	ended := false
	err := p.handle.WithHandle(func(pidfd uintptr) { ended = endedWithin(pidfd, 0) })
	if errors.Is(err, os.ErrProcessDone) {
		ended, err = true, nil
	}
	if ended {
		close(p.exited)
		return nil
	}
	if err != nil {
		return err
	}
	go func() {
		defer close(p.exited)
		_ = p.handle.WithHandle(func(pidfd uintptr) { endedWithin(pidfd, forever) })
	}()
	return nil
}

// forever is for endedWithin.
const forever = -1

// endedWithin waits for the end of a process for so many milliseconds.
func endedWithin(pidfd uintptr, milliseconds int) bool {
	exit := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(exit, milliseconds); !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

func (p *Process) writeRecord() error {
	if p.recordPath == "" {
		return nil
	}
	var err error
	if p.record.Identity, err = identity(p.record.PID); err != nil {
		return fmt.Errorf("can't record %s: %w", p.Name(), err)
	}
	content, err := json.Marshal(p.record)
	if err != nil {
		return fmt.Errorf("can't record %s: %w", p.Name(), err)
	}
	if err := os.MkdirAll(filepath.Dir(p.recordPath), 0o755); err != nil {
		return fmt.Errorf("can't record %s: %w", p.Name(), err)
	}
	if err := os.WriteFile(p.recordPath, content, 0o644); err != nil {
		return fmt.Errorf("can't record %s: %w", p.Name(), err)
	}
	return nil
}

func (p *Process) removeRecord() error {
	if p.recordPath == "" {
		return nil
	}
	if err := os.Remove(p.recordPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("can't remove the record of %s: %w", p.Name(), err)
	}
	return nil
}

// identity distinguishes a process from all others with the same number, by the boot of the machine and the clock
// tick at which the process started.
func identity(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return "", err
	}
	stat, err := process.Stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(boot)), stat.Starttime), nil
}
