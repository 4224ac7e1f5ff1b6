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
	// restInterval is how long a side must have rested.
	restInterval = time.Second
	// restingCores is what a side that rests may use: watches, leases, probes and the beats of nodes.
	restingCores = 0.25
	restTimeout  = 2 * time.Minute

	// applier is the name of this program: on the side of the floor, the bare client.
	applier = "client"
)

// usage is CPU time, of user and system, in seconds by the name of the program.
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

// ownUsage is the CPU time of this program.
func ownUsage() (float64, error) {
	var own unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &own)
	return time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds(), err
}

// machineUsage is how much of the machine's CPU time is gone, whoever has had it.
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

// awaitRest waits until programs have nothing left to do, so that what one block has left over neither
// slows down the next nor goes uncounted.
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
