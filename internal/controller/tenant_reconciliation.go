package controller

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/status"
)

// reconciliation is one pass over one tenant: what it starts from, and what came of it so far.
type reconciliation struct {
	inputs   desired.Inputs
	problems map[string]status.Problem
	// connection is how to reach the database server; unusable is why that is not possible now.
	connection database.Server
	unusable   error
	// database is where the tenant's database is known to be.
	database *v1alpha1.TenantDatabaseStatus
	// credentials are the tenant's, and rotation says when they change. While the Secret holds others
	// than those that are recorded, they are the recorded ones, and unverified are the Secret's.
	credentials database.Credentials
	unverified  *database.Credentials
	rotation    database.Rotation
	// now is when the pass began, in the seconds that objects hold.
	now time.Time
	// memberships are what the server has of those that the operator has not made; nil if it was not
	// asked.
	memberships *[]database.Membership
	// acted says that the server was changed.
	acted bool
	// retry is the most eager of what the problems ask for; err explains withBackoff.
	retry retry
	err   error
	// outdated says that something was decided on old data, so that the pass proves nothing.
	outdated bool
}

func (run *reconciliation) tenant() *v1alpha1.Tenant { return run.inputs.Tenant }

// record notes how the phase of a part ended.
func (run *reconciliation) record(part desired.Part, err error) {
	if err == nil {
		return
	}
	if outdated(err) {
		run.outdated = true
		return
	}
	problem, retry := classify(err)
	run.problems[string(part)] = problem
	run.retry = max(run.retry, retry)
	if retry == withBackoff {
		run.err = err
	}
	if part == desired.Namespace {
		for _, other := range desired.Parts[1:] {
			run.problems[string(other)] = status.Problem{
				Reason: v1alpha1.ReasonProgressing, Message: "It waits for the namespace.",
			}
		}
	}
}

// blocked says that there is no use in going on.
func (run *reconciliation) blocked() bool {
	_, noNamespace := run.problems[string(desired.Namespace)]
	return noNamespace || run.outdated
}

// load reads all that the tenant's objects depend on, and makes up a password where there is none.
func (r *TenantReconciler) load(ctx context.Context, tenant *v1alpha1.Tenant) (*reconciliation, error) {
	run := &reconciliation{
		inputs:   desired.Inputs{Tenant: tenant},
		problems: map[string]status.Problem{},
		database: r.placements.of(tenant),
		now:      time.Now().Truncate(time.Second),
	}
	spec := tenant.Spec.Database
	if spec == nil {
		return run, nil
	}
	server, err := r.findServer(ctx, run)
	switch {
	case server == nil || err != nil:
		return run, err
	case server.Status.ObservedGeneration < 0:
		// Addresses and authorities are missing, and a tenant that had them must not lose them.
		run.unusable = errNotConnected
		return run, nil
	}
	if run.database == nil {
		r.Occupancy.expect(server.Name, tenant.UID)
	}
	run.inputs.Server = server
	run.connection, run.unusable = r.usable(run, server)
	return run, r.loadCredentials(ctx, run)
}

// databaseName is the name that the database has, or will have.
func databaseName(tenant *v1alpha1.Tenant, recorded *v1alpha1.TenantDatabaseStatus) string {
	if recorded != nil {
		return recorded.Name
	}
	return database.Desired{UID: string(tenant.UID), Adopt: tenant.Spec.Database.Adopt}.Name()
}
