package tenant

import (
	"cmp"
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/internal/status"
)

// databasePhase provisions a tenant's database. It loads the server and the login before the first phase, since
// objects of other parts depend on them.
type databasePhase struct {
	servers
	// in are the inputs of the pass. The phase sets the server and the login in them once they are known.
	in *parts.Inputs
	// now is when the pass began, in whole seconds as in objects.
	now time.Time

	// recorded is the tenant's database as the status records it; nil while it has none.
	recorded *v1alpha1.TenantDatabaseStatus
	// connection is how to connect to the server; unusable is why it can't be used now.
	connection database.Server
	unusable   error
	// left are the servers for which the tenant no longer needs a finalizer.
	left []string

	// account is the tenant's login, and when it changes.
	account service.Account
	// secretVersion is the resourceVersion of the Secret that the account was read from; empty if there was none.
	secretVersion string

	// memberships are the role memberships on the server that the operator didn't grant; nil if the server wasn't
	// asked.
	memberships *[]database.Membership
	// asleep says that the tenant is to sleep, and appEnded that nothing of its app runs.
	asleep, appEnded bool
	// acted says that the server was changed, and provisioned that it has what the tenant wants.
	acted       bool
	provisioned bool
}

func (d *databasePhase) tenant() *effective.Tenant { return d.in.Tenant }

// load reads what the tenant's objects and finalizers depend on.
func (d *databasePhase) load(ctx context.Context) error {
	d.in.Unplaced = d.tenant().Spec.Database != nil && d.recorded == nil
	if err := d.adoptRestored(ctx); err != nil {
		return err
	}
	found := prospect{tenant: d.tenant(), recorded: d.recorded}
	if d.tenant().Spec.Database != nil && d.tenant().Spec.MissingForDatabase() == nil {
		var err error
		if found, err = d.find(ctx, d.tenant(), d.recorded); err != nil {
			return err
		}
	}
	used := ""
	if found.isKnown() {
		if err := d.loadServer(ctx, &found); err != nil {
			return err
		}
		used = found.server.Name
	}
	if found.unusable() == nil {
		found.others = d.others(ctx, d.tenant(), used)
	}
	d.unusable = found.unusable()
	d.left, _ = leave(d.tenant().Name, found.others)
	return nil
}

// loadServer sets the server and the connection, and reads the credentials.
func (d *databasePhase) loadServer(ctx context.Context, found *prospect) error {
	if d.recorded == nil {
		d.fleet.Occupancy.Expect(found.server.Name, d.tenant().UID)
	}
	d.in.Server = found.server
	d.connection, found.connected = d.fleet.Connections.To(found.server)
	return d.loadCredentials(ctx)
}

// finalizers returns the finalizers that the tenant must have before anything is created for it on a server, and
// those that it no longer needs.
func (d *databasePhase) finalizers() (needed, left []string) {
	if d.in.Server != nil && d.unusable == nil {
		needed = append(needed, naming.DatabaseFinalizer(d.in.Server.Name))
	}
	for _, server := range d.left {
		left = append(left, naming.DatabaseFinalizer(server))
	}
	return needed, left
}

// run creates the tenant's own server, if it is to have one, and then provisions the database.
func (d *databasePhase) run(ctx context.Context) error {
	if d.tenant().Spec.Database == nil {
		return cmp.Or(d.unusable, d.leaveServer(ctx, d.tenant()))
	}
	if err := parts.Database.Missing(&d.tenant().Spec); err != nil {
		return err
	}
	if err := d.applyServer(ctx, d.tenant(), d.recorded, d.rests()); err != nil {
		return err
	}
	if d.in.Server == nil {
		return d.unusable
	}
	if d.rests() {
		return d.rest(ctx)
	}
	behind := d.ownServerProblem(ctx, d.tenant())
	if behind != nil && d.recorded == nil {
		return behind // Without a database, what is wrong with the server can still be corrected.
	}
	if err := cmp.Or(d.provision(ctx), behind); err != nil || !d.rests() {
		return err
	}
	if err := d.applyServer(ctx, d.tenant(), d.recorded, true); err != nil {
		return err
	}
	return d.ownServerStops(ctx, d.tenant())
}

// suspends reports whether the logins are to be disabled now. A database is made first, and the app ends first.
// Nothing that begins later enables them again.
func (d *databasePhase) suspends() bool {
	return d.asleep && d.recorded != nil && (d.appEnded || d.recorded.Suspended)
}

// rests reports whether the logins are disabled, and are to stay so.
func (d *databasePhase) rests() bool { return d.suspends() && d.recorded.Suspended }

// rest leaves the database of a tenant that sleeps as it is: its server may be stopped. What others have changed there
// is put right on servers that run.
func (d *databasePhase) rest(ctx context.Context) error {
	if _, drifted := d.fleet.Inspections.Wanted(d.tenant().UID); drifted && d.unusable == nil && !isDedicated(d.tenant()) {
		return d.provision(ctx)
	}
	if d.account.Unverified == nil {
		if err := d.applyLogin(ctx); err != nil {
			return err
		}
	}
	return d.ownServerStops(ctx, d.tenant())
}

// provision writes the Secret, then sets the password on the server. In this order, a crash in between leaves a
// password that is still to be set, and never one that nobody knows. A rotation does both again: the next password
// is in the Secret before the server gets it, and the app gets it once the server accepts it.
func (d *databasePhase) provision(ctx context.Context) error {
	if d.account.Unverified == nil {
		if err := d.applyLogin(ctx); err != nil {
			return err
		}
	}
	report, drifted := d.fleet.Inspections.Wanted(d.tenant().UID)
	if d.settled() && !drifted {
		d.place()
		return ignoreMissingConnection(d.unusable)
	}
	if d.unusable != nil {
		return d.unusable
	}
	if err := d.converge(ctx); err != nil {
		if d.account.Credentials.Password == "" {
			d.in.Login = nil
		}
		return d.placeElsewhere(err)
	}
	d.fleet.Occupancy.Registered(d.in.Server.Name, d.tenant().UID, time.Now())
	if d.account.FormerIsDue(d.now) {
		d.account.Credentials.FormerUntil = time.Time{}
	}
	if err := d.completeRotation(ctx); err != nil {
		return err
	}
	d.place()
	d.fleet.Inspections.Inspected(d.tenant().UID, report, !d.acted)
	return nil
}

// place records where the database is, now that the server has what the tenant wants.
func (d *databasePhase) place() {
	d.recorded, d.provisioned, d.in.Unplaced = d.placement(), true, false
	d.fleet.Placements.Put(d.tenant().UID, d.recorded)
}

// settled reports whether the server is known to have what the tenant wants.
func (d *databasePhase) settled() bool {
	if d.recorded == nil || !d.account.AtRest(d.now) {
		return false
	}
	recorded, want := *d.recorded, *d.placement()
	for _, times := range []*v1alpha1.TenantDatabaseStatus{&recorded, &want} {
		times.RotatedAt, times.NextRotation, times.FormerLoginUntil = nil, nil, nil
	}
	return equality.Semantic.DeepEqual(recorded, want)
}

// placement returns the status of the database once it is provisioned.
func (d *databasePhase) placement() *v1alpha1.TenantDatabaseStatus {
	spec, server, credentials := d.tenant().Spec.Database, d.in.Server, d.account.Credentials
	placed := &v1alpha1.TenantDatabaseStatus{
		Server:                  server.Name,
		Isolation:               spec.Isolation,
		Name:                    databaseName(d.tenant(), d.recorded),
		Host:                    server.Spec.Host,
		ConnectionLimit:         spec.ConnectionLimit,
		SecretName:              spec.Credentials.SecretName,
		Extensions:              spec.Extensions,
		TempFileLimit:           spec.TempFileLimit,
		StatementTimeoutSeconds: spec.StatementTimeoutSeconds,
		CredentialsRevision:     service.Revision(credentials.Password),
		Login:                   d.in.Login.Username,
		RotatedAt:               status.TimeOrNil(credentials.RotatedAt),
		NextRotation:            status.TimeOrNil(d.account.Rotation.DueAt(credentials)),
		FormerLoginUntil:        status.TimeOrNil(credentials.FormerUntil),
		RotationRequest:         credentials.Request,
		Suspended:               d.suspends(),
	}
	if isDedicated(d.tenant()) {
		placed.Version, placed.Storage = server.Status.Version, server.Status.Storage
	}
	if spec.SharedTables == v1alpha1.SharedTablesManage {
		placed.SharedTables = spec.SharedTables
	}
	return placed
}

// converge observes the server, decides, writes the login and acts, until the server has what the tenant wants.
func (d *databasePhase) converge(ctx context.Context) error {
	uid, name := string(d.tenant().UID), databaseName(d.tenant(), d.recorded)
	return d.change(d.connection, func() (changed bool, err error) {
		observed, err := d.databases.Observe(ctx, d.connection, uid, name)
		if err != nil {
			return false, err
		}
		if d.recorded != nil && observed.Registration == nil {
			return false, problem.DatabaseLost(d.recorded.Server, d.recorded.Name)
		}
		if observed.Registration == nil {
			if err := d.checkExists(ctx); err != nil {
				return false, err
			}
		}
		d.memberships = &observed.Memberships
		d.account.Verify(observed.Logins, d.recorded != nil)
		d.setLogin()
		if err := d.applyLogin(ctx); err != nil {
			return false, err
		}
		actions, err := database.Plan(d.wanted(d.account.Credentials), observed)
		if err != nil {
			return false, err
		}
		d.acted = d.acted || len(actions) > 0
		return d.execute(ctx, d.connection, actions)
	})
}

// checkExists returns an error if the tenant was removed after the pass began. That can happen in spite of its
// finalizers, if the API server is deleting the object in the moment in which it gets them. Nobody would ever
// remove what is created for such a tenant on a server.
func (d *databasePhase) checkExists(ctx context.Context) error {
	found := &v1alpha1.Tenant{}
	err := client.IgnoreNotFound(d.Get(ctx, client.ObjectKey{Name: d.tenant().Name}, found))
	if err == nil && found.UID != d.tenant().UID {
		err = apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("tenants").GroupResource(), d.tenant().Name, errors.New("it has been deleted"))
	}
	return err
}

// wanted returns what the tenant wants on the server, with these credentials.
func (d *databasePhase) wanted(credentials service.Credentials) database.Desired {
	spec := d.tenant().Spec.Database
	want := database.Desired{
		UID:              string(d.tenant().UID),
		Tenant:           d.tenant().Name,
		Isolation:        database.Isolation(spec.Isolation),
		ManagesTables:    spec.SharedTables == v1alpha1.SharedTablesManage,
		ConnectionLimit:  spec.ConnectionLimit,
		Extensions:       spec.Extensions,
		StatementTimeout: time.Duration(spec.StatementTimeoutSeconds) * time.Second,
		Suspended:        d.suspends(),
		Active:           credentials.Active,
		Password:         credentials.Password,
		NextPassword:     credentials.Next,
		FormerUntil:      credentials.FormerUntil,
		Now:              d.now,
		Restored:         d.tenant().Spec.AdoptObjects,
		Adopt:            adopted(d.tenant()),
		Anew:             spec.Adopt == v1alpha1.AdoptNew,
	}
	if limit := spec.TempFileLimit; limit != nil {
		want.TempFileLimit = new(limit.Value())
	}
	if capacity := d.in.Server.Spec.Capacity; capacity != nil {
		want.Capacity = capacity.Tenants
	}
	return want
}

// ignoreMissingConnection drops problem.NotConnected, for callers that need no connection.
func ignoreMissingConnection(err error) error {
	if errors.Is(err, problem.NotConnected()) {
		return nil
	}
	return err
}

// databaseName returns the name that the database has, or will have.
func databaseName(tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus) string {
	if recorded != nil {
		return recorded.Name
	}
	return database.Desired{UID: string(tenant.UID), Adopt: adopted(tenant)}.Name()
}

// adopted returns the database that the tenant takes over; empty if it gets a new one.
func adopted(tenant *effective.Tenant) string {
	if name := tenant.Spec.Database.Adopt; name != v1alpha1.AdoptNew {
		return name
	}
	return ""
}

// isolationOf returns the isolation that the tenant has, or else the one in its spec. So its Secret stays correct
// if the spec asks for an isolation that it can't have.
func isolationOf(tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus) database.Isolation {
	isolation := tenant.Spec.Database.Isolation
	if recorded != nil {
		isolation = recorded.Isolation
	}
	return database.Isolation(isolation)
}
