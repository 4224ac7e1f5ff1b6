package process

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// CPUTime returns the CPU time, in user and system mode, that the process and its children have used
// so far. Children that have ended count as soon as the process has collected their exit.
func (p *Process) CPUTime() (time.Duration, error) {
	children, err := p.children()
	if err != nil {
		return 0, fmt.Errorf("can't tell the children of %s: %w", p.Name(), err)
	}
	leader, err := procfs.NewProc(p.PID())
	if err != nil {
		return 0, fmt.Errorf("can't tell the CPU time of %s: %w", p.Name(), err)
	}
	stat, err := leader.Stat()
	if err != nil {
		return 0, fmt.Errorf("can't tell the CPU time of %s: %w", p.Name(), err)
	}
	total := cpuTime(stat)
	for _, child := range children {
		total += cpuTime(child)
	}
	return total, nil
}

func (p *Process) children() ([]procfs.ProcStat, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	var children []procfs.ProcStat
	for _, other := range all {
		// A process that can't be read has ended meanwhile.
		if stat, err := other.Stat(); err == nil && stat.PPID == p.PID() {
			children = append(children, stat)
		}
	}
	return children, nil
}

// tick is the unit in which the kernel counts CPU time, the same on all architectures of Go.
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time of a process and of its children that have ended.
func cpuTime(stat procfs.ProcStat) time.Duration {
	return time.Duration(int64(stat.UTime)+int64(stat.STime)+int64(stat.CUTime)+int64(stat.CSTime)) * tick
}

// ResidentBytes returns the resident memory of the process.
func (p *Process) ResidentBytes() (int64, error) {
	leader, err := procfs.NewProc(p.PID())
	if err != nil {
		return 0, fmt.Errorf("can't tell the memory of %s: %w", p.Name(), err)
	}
	status, err := leader.NewStatus()
	return int64(status.VmRSS), err
}
