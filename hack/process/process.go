// Package process runs the programs that make up the local environment: the Kubernetes
// components, PostgreSQL, and the operator under test. Each writes to a log file of its own and
// leads a session of its own, so it neither takes a terminal's Ctrl-C nor needs its starter to stay.
//
//	server, err := process.Start(process.Command{
//		Name:       "postgres",
//		Path:       "/usr/lib/postgresql/15/bin/postgres",
//		Args:       []string{"-D", data},
//		Credential: &syscall.Credential{Uid: 110, Gid: 118},
//		LogPath:    filepath.Join(dir, "postgres.log"),
//		RecordPath: filepath.Join(dir, "postgres.json"),
//		StopSignal: syscall.SIGINT,
//	})
//	…
//	err = server.WaitReady(ctx, func(ctx context.Context) error { return pool.Ping(ctx) })
//	…
//	err = server.Stop(10 * time.Second)
//
// A process that was started with a RecordPath can be found again by any other program:
//
//	server, err := process.Load(filepath.Join(dir, "postgres.json"))
//	…
//	err = server.Stop(10 * time.Second)
//
// A record names one process for good: when its number has since been given to another program,
// Load reports the recorded process as ended and nothing touches the stranger.
//
// The package is for Linux 5.4 or newer, because it holds processes by pidfd.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Command says which program to start, and how.
type Command struct {
	// Name is what messages call the process, for example "kube-apiserver". Required.
	Name string
	// Path is the program's file; a bare name is looked up in PATH. Required.
	Path string
	// Args are the program's arguments, without its own name.
	Args []string
	// Env is the whole environment as KEY=value; nil hands down the starter's own.
	Env []string
	// Dir is the working directory; empty means the starter's own.
	Dir string
	// LogPath is the file that standard output and standard error are appended to. It is
	// opened by the starter, so Credential needs no right to it. Required.
	LogPath string
	// RecordPath, when set, is where the process is recorded for Load. Stop and Kill remove it.
	RecordPath string
	// Credential, when set, is the user and groups to run as. Only root may set it.
	Credential *syscall.Credential
	// StopSignal is the signal that Stop sends; zero means SIGTERM.
	StopSignal syscall.Signal
	// ParentDeathSignal, if set, is sent to the process as soon as the starter has ended for any reason, including
	// SIGKILL. Zero lets the process outlive its starter.
	ParentDeathSignal syscall.Signal
	// Unshare are the namespaces that the process gets of its own, such as unix.CLONE_NEWNET. Only root may set it.
	Unshare uintptr
	// Inside, if set, is a process that shares its namespaces of PIDs, networks and mounts with this one. Path and
	// Dir are looked up among its mounts. What ends with it, if that is the first in a PID namespace, can have no
	// ParentDeathSignal. Only root may set it.
	Inside *Process
}

// Process is a program that Start has started or Load has found. Its methods may be called concurrently, and also
// after the process has ended.
type Process struct {
	record     record
	recordPath string
	handle     *os.Process
	state      *os.ProcessState
	exited     chan struct{}
}

// Start starts the program and returns without waiting for it to be ready: see WaitReady.
// It creates the folders of the log and of the record. An error means that nothing is left running.
func Start(command Command) (*Process, error) {
	log, logStart, err := openLog(command.LogPath)
	if err != nil {
		return nil, fmt.Errorf("can't open the log of %s: %w", command.Name, err)
	}
	defer log.Close()

	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env, cmd.Dir = command.Env, command.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Credential: command.Credential,
		Pdeathsig:  command.ParentDeathSignal,
		Cloneflags: command.Unshare,
	}
	start := cmd.Start
	if command.Inside != nil {
		start = func() error { return within(command.Inside, cmd.Start) }
	}
	if err := onLastingThread(start); err != nil {
		return nil, fmt.Errorf("can't start %s: %w", command.Name, err)
	}

	p := &Process{
		record:     newRecord(command, cmd.Process.Pid, logStart),
		recordPath: command.RecordPath,
		handle:     cmd.Process,
		exited:     make(chan struct{}),
	}
	// The exit is only collected once the record is written: until then the process number
	// can't be given to anybody else.
	err = p.writeRecord()
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // an *exec.ExitError says no more than the state
		p.state = cmd.ProcessState
	}()
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// Name returns the name given in Command.
func (p *Process) Name() string { return p.record.Name }

// PID returns the process number. It may belong to another program once Exited is closed.
func (p *Process) PID() int { return p.record.PID }

// LogPath returns the path of the log file.
func (p *Process) LogPath() string { return p.record.LogPath }

// Exited returns a channel that is closed once the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Alive reports whether the process still runs.
func (p *Process) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// ExitCode returns the code that the process has ended with. It is -1 while the process runs, when
// a signal has ended it, and for a process that Load found.
func (p *Process) ExitCode() int {
	if p.Alive() || p.state == nil {
		return -1
	}
	return p.state.ExitCode()
}

// Signal sends the signal to the process; once it has ended, it returns os.ErrProcessDone.
func (p *Process) Signal(signal os.Signal) error {
	if !p.Alive() {
		return os.ErrProcessDone
	}
	return p.handle.Signal(signal)
}

// Stop asks the process to end, kills it when it still runs after the grace period, and returns
// once it has ended. Stopping a process that has ended only removes its record.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.Signal(p.record.StopSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("can't stop %s (process %d): %w", p.Name(), p.PID(), err)
	}
	select {
	case <-p.exited:
		return p.removeRecord()
	case <-time.After(grace):
		return p.Kill()
	}
}

// Kill ends the process by SIGKILL, as a crash would, and returns once it has ended.
func (p *Process) Kill() error {
	if err := p.Signal(os.Kill); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("can't kill %s (process %d): %w", p.Name(), p.PID(), err)
	}
	<-p.exited
	return p.removeRecord()
}

func openLog(path string) (file *os.File, size int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, 0, err
	}
	file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}
