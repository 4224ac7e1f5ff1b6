package faults

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// vanish deletes a tenant, whatever finalizers it has.
func vanish(ctx context.Context, tenant *v1alpha1.Tenant) error {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := env.Client.Patch(ctx, tenant.DeepCopy(), patch); err != nil {
		return err
	}
	return env.Client.Delete(ctx, tenant.DeepCopy())
}

// The API server can delete an object in the moment in which it gets its finalizers, whatever the operator does.
var _ = Describe("A Tenant that goes in spite of its finalizers, just as its database is made", func() {
	It("leaves no way into the database", func(ctx SpecContext) {
		of := func(name string) *v1alpha1.Tenant {
			return whole(name).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete).Build()
		}
		undisturbed, _ := work{start: create, done: ready}.run(ctx, of("vanishing-0"), interruption{at: []*atomic.Pointer[fault]{&postgres.fault}}, nil)
		registers := func(step string) bool { return strings.Contains(step, "INSERT INTO tenantry.tenants") }
		known := slices.DeleteFunc(slices.Clone(undisturbed), registers)
		Expect(len(known)).To(BeNumerically("<", len(undisturbed)), "%q", undisturbed)

		tenant := of("vanishing-1")
		armed := newFault(known, meanwhile, tenant.Name, func() error { return vanish(ctx, tenant) })
		postgres.fault.Store(armed)
		create(ctx, tenant)
		armed.mark(string(tenant.UID), "UID", databaseName(tenant), "DATABASE")
		Eventually(ctx, armed.struck).Should(BeClosed())
		Expect(armed.err).NotTo(HaveOccurred())
		Eventually(ctx, komega.Get(namespaceOf(tenant))).ShouldNot(Succeed())
		Eventually(ctx, func() ([]string, error) { return databaseOf(ctx, tenant) }).WithTimeout(atOnce).Should(And(
			ContainElement(And(HavePrefix("registry:"), ContainSubstring("is Retained"))),
			Not(ContainElement(ContainSubstring("login t,")))))
	}, SpecTimeout(sweepTimeout))
})
