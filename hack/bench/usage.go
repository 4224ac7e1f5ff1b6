package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tenantry/tenantry/hack/process"
)

const (
	// restInterval is how long programs must have been idle.
	restInterval = time.Second
	// restingCores is how many cores idle programs may use, for watches, leases, probes and heartbeats of nodes.
	restingCores = 0.25
	restTimeout  = 2 * time.Minute

	// applier is the name of this program: on the side of the floor, the bare client.
	applier = "client"
)

// usage is CPU time, user and system, in seconds, by name of the program.
type usage map[string]float64

func usageOf(programs []*process.Process) (usage, error) {
	used := usage{}
	for _, program := range programs {
		took, err := program.CPUTime()
		if err != nil {
			return nil, err
		}
		used[program.Name()] += took.Seconds()
	}
	return used, nil
}

// ownUsage returns the CPU time of this program.
func ownUsage() (float64, error) {
	var own unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &own)
	return time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds(), err
}

// machineUsage returns the CPU time that the machine has spent on all processes.
func machineUsage() (float64, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	cpu := stat.CPUTotal
	return cpu.User + cpu.Nice + cpu.System + cpu.IRQ + cpu.SoftIRQ + cpu.Steal, err
}

func (u usage) since(before usage) usage {
	used := usage{}
	for program, seconds := range u {
		used[program] = seconds - before[program]
	}
	return used
}

func (u usage) total() float64 {
	total := 0.0
	for _, program := range slices.Sorted(maps.Keys(u)) {
		total += u[program]
	}
	return total
}

// awaitRest waits until programs are idle, so that work left over from one block neither slows down the next nor
// goes uncounted.
func awaitRest(ctx context.Context, programs []*process.Process) error {
	used, err := usageOf(programs)
	if err != nil {
		return err
	}
	since := time.Now()
	err = wait.PollUntilContextTimeout(ctx, restInterval, restTimeout, false, func(context.Context) (bool, error) {
		before, began := used, since
		used, err = usageOf(programs)
		since = time.Now()
		return used.since(before).total() < restingCores*since.Sub(began).Seconds(), err
	})
	if err != nil {
		return fmt.Errorf("the programs have not come to rest: %w", err)
	}
	return nil
}

// meter measures the CPU time of some programs, and of all others.
type meter struct {
	programs, everything []*process.Process
	since                time.Time
	before               reading
}

// reading is a reading of a meter, in seconds of CPU time.
type reading struct {
	programs        usage
	everything, own float64
	machine         float64
}

func startMeter(programs, everything []*process.Process) (*meter, error) {
	m := &meter{programs: programs, everything: everything, since: time.Now()}
	var err error
	m.before, err = m.take()
	return m, err
}

func (m *meter) take() (reading, error) {
	var now reading
	everything, err := usageOf(m.everything)
	if err != nil {
		return now, err
	}
	now.everything = everything.total()
	if now.programs, err = usageOf(m.programs); err != nil {
		return now, err
	}
	if now.own, err = ownUsage(); err != nil {
		return now, err
	}
	now.programs[applier] = now.own
	now.machine, err = machineUsage()
	return now, err
}

// read returns the CPU time of the programs since the start, in seconds, and how many cores others used.
func (m *meter) read() (used usage, otherCores float64, err error) {
	now, err := m.take()
	if err != nil {
		return nil, 0, err
	}
	others := now.machine - m.before.machine - (now.everything - m.before.everything) - (now.own - m.before.own)
	return now.programs.since(m.before.programs), max(0, others) / time.Since(m.since).Seconds(), nil
}
