package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/problem"
)

// maxAttempts is how often a plan is made anew when the server changed between looking and acting.
const maxAttempts = 3

// placeDatabase sees to it that there is a server, and then to what the tenant has on it.
func (r *TenantReconciler) placeDatabase(ctx context.Context, run *reconciliation) error {
	if run.tenant().Spec.Database == nil {
		return cmp.Or(run.unusable, r.leaveServer(ctx, run.tenant()))
	}
	if err := run.tenant().Spec.MissingForDatabase(); err != nil {
		return err
	}
	if err := r.applyServer(ctx, run.tenant(), run.database); err != nil {
		return err
	}
	if run.inputs.Server == nil {
		return run.unusable
	}
	behind := r.ownServerProblem(ctx, run.tenant())
	if behind != nil && run.database == nil {
		return behind // What is wrong with the server can be corrected as long as there is no database.
	}
	return cmp.Or(r.provisionDatabase(ctx, run), behind)
}

// provisionDatabase writes the Secret, then brings the server in line with it. The Secret comes
// first, so that a crash in between leaves a password that is still to be set, never one that
// nobody knows. A rotation takes both once more: the next password stands in the Secret before the
// server hears of it, and the app hears of it when the server takes it.
func (r *TenantReconciler) provisionDatabase(ctx context.Context, run *reconciliation) error {
	if run.unverified == nil {
		if err := r.applyLogin(ctx, run); err != nil {
			return err
		}
	}
	report, drifted := r.Fleet.Inspections.Wanted(run.tenant().UID)
	if run.settled() && !drifted {
		run.database, run.provisioned = placement(run), true
		r.Fleet.Placements.Put(run.tenant().UID, run.database)
		return ignoreMissingConnection(run.unusable)
	}
	if run.unusable != nil {
		return run.unusable
	}
	if err := r.converge(ctx, run); err != nil {
		if run.credentials.Password == "" {
			run.inputs.Login = nil
		}
		return r.placeElsewhere(run, err)
	}
	r.Fleet.Occupancy.Registered(run.inputs.Server.Name, run.tenant().UID, time.Now())
	if run.formerIsDue() {
		run.credentials.FormerUntil = time.Time{}
	}
	if err := r.completeRotation(ctx, run); err != nil {
		return err
	}
	run.database, run.provisioned = placement(run), true
	r.Fleet.Placements.Put(run.tenant().UID, run.database)
	r.Fleet.Inspections.Inspected(run.tenant().UID, report, !run.acted)
	return nil
}

// settled says whether the server is known to have what the tenant wants.
func (run *reconciliation) settled() bool {
	if run.database == nil || run.unverified != nil || run.credentials.Next != "" || run.formerIsDue() {
		return false
	}
	recorded, want := *run.database, *placement(run)
	for _, times := range []*v1alpha1.TenantDatabaseStatus{&recorded, &want} {
		times.RotatedAt, times.NextRotation, times.FormerLoginUntil = nil, nil, nil
	}
	return equality.Semantic.DeepEqual(recorded, want)
}

// placement is where the database is, once it is provisioned.
func placement(run *reconciliation) *v1alpha1.TenantDatabaseStatus {
	spec, server, credentials := run.tenant().Spec.Database, run.inputs.Server, run.credentials
	placed := &v1alpha1.TenantDatabaseStatus{
		Server:                  server.Name,
		Isolation:               spec.Isolation,
		Name:                    databaseName(run.tenant(), run.database),
		Host:                    server.Spec.Host,
		ConnectionLimit:         spec.ConnectionLimit,
		SecretName:              spec.Credentials.SecretName,
		Extensions:              spec.Extensions,
		TempFileLimit:           spec.TempFileLimit,
		StatementTimeoutSeconds: spec.StatementTimeoutSeconds,
		CredentialsRevision:     revision(credentials.Password),
		Login:                   run.inputs.Login.Username,
		RotatedAt:               timeOrNil(credentials.RotatedAt),
		NextRotation:            timeOrNil(run.rotation.DueAt(credentials)),
		FormerLoginUntil:        timeOrNil(credentials.FormerUntil),
		RotationRequest:         credentials.Request,
	}
	if isDedicated(run.tenant()) {
		placed.Version, placed.Storage = server.Status.Version, server.Status.Storage
	}
	if spec.SharedTables == v1alpha1.SharedTablesManage {
		placed.SharedTables = spec.SharedTables
	}
	return placed
}

// converge observes, plans and acts until the server has what the tenant wants.
func (r *TenantReconciler) converge(ctx context.Context, run *reconciliation) error {
	uid := string(run.tenant().UID)
	name := databaseName(run.tenant(), run.database)
	return r.execute(ctx, run.connection, uid, name, func(observed database.Observed) ([]database.Action, error) {
		if run.database != nil && observed.Registration == nil {
			return nil, problem.DatabaseLost(run.database.Server, run.database.Name)
		}
		run.memberships = &observed.Memberships
		if err := r.checkLogin(ctx, run, observed); err != nil {
			return nil, err
		}
		actions, err := database.Plan(run.wanted(), observed)
		run.acted = run.acted || len(actions) > 0
		return actions, err
	})
}

// wanted is what the tenant wants on the server.
func (run *reconciliation) wanted() database.Desired {
	spec, credentials := run.tenant().Spec.Database, run.credentials
	want := database.Desired{
		UID:              string(run.tenant().UID),
		Tenant:           run.tenant().Name,
		Isolation:        database.Isolation(spec.Isolation),
		ManagesTables:    spec.SharedTables == v1alpha1.SharedTablesManage,
		ConnectionLimit:  spec.ConnectionLimit,
		Extensions:       spec.Extensions,
		StatementTimeout: time.Duration(spec.StatementTimeoutSeconds) * time.Second,
		Active:           credentials.Active,
		Password:         credentials.Password,
		NextPassword:     credentials.Next,
		FormerUntil:      credentials.FormerUntil,
		Now:              run.now,
		Adopt:            spec.Adopt,
	}
	if limit := spec.TempFileLimit; limit != nil {
		want.TempFileLimit = new(limit.Value())
	}
	if capacity := run.inputs.Server.Spec.Capacity; capacity != nil {
		want.Capacity = capacity.Tenants
	}
	return want
}

// execute observes, plans and acts. A server that broke off is one to connect to anew: when that
// has succeeded, the tenants that wait for it are told.
func (r *TenantReconciler) execute(ctx context.Context, server database.Server, uid, name string, plan func(database.Observed) ([]database.Action, error)) error {
	err := r.attempt(ctx, server, uid, name, plan)
	if _, unreachable := errors.AsType[*database.UnreachableError](err); unreachable {
		r.Fleet.Connections.Drop(server.Name)
	}
	return err
}

func (r *TenantReconciler) attempt(ctx context.Context, server database.Server, uid, name string, plan func(database.Observed) ([]database.Action, error)) error {
	var changed *database.ChangedError
	var err error
	for range maxAttempts {
		var observed database.Observed
		if observed, err = r.Databases.Observe(ctx, server, uid, name); err != nil {
			return err
		}
		actions, planErr := plan(observed)
		if planErr != nil || len(actions) == 0 {
			return planErr
		}
		ctrl.LoggerFrom(ctx).V(1).Info("Changing the database", "server", server.Name, "actions", actions)
		if err = r.Databases.Execute(ctx, server, actions); !errors.As(err, &changed) {
			metrics.DatabaseChanges.WithLabelValues(server.Name, metrics.Result(err)).Inc()
			return err
		}
	}
	return err
}

// ignoreMissingConnection drops problem.NotConnected, which is nothing to one who needs no connection.
func ignoreMissingConnection(err error) error {
	if errors.Is(err, problem.NotConnected()) {
		return nil
	}
	return err
}

// usable is how to reach a server, or why it can't be used now. Extensions that the tenant has already
// are no longer asked about.
func (r *TenantReconciler) usable(run *reconciliation, server *v1alpha1.DatabaseServer) (database.Server, error) {
	wanted, recorded := run.tenant().Spec.Database, run.database
	if !slices.Contains(server.Spec.Isolations, wanted.Isolation) {
		return database.Server{}, problem.IsolationNotOffered(server.Name, server.Spec.Isolations, wanted.Isolation)
	}
	for _, extension := range wanted.Extensions {
		if wanted.Isolation != v1alpha1.DatabaseIsolationDedicated && !slices.Contains(server.Spec.Extensions, extension) && (recorded == nil || !slices.Contains(recorded.Extensions, extension)) {
			return database.Server{}, problem.ExtensionNotOffered(server.Name, server.Spec.Extensions, extension)
		}
	}
	if err := closed(run, server); err != nil {
		return database.Server{}, err
	}
	return r.reachable(server)
}

// reachable is how to reach a server, or why it can't be reached now.
func (r *TenantReconciler) reachable(server *v1alpha1.DatabaseServer) (database.Server, error) {
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == "Unknown" {
		return database.Server{}, problem.NotConnected()
	}
	if ready.Reason == v1alpha1.ReasonProgressing {
		return database.Server{}, problem.ServerProgressing(ready.Message)
	}
	if ready.Status != "True" {
		return database.Server{}, problem.ServerNotReady(server.Name, ready.Message)
	}
	access, found := r.Fleet.Connections.To(server)
	if !found {
		return database.Server{}, problem.NotConnected()
	}
	return access, nil
}
