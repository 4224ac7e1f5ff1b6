package nodes

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// upgrade is the migration of the Flask shop.
const upgrade = "/usr/bin/python3 -m flask --app shop db upgrade"

// inShell runs a command by the shell.
func inShell(command string) []string { return []string{"/bin/sh", "-c", command} }

// appSays returns what AppReady of a tenant says.
func appSays(tenant *v1alpha1.Tenant) string {
	if found := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionAppReady); found != nil {
		return found.Reason + ": " + found.Message
	}
	return ""
}

var _ = Describe("A release with a migration", Ordered, func() {
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = shop(ctx, "flask", v1alpha1.DatabaseIsolationDatabase)
		tenant.Name, tenant.Spec.Database.ServerRef.Name = "migrating", shared
		tenant.Spec.App.Migration = &v1alpha1.AppMigration{Command: inShell(upgrade)}
		Expect(cl.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, tenant)).To(Succeed()) })
		Eventually(ctx, komega.Object(tenant), slowly).Should(ready())
	}, NodeTimeout(shopTimeout))

	release := func(ctx SpecContext, name, migration string) {
		GinkgoHelper()
		Eventually(ctx, komega.Update(tenant, func() {
			tenant.Spec.Config["SHOP_NAME"] = name
			tenant.Spec.App.Migration.Command, tenant.Spec.App.Migration.BackoffLimit = inShell(migration), new(int32(0))
		})).Should(Succeed())
	}
	named := func(ctx SpecContext) (string, error) {
		return kubectl(ctx, "exec", "--namespace="+tenant.Name, "deployment/app", "--", "/bin/sh", "-c", "echo $SHOP_NAME")
	}

	It("that takes 20 seconds costs no request", func(ctx SpecContext) {
		client, begun := ask(ctx, tenant.Name, "/orders", oneClient), time.Now()
		release(ctx, "The new shop", "sleep 20 && "+upgrade)
		Eventually(ctx, komega.Object(tenant)).Should(WithTransform(appSays, ContainSubstring(" runs as Job migration-")))
		Expect(named(ctx)).To(Equal("The shop on Flask"))
		Eventually(ctx, named, slowly).Should(Equal("The new shop"))
		Expect(time.Since(begun)).To(BeNumerically(">", 20*time.Second))
		Eventually(ctx, komega.Object(tenant), slowly).Should(ready())
		rolledOut(ctx, tenant.Name)
		Expect(client.answered()).To(allAnswered())
	}, SpecTimeout(shopTimeout))

	It("that fails leaves the old version serving, says why, and goes through once it is mended", func(ctx SpecContext) {
		client := ask(ctx, tenant.Name, "/orders", oneClient)
		release(ctx, "The broken shop", `/usr/bin/python3 -c "raise RuntimeError('no such table: orders')"`)
		Eventually(ctx, komega.Object(tenant), slowly).Should(WithTransform(appSays, And(
			HavePrefix("MigrationFailed: "), ContainSubstring("RuntimeError: no such table: orders"))))
		Expect(named(ctx)).To(Equal("The new shop"))
		release(ctx, "The mended shop", "true && "+upgrade)
		Eventually(ctx, komega.Object(tenant), slowly).Should(ready())
		Eventually(ctx, named, slowly).Should(Equal("The mended shop"))
		rolledOut(ctx, tenant.Name)
		Expect(client.answered()).To(allAnswered())
	}, SpecTimeout(shopTimeout))
})
