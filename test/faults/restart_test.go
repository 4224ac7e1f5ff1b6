package faults

import (
	"context"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
)

const (
	// A sweep takes a minute or two, and several times as long beside other suites.
	sweepTimeout = 20 * time.Minute
	// atOnce is below the 30 s after which the operator reconciles by itself.
	atOnce = 28 * time.Second
)

var _ = Describe("The operator, killed", func() {
	killed := func(ctx context.Context, w work, when moment, at ...*atomic.Pointer[fault]) {
		sweep(ctx, w, interruption{
			at: at, when: when, kill: func() func() error { return env.Operator.Kill }, revive: startOperator, recovery: atOnce,
		})
	}

	for _, w := range []work{provisioning, change, rotation, dropping, retention} {
		// Before a step things are as they are after the last one.
		It("after any write and any statement, "+w.name, func(ctx SpecContext) {
			killed(ctx, w, after, &kubernetes.fault, &postgres.fault)
		}, SpecTimeout(sweepTimeout))
		It("during any statement, "+w.name, func(ctx SpecContext) {
			killed(ctx, w, during, &postgres.fault)
		}, SpecTimeout(sweepTimeout))
	}
	for _, w := range sharing() {
		It("after any statement, "+w.name, func(ctx SpecContext) {
			killed(ctx, w, after, &postgres.fault)
		}, SpecTimeout(sweepTimeout))
	}
	for _, w := range []work{deletion, serving} {
		It("after any write, "+w.name, func(ctx SpecContext) {
			killed(ctx, w, after, &kubernetes.fault)
		}, SpecTimeout(sweepTimeout))
	}
})

var _ = Describe("The operator, when PostgreSQL is killed", func() {
	for _, w := range append(sharing(), provisioning, change, rotation, dropping, retention) {
		It("after any statement, "+w.name, func(ctx SpecContext) {
			sweep(ctx, w, interruption{
				at: []*atomic.Pointer[fault]{&postgres.fault}, when: after, recovery: atOnce,
				kill: func() func() error { return env.Postgres.Kill }, revive: env.Postgres.Restart,
			})
		}, SpecTimeout(sweepTimeout))
	}
})
