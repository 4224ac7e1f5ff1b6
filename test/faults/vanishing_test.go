package faults

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// vanish deletes a tenant, whatever finalizers it has.
func vanish(ctx context.Context, tenant *v1alpha1.Tenant) error {
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := env.Client.Patch(ctx, tenant.DeepCopy(), patch); err != nil {
		return err
	}
	return env.Client.Delete(ctx, tenant.DeepCopy())
}

var _ = Describe("A Tenant that the API server deletes just when it gets its finalizers", func() {
	It("leaves nothing", func(ctx SpecContext) {
		tenant := whole("vanishing-1").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete).Build()
		armed := newFault(nil, meanwhile, tenant.Name, func() error { return vanish(ctx, tenant) })
		kubernetes.fault.Store(armed)
		DeferCleanup(func() { kubernetes.fault.Store(nil) })

		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, armed.struck).Should(BeClosed())
		Expect(armed.err).NotTo(HaveOccurred())
		Expect(armed.steps()).To(ConsistOf("PATCH /apis/tenantry.dev/v1alpha1/tenants/TENANT"))
		Eventually(ctx, func() (bool, error) { return gone(ctx, tenant) }).Should(BeTrue())
		Eventually(ctx, komega.Get(namespaceOf(tenant))).ShouldNot(Succeed())
		found, err := stateOf(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Database).To(BeEmpty())
	}, SpecTimeout(sweepTimeout))
})
