package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// batch is how many tenants are prepared together.
const batch = 8

// work is a piece of the operator's work to interrupt.
type work struct {
	// name continues a sentence that begins with "the operator".
	name string
	// tenant begins a tenant that the work is done for.
	tenant func(name string) *builders.TenantBuilder
	// prepare brings tenants to the state in which the work starts; nil if it starts with their creation.
	prepare func(ctx context.Context, tenants []*v1alpha1.Tenant)
	// start makes the change that causes the work.
	start func(ctx context.Context, tenant *v1alpha1.Tenant)
	// replaces says that the tenant has another password afterwards.
	replaces bool
	// done reports whether the work is done.
	done func(ctx context.Context, tenant *v1alpha1.Tenant) (bool, error)
	// check checks the result.
	check func(ctx context.Context, tenant *v1alpha1.Tenant, found state)
}

// interruption is what happens at a step.
type interruption struct {
	// at are the proxies whose steps count.
	at   []*atomic.Pointer[fault]
	when moment
	// kill returns a function that kills the process, and revive starts it again.
	kill   func() func() error
	revive func(ctx context.Context) error
	// recovery is how long the work may take after that.
	recovery time.Duration
}

// supply has tenants in the state in which the work starts.
type supply struct {
	work
	prepared, all []*v1alpha1.Tenant
}

// made counts the tenants of the suite. Their names have the same length, so that no name contains another.
var made int

func (s *supply) next(ctx context.Context) *v1alpha1.Tenant {
	GinkgoHelper()
	if len(s.prepared) == 0 {
		for range batch {
			made++
			s.prepared = append(s.prepared, s.tenant(fmt.Sprintf("tenant-%04d", made)).Build())
		}
		if s.prepare != nil {
			s.prepare(ctx, s.prepared)
		}
		s.all = append(s.all, s.prepared...)
	}
	tenant := s.prepared[0]
	s.prepared = s.prepared[1:]
	return tenant
}

// useUp also does the work for the tenants that are left, so that nothing stays half done.
func (s *supply) useUp(ctx context.Context) {
	GinkgoHelper()
	if s.prepare == nil {
		return
	}
	for _, tenant := range s.prepared {
		s.start(ctx, tenant)
	}
	for _, tenant := range s.prepared {
		Eventually(ctx, s.done).WithArguments(ctx, tenant).Should(BeTrue(), tenant.Name)
	}
}

// end deletes all tenants: an operator that starts looks at each that there is, and the next spec starts many.
func (s *supply) end(ctx context.Context) {
	GinkgoHelper()
	for _, tenant := range s.all {
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, tenant))).To(Succeed())
	}
	for _, tenant := range s.all {
		Eventually(ctx, gone).WithArguments(ctx, tenant).WithTimeout(5*time.Minute).Should(BeTrue(), tenant.Name)
	}
}

// tries is for how many tenants in a row a step must not occur before it counts as one that doesn't occur any
// more.
const tries = 3

// sweep does the work without an interruption, and then interrupts it once at every step.
func sweep(ctx context.Context, w work, i interruption) {
	GinkgoHelper()
	tenants := &supply{work: w}
	reference := tenants.next(ctx)
	undisturbed, _ := w.run(ctx, reference, interruption{at: i.at}, nil)
	want, err := stateOf(ctx, reference)
	Expect(err).NotTo(HaveOccurred())
	w.check(ctx, reference, want)

	var struck []string
	var report strings.Builder
	for left := tries; left > 0; {
		began := time.Now()
		tenant := tenants.next(ctx)
		steps, hit := w.run(ctx, tenant, i, struck)
		found, err := stateOf(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		Expect(diff.Diff(want, found)).To(BeEmpty(), "%s was interrupted %s the last of %q, and differs from %s",
			tenant.Name, i.when, steps, reference.Name)
		w.check(ctx, tenant, found)
		switch {
		case hit:
			left = tries
			struck = append(struck, steps[len(steps)-1])
			fmt.Fprintf(&report, "%.1f s, %s\n", time.Since(began).Seconds(), struck[len(struck)-1])
		case sets.New(struck...).HasAll(undisturbed...):
			left = 0
		default:
			left--
		}
	}
	AddReportEntry("interrupted "+string(i.when), report.String())
	Expect(struck).NotTo(BeEmpty())
	slices.Sort(undisturbed)
	Expect(struck).To(ContainElements(slices.Compact(undisturbed)))
	tenants.useUp(ctx)
	Expect(orphans(ctx)).To(BeEmpty())
	tenants.end(ctx)
}

// run has the work done for a tenant, with an interruption at the first step that is not known, or without one if
// the interruption kills nothing. It returns the steps, in neutral words, and whether the last of them was
// interrupted.
func (w work) run(ctx context.Context, tenant *v1alpha1.Tenant, i interruption, known []string) (steps []string, hit bool) {
	GinkgoHelper()
	var kill func() error
	if i.kill != nil {
		kill = i.kill()
	}
	armed := newFault(known, i.when, tenant.Name, kill)
	mark := func() { armed.mark(string(tenant.UID), "UID", databaseName(tenant), "DATABASE") }
	if tenant.UID != "" {
		mark()
	}
	for _, proxy := range i.at {
		proxy.Store(armed)
	}
	w.start(ctx, tenant)
	mark()
	Eventually(ctx, func() (bool, error) {
		select {
		case <-armed.struck:
			return true, nil
		default:
			return w.done(ctx, tenant)
		}
	}).Should(BeTrue(), tenant.Name)
	hit = armed.disarm()
	if hit {
		w.recover(ctx, tenant, i, armed)
	}
	return armed.steps(), hit
}

// recover revives what was killed, and waits until the work is done nevertheless, with the same password as before
// unless the work replaces it.
func (w work) recover(ctx context.Context, tenant *v1alpha1.Tenant, i interruption, armed *fault) {
	GinkgoHelper()
	Eventually(ctx, armed.struck).Should(BeClosed())
	Expect(armed.err).NotTo(HaveOccurred())
	password, written, err := passwordOf(ctx, tenant)
	Expect(err).NotTo(HaveOccurred())
	Expect(i.revive(ctx)).To(Succeed())
	Eventually(ctx, w.done).WithArguments(ctx, tenant).WithTimeout(i.recovery).Should(BeTrue(), func() string {
		return fmt.Sprintf("%s was interrupted %s the last of %q", tenant.Name, i.when, armed.steps())
	})
	now, kept, err := passwordOf(ctx, tenant)
	Expect(err).NotTo(HaveOccurred())
	if written && kept && !w.replaces {
		Expect(now).To(Equal(password), "the password of %s", tenant.Name)
	}
}
