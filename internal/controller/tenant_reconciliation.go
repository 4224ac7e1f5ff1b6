package controller

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// reconciliation is one pass over one tenant: what it starts from, and what came of it so far.
type reconciliation struct {
	inputs   parts.Inputs
	members  membership.Members
	quotas   map[string]*corev1.ResourceQuota
	problems map[string]problem.Problem
	// connection is how to reach the database server; unusable is why that is not possible now.
	connection database.Server
	unusable   error
	// database is where the tenant's database is known to be.
	database *v1alpha1.TenantDatabaseStatus
	// foreignHostnames say which of the tenant's hostnames another tenant has, and who.
	foreignHostnames []string
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
	// acted says that the server was changed, and provisioned that it has what the tenant wants.
	acted       bool
	provisioned bool
	// failure is what kept the pass itself from its end, whatever part that is about.
	failure *problem.Problem
	// retry is the most eager of what the problems ask for; err explains problem.WithBackoff.
	retry problem.Retry
	err   error
	// withheld are the namespaces that stay closed, since they have no walls yet.
	withheld sets.Set[string]
	// noNamespace says that the primary namespace isn't there to put anything into.
	noNamespace bool
	// quotaBusy says that a quota could not be changed now, because it had just admitted something.
	quotaBusy bool
	// outdated says that something was decided on old data, so that the pass proves nothing. rounds is how
	// often in a row that was so before; too often, and it is a problem like any other.
	outdated bool
	rounds   int
}

func (run *reconciliation) tenant() *effective.Tenant { return run.inputs.Tenant }

// record notes how the phase of a part ended.
func (run *reconciliation) record(part *parts.Part, err error) {
	if err == nil {
		return
	}
	if run.isOutdated(err) {
		return
	}
	run.note(part, err)
	if part == parts.Namespace {
		run.noNamespace = true
		for _, other := range parts.All {
			if other != parts.Namespace {
				run.problems[other.Condition] = problem.WaitsForNamespace()
			}
		}
	}
}

// isOutdated notes that something was decided on old data, if an error says no more than that.
func (run *reconciliation) isOutdated(err error) bool {
	if !problem.Outdated(err) || run.rounds >= tooOften {
		return false
	}
	run.outdated = true
	run.retry = max(run.retry, problem.Again)
	return true
}

// note notes what keeps a part from being in place, beside what has been noted already.
func (run *reconciliation) note(part *parts.Part, err error) {
	found := run.weigh(err)
	if other, noted := run.problems[part.Condition]; noted {
		found = problem.Together(other, found)
	}
	run.problems[part.Condition] = found
}

// fail notes what keeps the pass from its end.
func (run *reconciliation) fail(err error) {
	if err != nil && !run.isOutdated(err) {
		run.failure = new(run.weigh(err))
	}
}

// weigh is what an error means, with its consequences for when the tenant is looked at again.
func (run *reconciliation) weigh(err error) problem.Problem {
	found := problem.Of(err)
	run.retry = max(run.retry, found.Retry)
	if found.Retry == problem.WithBackoff {
		run.err = errors.Join(run.err, err)
	}
	return found
}

// withhold notes that a namespace other than the primary one must stay closed, and why.
func (run *reconciliation) withhold(part *parts.Part, namespace string, err error) {
	run.withheld.Insert(namespace)
	if !run.isOutdated(err) {
		run.note(part, err)
	}
}

// strays are the namespaces in which the tenant has objects, and no longer should.
func (run *reconciliation) strays() []string {
	strays := sets.New[string]()
	for namespace := range run.quotas {
		strays.Insert(namespace)
	}
	for _, member := range run.members.All {
		strays.Delete(member.Name)
	}
	for _, namespace := range run.members.Leaving {
		strays.Insert(namespace.Name)
	}
	return sets.List(strays)
}

// blocked says that there is no use in going on.
func (run *reconciliation) blocked() bool {
	return run.noNamespace || run.outdated
}

// load reads all that the tenant's objects depend on, and makes up a password where there is none.
func (r *TenantReconciler) load(ctx context.Context, tenant *effective.Tenant) (*reconciliation, error) {
	run := &reconciliation{
		inputs:   parts.Inputs{Tenant: tenant, Audit: r.Audit},
		problems: map[string]problem.Problem{},
		rounds:   r.retries.rounds(tenant.Name),
		database: r.databaseOf(tenant),
		withheld: sets.New[string](),
		now:      time.Now().Truncate(time.Second),
	}
	var err error
	if run.members, err = r.members(ctx, tenant); err != nil {
		return nil, err
	}
	run.inputs.Places = placesOf(run.members)
	if tenant.Spec.Namespaces.Limit > 1 || len(run.members.All) > 1 {
		run.inputs.Listing = run.members.List()
	}
	if err := errors.Join(r.loadHostnames(ctx, run), r.divide(ctx, run), r.loadApp(ctx, run)); err != nil {
		return nil, err
	}
	return run, r.loadDatabase(ctx, run)
}

// loadDatabase reads what the tenant's objects need to know of its database.
func (r *TenantReconciler) loadDatabase(ctx context.Context, run *reconciliation) error {
	tenant := run.tenant()
	spec := tenant.Spec.Database
	if spec == nil {
		return nil
	}
	if missing := tenant.Spec.MissingForDatabase(); missing != nil {
		run.unusable = missing
		return nil //nolint:nilerr // What is missing keeps the database from being made, and nothing else.
	}
	server, err := r.findServer(ctx, run)
	switch {
	case server == nil || err != nil:
		return err
	case server.Status.ObservedGeneration < 0:
		// Addresses and authorities are missing, and a tenant that had them must not lose them.
		run.unusable = problem.NotConnected()
		return nil
	}
	if run.database == nil {
		r.Fleet.Occupancy.Expect(server.Name, tenant.UID)
	}
	run.inputs.Server = server
	run.connection, run.unusable = r.usable(run, server)
	return r.loadCredentials(ctx, run)
}

// databaseName is the name that the database has, or will have.
func databaseName(tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus) string {
	if recorded != nil {
		return recorded.Name
	}
	return database.Desired{UID: string(tenant.UID), Adopt: tenant.Spec.Database.Adopt}.Name()
}

// connectTo is the database that the tenant connects to. It goes by what the tenant has, so that its
// Secret stays right when its spec asks for what can't be had.
func connectTo(tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus, name string) string {
	isolation := tenant.Spec.Database.Isolation
	if recorded != nil {
		isolation = recorded.Isolation
	}
	return database.ConnectTo(database.Isolation(isolation), name)
}
