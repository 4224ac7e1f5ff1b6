package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	waveTenants = 4
	// waveSlots is how many of them may be on their way.
	waveSlots = 2
	// cacheDelay is how far the operator's cache is behind in the spec about that.
	cacheDelay = 5 * time.Second
)

// wave is a class whose releases are interrupted.
type wave struct {
	class    *v1alpha1.TenantClass
	tenants  []*v1alpha1.Tenant
	releases int
}

func beginWave(ctx context.Context, name string) *wave {
	GinkgoHelper()
	w := &wave{class: &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: name}}}
	w.class.Spec.Tenant.App = &v1alpha1.TenantApp{Image: w.image()}
	w.class.Spec.Rollout = v1alpha1.TenantClassRollout{MaxUnavailable: new(intstr.FromInt32(waveSlots))}
	w.class.Spec.RevisionHistoryLimit = new(int32(100)) // To delete a revision would be another step each time.
	Expect(env.Client.Create(ctx, w.class)).To(Succeed())
	for i := range waveTenants {
		tenant := builders.Tenant(fmt.Sprintf("%s-%d", name, i)).Build()
		tenant.Spec.ClassName = &name
		w.tenants = append(w.tenants, tenant)
		create(ctx, tenant)
	}
	DeferCleanup(func(ctx SpecContext) {
		for _, tenant := range w.tenants {
			remove(ctx, tenant)
		}
		for _, tenant := range w.tenants {
			Eventually(ctx, gone).WithArguments(ctx, tenant).Should(BeTrue())
		}
		Expect(env.Client.Delete(ctx, w.class)).To(Succeed())
	}, NodeTimeout(sweepTimeout))
	Eventually(ctx, w.done).WithArguments(ctx).Should(BeTrue())
	return w
}

func (w *wave) image() string { return fmt.Sprintf("registry.example/shop:%d", w.releases) }

// release begins another release.
func (w *wave) release(ctx context.Context) {
	GinkgoHelper()
	w.releases++
	Eventually(ctx, komega.Update(w.class, func() { w.class.Spec.Tenant.App.Image = w.image() })).Should(Succeed())
}

// done reports whether all tenants are Ready with the current image, and the class says so.
func (w *wave) done(ctx context.Context) (bool, error) {
	class := &v1alpha1.TenantClass{}
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(w.class), class); err != nil {
		return false, err
	}
	status := class.Status
	if status.ObservedGeneration != class.Generation || status.StableRevision != status.CurrentRevision || len(status.InFlight) > 0 {
		return false, nil
	}
	for _, tenant := range w.tenants {
		found := &v1alpha1.Tenant{}
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), found); err != nil {
			return false, err
		}
		if works, err := ready(ctx, tenant); !works || found.Status.App == nil || found.Status.App.Image != w.image() {
			return false, err
		}
	}
	return true, nil
}

var _ = Describe("A release of a TenantClass", func() {
	It("has no more tenants on their way than it may, wherever the operator is killed", func(ctx SpecContext) {
		w := beginWave(ctx, "sweeping")
		moves := env.FollowMoves("sweeping-")
		var known []string
		for {
			armed := newFault(known, after, "sweeping", func() error { return env.Operator.Kill() })
			kubernetes.fault.Store(armed)
			w.release(ctx)
			Eventually(ctx, func() (bool, error) {
				select {
				case <-armed.struck:
					return true, nil
				default:
					return w.done(ctx)
				}
			}).WithTimeout(time.Minute).Should(BeTrue())
			hit := armed.disarm()
			kubernetes.fault.Store(nil)
			if !hit {
				break
			}
			Eventually(ctx, armed.struck).Should(BeClosed())
			Expect(armed.err).NotTo(HaveOccurred())
			steps := armed.steps()
			known = append(known, steps[len(steps)-1])
			Expect(startOperator(ctx)).To(Succeed())
			Eventually(ctx, w.done).WithArguments(ctx).WithTimeout(time.Minute).Should(BeTrue(), "it was killed after %q", known[len(known)-1])
		}
		order, most := moves.Replay()
		AddReportEntry("killed after", strings.Join(known, "\n"))
		Expect(most).To(Equal(waveSlots))
		moved := 0
		for _, tenants := range order {
			moved += len(tenants)
		}
		Expect(moved).To(Equal(w.releases * waveTenants))
		Expect(known).To(ContainElements(
			HaveSuffix("/tenantclassrevisions"), HaveSuffix("/tenantclasses/TENANT/status"), HaveSuffix("/tenants/TENANT-0/status"), HaveSuffix("/TENANT-0/deployments/app")))
	}, SpecTimeout(sweepTimeout))

	It("has no more tenants on their way than it may when the cache is 5 s behind", func(ctx SpecContext) {
		w := beginWave(ctx, "lagging")
		moves := env.FollowMoves("lagging-")
		DeferCleanup(func(ctx SpecContext) {
			kubernetes.delay.Store(0)
			Expect(env.Operator.Stop()).To(Succeed())
			Expect(startOperator(ctx)).To(Succeed())
		}, NodeTimeout(time.Minute))
		kubernetes.delay.Store(int64(cacheDelay))
		Expect(env.Operator.Stop()).To(Succeed())
		Expect(startOperator(ctx)).To(Succeed())
		for range 2 {
			w.release(ctx)
			Eventually(ctx, w.done).WithArguments(ctx).WithTimeout(3 * time.Minute).Should(BeTrue())
		}
		By("superseding a release by the next one")
		w.release(ctx)
		Eventually(ctx, func() []v1alpha1.TenantClassAssignment {
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(w.class), w.class)).To(Succeed())
			return w.class.Status.InFlight
		}).WithTimeout(time.Minute).ShouldNot(BeEmpty())
		w.release(ctx)
		Eventually(ctx, w.done).WithArguments(ctx).WithTimeout(3 * time.Minute).Should(BeTrue())
		_, most := moves.Replay()
		Expect(most).To(Equal(waveSlots))
	}, SpecTimeout(sweepTimeout))
})
