package postgres_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
)

var _ = Describe("What tenants use of a server", func() {
	It("is measured, whatever they have locked", func(ctx SpecContext) {
		own, schema, row := shared.provisioned(ctx), shared.provisioned(ctx, in(database.IsolationSchema)), shared.provisioned(ctx, in(database.IsolationRow))
		shared.session(ctx, own, own.Name())
		shared.session(ctx, own, own.Name())
		inSchema := shared.session(ctx, schema, schema.Name())
		for _, sql := range []string{
			"CREATE TABLE orders AS SELECT n, repeat('x', 100) AS text FROM generate_series(1, 10000) AS n", "ANALYZE orders",
			"BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
		} {
			_, err := inSchema.Exec(ctx, sql)
			Expect(err).NotTo(HaveOccurred(), sql)
		}

		uses, err := shared.servers.Uses(ctx, shared.address)
		Expect(err).NotTo(HaveOccurred())
		of := func(tenant database.Desired) OmegaMatcher {
			return And(HaveField("Tenant", tenant.Tenant), HaveField("UID", tenant.UID), HaveField("Isolation", tenant.Isolation))
		}
		Expect(uses).To(ContainElements(
			And(of(own), HaveField("Connections", int32(2)), HaveField("Bytes", HaveValue(BeNumerically(">", 1<<20)))),
			And(of(schema), HaveField("Connections", int32(1)), HaveField("Bytes", HaveValue(BeNumerically("~", 1300<<10, 200<<10)))),
			And(of(row), HaveField("Connections", int32(0)), HaveField("Bytes", BeNil())),
		))
	}, SpecTimeout(specTimeout))

	It("isn't read of tenants of other clusters", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		other := shared.replica()
		other.address.Cluster = "another"
		uses, err := other.servers.Uses(ctx, other.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(uses).NotTo(ContainElement(HaveField("UID", tenant.UID)))
	}, SpecTimeout(specTimeout))
})
