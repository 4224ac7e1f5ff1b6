package isolation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/test/attacks"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// neighbors are two tenants whose databases have the same isolation: one whose software attacks, and its victim.
type neighbors struct{ attacker, victim *v1alpha1.Tenant }

// besieged are the neighbors of each isolation.
var besieged = map[database.Isolation]neighbors{}

// settleNeighbors creates the neighbors and what they have. With rows, a third tenant has created the tables.
func settleNeighbors(ctx context.Context) {
	GinkgoHelper()
	tenant := func(role string, isolation database.Isolation) *builders.TenantBuilder {
		return builders.Tenant(role + "-" + strings.ToLower(string(isolation))).Database("shared").Isolation(v1alpha1.DatabaseIsolation(isolation)).ConnectionLimit(50)
	}
	keeper := tenant("keeper", database.IsolationRow).ManagesTables().Build()
	made := []*v1alpha1.Tenant{keeper}
	for _, isolation := range []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow} {
		pair := neighbors{tenant("attacker", isolation).Build(), tenant("victim", isolation).Build()}
		besieged[isolation] = pair
		made = append(made, pair.attacker, pair.victim)
	}
	for _, tenant := range made {
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
	}
	for _, tenant := range made {
		Eventually(ctx, komega.Object(tenant)).Should(beReady(), tenant.Name)
	}
	Expect(try(ctx, keeper, attacks.RowTables)).To(Succeed())
	Expect(try(ctx, besieged[database.IsolationRow].attacker, attacks.RowsOf("the attacker", 2, 424243))).To(Succeed())
	for isolation, pair := range besieged {
		Expect(try(ctx, pair.victim, attacks.Belongings(isolation))).To(Succeed(), string(isolation))
	}
}

// attackBySQL has the software of one tenant try everything in test/attacks against its neighbor.
func attackBySQL(ctx SpecContext, isolation database.Isolation) {
	attacker, victim := besieged[isolation].attacker, besieged[isolation].victim
	session, err := env.Login(ctx, victim)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(session.Close)
	names := attacks.Sides{
		Isolation: isolation, Attacker: attacker.Status.Database.Name, Victim: victim.Status.Database.Name,
		Admin: environment.OperatorRole, PID: session.PgConn().PID(),
	}.Replacer()
	var let []string
	for _, attack := range attacks.On(isolation) {
		if err := try(ctx, attacker, names.Replace(attack.SQL)); !hasCode(err, attack.Code) {
			let = append(let, fmt.Sprintf("%s: %v, and not SQLSTATE %s", attack.SQL, err, attack.Code))
		}
	}
	Expect(let).To(BeEmpty())
	Expect(session.Ping(ctx)).To(Succeed())
	for _, tenant := range []*v1alpha1.Tenant{attacker, victim} {
		Expect(komega.Object(tenant)()).To(beReady(), tenant.Name)
	}
}

// try runs SQL as the software of a tenant does, in a session of its own.
func try(ctx context.Context, tenant *v1alpha1.Tenant, sql string) error {
	session, err := env.Login(ctx, tenant)
	if err != nil {
		return err
	}
	_, err = session.Exec(ctx, sql)
	return errors.Join(err, session.Close(ctx))
}

func hasCode(err error, code string) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == code
}
