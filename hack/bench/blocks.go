package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenantry/tenantry/hack/process"
)

// side is the operator or the floor. Each has its own site.
type side interface {
	fmt.Stringer
	// prepare returns a function that provisions the tenants with these numbers, without the one numbered to.
	prepare(ctx context.Context, from, to int) (provision func(context.Context) error, err error)
	// await waits until the site has that many complete tenants, and returns when each of those became complete that
	// were not complete before.
	await(ctx context.Context, tenants int) ([]time.Time, error)
	// standing is how many tenants the site has.
	standing() int
	programs() []*process.Process
}

// block has the measurements of one side for a batch of tenants. Times are in seconds.
type block struct {
	Tenants int `json:"tenants"`
	// Seconds is the time until all tenants were complete, HalfSeconds the time until half of them were.
	Seconds     float64 `json:"seconds"`
	HalfSeconds float64 `json:"halfSeconds"`
	// CPUSeconds is the CPU time, user and system, by program, until all programs were idle again.
	CPUSeconds usage `json:"cpuSeconds"`
	// OtherCores is how many cores other programs used meanwhile, on average. Unless it is close to zero, Seconds
	// mean little.
	OtherCores float64 `json:"otherCores"`
}

// pair is a block of each side, measured one right after the other.
type pair struct {
	Operator block `json:"operator"`
	Floor    block `json:"floor"`
}

// measurePair has both sides provision the same tenants. The sides take turns in being first, so that a machine
// that gets slower or faster favors neither.
func (b *bench) measurePair(ctx context.Context, floor, operator side, i int) (pair, error) {
	var measured pair
	from, to := i*b.tenants/b.blocks, (i+1)*b.tenants/b.blocks
	turns := []struct {
		side side
		into *block
	}{{floor, &measured.Floor}, {operator, &measured.Operator}}
	if i%2 == 1 {
		slices.Reverse(turns)
	}
	everything := slices.Concat(floor.programs(), operator.programs())
	for _, turn := range turns {
		say("block %d of %d, %s: provisioning %d tenants", i+1, b.blocks, turn.side, to-from)
		var err error
		if *turn.into, err = measureBlock(ctx, turn.side, everything, from, to); err != nil {
			return measured, fmt.Errorf("block %d of %d, %s: %w", i+1, b.blocks, turn.side, err)
		}
	}
	return measured, nil
}

// measureBlock measures one side while everything else that the benchmark has started is idle.
func measureBlock(ctx context.Context, s side, everything []*process.Process, from, to int) (block, error) {
	measured := block{Tenants: to - from}
	provision, err := s.prepare(ctx, from, to)
	if err != nil {
		return measured, err
	}
	if err := awaitRest(ctx, s.programs()); err != nil {
		return measured, err
	}
	meter, err := startMeter(s.programs(), everything)
	if err != nil {
		return measured, err
	}
	start := time.Now()
	var done []time.Time
	err = until(ctx, provision, func(ctx context.Context) (err error) {
		done, err = s.await(ctx, s.standing()+to-from)
		return err
	})
	if err != nil {
		return measured, err
	}
	measured.Seconds = done[len(done)-1].Sub(start).Seconds()
	measured.HalfSeconds = done[(len(done)-1)/2].Sub(start).Seconds()
	if err := awaitRest(ctx, s.programs()); err != nil {
		return measured, err
	}
	measured.CPUSeconds, measured.OtherCores, err = meter.read()
	return measured, err
}
