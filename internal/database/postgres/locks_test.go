package postgres_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
)

// A tenant can hold a lock for as long as it likes.
var _ = Describe("A tenant that holds a lock", Label("D4"), func() {
	const soon = 30 * time.Second // The operator gives up a lock after 2s at most; the tenant never does.

	It("on its own login is named, and holds up nobody else", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		login := database.Logins(tenant.Name())[0]
		session := shared.session(ctx, tenant, tenant.Name())
		for _, statement := range []string{"SET ROLE NONE", "ALTER ROLE " + login + " PASSWORD 'a'", "BEGIN", "ALTER ROLE " + login + " PASSWORD 'b'"} {
			_, err := session.Exec(ctx, statement)
			Expect(err).NotTo(HaveOccurred(), statement)
		}

		ended := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			ended <- shared.converge(ctx, tenant)
		}()
		By("Provisioning others meanwhile")
		began := time.Now()
		for range 3 {
			shared.provisioned(ctx)
		}
		Expect(time.Since(began)).To(BeNumerically("<", soon))

		var err error
		Eventually(ended).WithTimeout(soon).Should(Receive(&err))
		locked := heldBySomebody(err, func() error { return shared.converge(ctx, tenant) })
		Expect(locked.Holder.PID).To(Equal(int32(session.PgConn().PID())))
		Expect(locked.Holder.Role).To(Equal(login))
		Expect(locked.Holder.Since).To(BeTemporally("~", began, time.Minute))
		_, err = shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
		Expect(err).NotTo(HaveOccurred(), "the server answers")

		_, err = session.Exec(ctx, "ROLLBACK")
		Expect(err).NotTo(HaveOccurred())
		Expect(shared.converge(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("on a shared table is named, and says nothing of the server", func(ctx SpecContext) {
		manager := shared.provisioned(ctx, func(d *database.Desired) { d.Isolation, d.ManagesTables = database.IsolationRow, true })
		reader, migration := shared.session(ctx, manager, manager.Name()), shared.session(ctx, manager, manager.Name())
		_, err := reader.Exec(ctx, "CREATE TABLE locked (id int); SELECT tenantry.isolate('locked')")
		Expect(err).NotTo(HaveOccurred())
		_, err = reader.Exec(ctx, "BEGIN; SELECT FROM locked")
		Expect(err).NotTo(HaveOccurred())
		waiting, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := migration.Exec(waiting, "ALTER TABLE locked ADD more int")
			ended <- err
		}()
		migrationPID := int32(migration.PgConn().PID())
		Eventually(func() []string {
			return shared.rows(ctx, "postgres", "SELECT mode FROM pg_locks WHERE pid = $1 AND NOT granted", migrationPID)
		}).WithContext(ctx).Should(Equal([]string{"AccessExclusiveLock"}))

		began := time.Now()
		_, err = shared.servers.Share(ctx, shared.address, allIsolations)
		Expect(time.Since(began)).To(BeNumerically("<", soon))
		locked := heldBySomebody(err, func() error {
			_, err := shared.servers.Share(ctx, shared.address, allIsolations)
			return err
		})
		Expect(locked.Holder.PID).To(Equal(migrationPID))
		_, err = shared.servers.Observe(ctx, shared.address, manager.UID, manager.Name())
		Expect(err).NotTo(HaveOccurred(), "the server answers")

		stop()
		Expect(<-ended).To(HaveOccurred())
		Expect(reader.Close(ctx)).To(Succeed())
		shared.exec(ctx, database.SharedDatabase(database.IsolationRow), "DROP TABLE locked")
		_, err = shared.servers.Share(ctx, shared.address, allIsolations)
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))
})

// heldBySomebody returns the error of an operator that can't have a lock, with who has it. On a busy machine, nobody may
// have looked while it waited: then it tries again, as the operator does.
func heldBySomebody(err error, again func() error) *database.LockedError {
	GinkgoHelper()
	for {
		locked, ok := errors.AsType[*database.LockedError](err)
		Expect(ok).To(BeTrue(), "%v", err)
		if locked.Holder != nil {
			return locked
		}
		err = again()
	}
}
