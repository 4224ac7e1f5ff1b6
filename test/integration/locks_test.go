package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// All locks that a tenant can have, on all versions of PostgreSQL, are in internal/database/postgres. This is what
// those see who look after the cluster.
var _ = Describe("A tenant that keeps everybody from connecting to a database of the server", Label("D4"), func() {
	It("loses its sessions, with an Event, and no other tenant is held up", func(ctx SpecContext) {
		_, server := ownServer(ctx, "besieged")
		waitReady(ctx, server)
		neighbor, holder := applyReady(ctx, withDatabase("besieged-neighbor", "besieged")), applyReady(ctx, withDatabase("besieger", "besieged"))
		before := apimeta.FindStatusCondition(neighbor.Status.Conditions, v1alpha1.ConditionReady).DeepCopy()
		holding, waiting := session(ctx, holder), session(ctx, holder)

		By("holding a weak lock on each database, and waiting for a strong one")
		for _, statement := range []string{"SET ROLE NONE", "BEGIN", fmt.Sprintf(`DO $do$ DECLARE found name; BEGIN
			FOR found IN SELECT datname FROM pg_database LOOP EXECUTE format('ALTER ROLE %%I IN DATABASE %%I SET work_mem TO ''4MB''', '%s', found); END LOOP; END $do$`, holder.Status.Database.Login)} {
			Expect(holding.Exec(ctx, statement)).Error().NotTo(HaveOccurred(), statement)
		}
		Expect(waiting.Exec(ctx, "DROP DATABASE postgres")).Error().To(HaveOccurred(), "it is ended, or refused as soon as the other one is")
		Eventually(ctx, waiting.Ping).Should(MatchError(Or(ContainSubstring("terminating connection due to administrator command"), ContainSubstring("conn closed"))))
		Eventually(ctx, eventsOf).WithArguments(ctx, server).Should(HaveKey("SessionsEnded"))

		applyReady(ctx, withDatabase("besieged-newcomer", "besieged"))
		Expect(ping(ctx, neighbor)).To(Succeed())
		Expect(komega.Get(neighbor)()).To(Succeed())
		Expect(apimeta.FindStatusCondition(neighbor.Status.Conditions, v1alpha1.ConditionReady)).To(Equal(before), "it was Ready all the time")
	}, SpecTimeout(specTimeout))
})
