package integration

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

// anywhere begins a tenant that has a database on a server of the region, and nothing else.
func anywhere(name, region string) *builders.TenantBuilder {
	return builders.Tenant(name).DatabaseSelector("region", region)
}

// offer labels a server for a region and limits its tenants.
func offer(ctx context.Context, server *v1alpha1.DatabaseServer, region string, capacity int32) {
	GinkgoHelper()
	change(ctx, server, func() {
		server.Labels = map[string]string{"region": region}
		server.Spec.Capacity = &v1alpha1.DatabaseServerCapacity{Tenants: new(capacity)}
	})
	waitReady(ctx, server)
}

// force deletes a server that is in use, by removing its finalizer.
func force(ctx context.Context, server *v1alpha1.DatabaseServer) {
	GinkgoHelper()
	Expect(env.Client.Delete(ctx, server)).To(Succeed())
	Eventually(ctx, komega.Object(server)).Should(haveCondition(v1alpha1.ConditionDeletionBlocked, "True", v1alpha1.ReasonInUse))
	change(ctx, server, func() { controllerutil.RemoveFinalizer(server, naming.FinalizerServer) })
	waitGone(ctx, server)
}

var _ = Describe("A tenant that chooses its server by a selector", func() {
	It("goes to the least filled one, also when many come at once, and stays there", func(ctx SpecContext) {
		_, small := ownServer(ctx, "south-small")
		_, big := ownServer(ctx, "south-big")
		offer(ctx, small, "south", 4)
		offer(ctx, big, "south", 8)
		var tenants []*v1alpha1.Tenant
		for number := range 12 {
			tenants = append(tenants, apply(ctx, anywhere(fmt.Sprintf("southern-%d", number), "south")))
		}
		at := map[string]int{}
		for _, tenant := range tenants {
			waitReady(ctx, tenant)
			at[tenant.Status.Database.Server]++
		}
		Expect(at).To(Equal(map[string]int{"south-small": 4, "south-big": 8}))
		Expect(ping(ctx, tenants[0])).To(Succeed())

		By("a thirteenth says why it waits, and gets on when there is room")
		late := apply(ctx, anywhere("southern-late", "south"))
		Eventually(ctx, komega.Object(late)).Should(And(
			waitsFor(v1alpha1.ReasonNoSuitableServer,
				"Of the DatabaseServers that match spec.database.serverSelector (region=south), 2 in number, none takes a new tenant: south-big is full (capacity 8), south-small is full (capacity 4)."),
			stalled(v1alpha1.ReasonNoSuitableServer)))
		change(ctx, small, func() { small.Spec.Capacity.Tenants = ptr.To[int32](5) })
		waitReady(ctx, late)
		Expect(late.Status.Database.Server).To(Equal("south-small"))

		By("the labels of a server don't matter any more once a tenant is there")
		change(ctx, small, func() { small.Labels = nil })
		change(ctx, late, func() { late.Spec.DisplayName = "Late" })
		waitReady(ctx, late)
		Expect(late.Status.Database.Server).To(Equal("south-small"))
	}, SpecTimeout(specTimeout))

	It("waits until one matches, is schedulable and ready", func(ctx SpecContext) {
		tenant := apply(ctx, anywhere("northern", "north"))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			waitsFor(v1alpha1.ReasonServerNotFound, "No DatabaseServer matches spec.database.serverSelector (region=north); label one so, or change the selector."),
			lack(v1alpha1.ConditionStalled)))
		server := register(ctx, "north-one", env.Postgres)
		change(ctx, server, func() {
			server.Spec.Unschedulable = true
			server.Labels = map[string]string{"region": "north"}
		})
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonNoSuitableServer, "north-one is unschedulable"))
		change(ctx, server, func() { server.Spec.Unschedulable = false })
		waitReady(ctx, tenant)
		Expect(tenant.Status.Database.Server).To(Equal("north-one"))
	}, SpecTimeout(specTimeout))

	It("can't move by another selector, but may name the server where it is", func(ctx SpecContext) {
		server := register(ctx, "west-one", env.Postgres)
		change(ctx, server, func() { server.Labels = map[string]string{"region": "west"} })
		tenant := applyReady(ctx, anywhere("western", "west"))
		moved := tenant.DeepCopy()
		moved.Spec.Database.ServerSelector.MatchLabels["region"] = "south"
		Expect(env.Client.Update(ctx, moved)).To(MatchError(ContainSubstring(
			"the database is placed on the server west-one and can not move; put the selector back, or name that server in serverRef instead")))
		moved = tenant.DeepCopy()
		moved.Spec.Database.ServerSelector, moved.Spec.Database.ServerRef.Name = nil, shared
		Expect(env.Client.Update(ctx, moved)).To(MatchError(ContainSubstring(
			"the database is placed on the server west-one and can not move; write that name")))
		change(ctx, tenant, func() {
			tenant.Spec.Database.ServerSelector, tenant.Spec.Database.ServerRef.Name = nil, "west-one"
		})
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A database server", func() {
	It("that is unschedulable keeps its tenants and takes no new ones", func(ctx SpecContext) {
		server := register(ctx, "closing", env.Postgres)
		settled := applyReady(ctx, withDatabase("settled-there", "closing"))
		change(ctx, server, func() { server.Spec.Unschedulable = true })
		waitReady(ctx, server)
		Expect(kubectl(ctx, "get", "dbs", "closing", "--no-headers")).To(ContainSubstring("The server answers. It is unschedulable, so it takes no new tenants."))
		refused := apply(ctx, withDatabase("not-there", "closing"))
		Eventually(ctx, komega.Object(refused)).Should(stalled(v1alpha1.ReasonServerUnschedulable,
			`DatabaseServer "closing" takes no new tenants; name another one in spec.database.serverRef, or take spec.unschedulable off the server.`))
		change(ctx, settled, func() { settled.Spec.Database.ConnectionLimit = 7 })
		waitReady(ctx, settled)
		change(ctx, server, func() { server.Spec.Unschedulable = false })
		waitReady(ctx, refused)
	}, SpecTimeout(specTimeout))

	It("that is deleted while tenants have their database there goes on until they are gone, and says so", func(ctx SpecContext) {
		server := register(ctx, "awaited", env.Postgres)
		first, second := applyReady(ctx, withDatabase("awaited-1", "awaited")), applyReady(ctx, withDatabase("awaited-2", "awaited"))
		Expect(env.Client.Delete(ctx, server)).To(Succeed())
		sentence := "It is deleted once no tenant has its database there any more, and %d have; delete them first."
		Eventually(ctx, komega.Object(server)).Should(And(beReady(),
			haveCondition(v1alpha1.ConditionDeletionBlocked, "True", v1alpha1.ReasonInUse, fmt.Sprintf(sentence, 2))))
		Expect(kubectl(ctx, "get", "dbs", "awaited", "--no-headers")).To(ContainSubstring(fmt.Sprintf(sentence, 2)))
		Expect(read(ctx, first)).To(beReady())
		newcomer := apply(ctx, withDatabase("awaited-3", "awaited"))
		Eventually(ctx, komega.Object(newcomer)).Should(waitsFor(v1alpha1.ReasonServerNotReady, `DatabaseServer "awaited" is being deleted; name another one`))

		remove(ctx, first)
		Eventually(ctx, komega.Object(server)).Should(haveCondition(v1alpha1.ConditionDeletionBlocked, "True", v1alpha1.ReasonInUse, fmt.Sprintf(sentence, 1)))
		remove(ctx, second)
		waitGone(ctx, server)
	}, SpecTimeout(specTimeout))
})
