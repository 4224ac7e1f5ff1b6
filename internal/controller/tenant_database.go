package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/status"
)

// maxAttempts is how often a plan is made anew when the server changed between looking and acting.
const maxAttempts = 3

// provisionDatabase writes the Secret, then brings the server in line with it. The Secret comes
// first, so that a crash in between leaves a password that is still to be set, never one that
// nobody knows.
func (r *TenantReconciler) provisionDatabase(ctx context.Context, run *reconciliation) error {
	tenant, server := run.tenant(), run.inputs.Server
	if tenant.Spec.Database == nil {
		return nil
	}
	if server == nil {
		return run.unusable
	}
	if err := r.apply(ctx, run, desired.Database); err != nil {
		// A password that stands nowhere must not restart the app.
		run.inputs.Login = nil
		return err
	}
	want := placement(run.inputs, databaseName(run.tenant(), run.database))
	if equality.Semantic.DeepEqual(run.database, want) {
		return ignoreMissingConnection(run.unusable)
	}
	if run.unusable != nil {
		return run.unusable
	}
	if err := r.converge(ctx, run); err != nil {
		return err
	}
	run.database = want
	r.placements.put(tenant, want)
	return nil
}

// placement is where the database is, once it is provisioned from the inputs.
func placement(in desired.Inputs, name string) *v1alpha1.TenantDatabaseStatus {
	spec := in.Tenant.Spec.Database
	// The password has 190 random bits, so its hash tells nothing.
	revision := sha256.Sum256([]byte(in.Login.Password))
	placed := &v1alpha1.TenantDatabaseStatus{
		Server:                  in.Server.Name,
		Isolation:               spec.Isolation,
		Name:                    name,
		Host:                    in.Server.Spec.Host,
		ConnectionLimit:         spec.ConnectionLimit,
		SecretName:              spec.Credentials.SecretName,
		Extensions:              spec.Extensions,
		TempFileLimit:           spec.TempFileLimit,
		StatementTimeoutSeconds: spec.StatementTimeoutSeconds,
		CredentialsRevision:     hex.EncodeToString(revision[:8]),
	}
	if spec.SharedTables == v1alpha1.SharedTablesManage {
		placed.SharedTables = spec.SharedTables
	}
	return placed
}

// converge observes, plans and acts until the server has what the tenant wants.
func (r *TenantReconciler) converge(ctx context.Context, run *reconciliation) error {
	want := desiredDatabase(run.inputs)
	return r.execute(ctx, run.connection, want.UID, want.Name(), func(observed database.Observed) ([]database.Action, error) {
		if run.database != nil && observed.Registration == nil {
			return nil, databaseLost(run.database)
		}
		return database.Plan(want, observed)
	})
}

func desiredDatabase(in desired.Inputs) database.Desired {
	spec := in.Tenant.Spec.Database
	want := database.Desired{
		UID:              string(in.Tenant.UID),
		Tenant:           in.Tenant.Name,
		Isolation:        database.Isolation(spec.Isolation),
		ManagesTables:    spec.SharedTables == v1alpha1.SharedTablesManage,
		ConnectionLimit:  spec.ConnectionLimit,
		Password:         database.Sensitive(in.Login.Password),
		Adopt:            spec.Adopt,
		Extensions:       spec.Extensions,
		StatementTimeout: time.Duration(spec.StatementTimeoutSeconds) * time.Second,
	}
	if limit := spec.TempFileLimit; limit != nil {
		want.TempFileLimit = new(limit.Value())
	}
	if capacity := in.Server.Spec.Capacity; capacity != nil {
		want.Capacity = capacity.Tenants
	}
	return want
}

// execute observes, plans and acts. A server that broke off is one to connect to anew: when that
// has succeeded, the tenants that wait for it are told.
func (r *TenantReconciler) execute(ctx context.Context, server database.Server, uid, name string, plan func(database.Observed) ([]database.Action, error)) error {
	err := r.attempt(ctx, server, uid, name, plan)
	if _, unreachable := errors.AsType[*database.UnreachableError](err); unreachable {
		r.Connections.drop(server.Name)
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

func serverNotFound(name string) error {
	return &problemError{Problem: status.Problem{
		Reason:  v1alpha1.ReasonServerNotFound,
		Message: fmt.Sprintf("There is no DatabaseServer %q; create it, or name another one in spec.database.serverRef.", name),
	}}
}

// databaseLost is a problem where a new, empty database would hide that the data is elsewhere.
func databaseLost(recorded *v1alpha1.TenantDatabaseStatus) error {
	return &problemError{Problem: status.Problem{
		Reason:  v1alpha1.ReasonConflict,
		Message: fmt.Sprintf("The server %s no longer knows the tenant's database %s; point the DatabaseServer back at the server that has it, or restore it there together with the schema tenantry of the database postgres. To start with an empty one, delete the Tenant and create it again.", recorded.Server, recorded.Name),
		Stalled: true,
	}, retry: later}
}

// errNotConnected says that the operator has not logged in to the server since it was started, or
// since the server broke off. When it has, the tenants that wait are told.
var errNotConnected = &problemError{Problem: status.Problem{
	Reason: v1alpha1.ReasonProgressing, Message: "The operator is connecting to the database server.",
}}

// ignoreMissingConnection drops errNotConnected, which is nothing to one who needs no connection.
func ignoreMissingConnection(err error) error {
	if errors.Is(err, errNotConnected) {
		return nil
	}
	return err
}

// usable is how to reach a server, or why it can't be used now. Extensions that the tenant has already
// are no longer asked about.
func (r *TenantReconciler) usable(server *v1alpha1.DatabaseServer, wanted *v1alpha1.TenantDatabase, recorded *v1alpha1.TenantDatabaseStatus) (database.Server, error) {
	if !slices.Contains(server.Spec.Isolations, wanted.Isolation) {
		return database.Server{}, &problemError{Problem: status.Problem{
			Reason:  v1alpha1.ReasonIsolationNotOffered,
			Message: fmt.Sprintf("DatabaseServer %q offers the isolations %v and not %s; write one of them, or name another server.", server.Name, server.Spec.Isolations, wanted.Isolation),
			Stalled: true,
		}}
	}
	for _, extension := range wanted.Extensions {
		if !slices.Contains(server.Spec.Extensions, extension) && (recorded == nil || !slices.Contains(recorded.Extensions, extension)) {
			return database.Server{}, &problemError{Problem: status.Problem{
				Reason:  v1alpha1.ReasonExtensionNotOffered,
				Message: fmt.Sprintf("DatabaseServer %q has the extensions %v and not %s; write some of them in spec.database.extensions, or add it to the server's spec.extensions if it is safe there.", server.Name, server.Spec.Extensions, extension),
				Stalled: true,
			}}
		}
	}
	return r.reachable(server)
}

// reachable is how to reach a server, or why it can't be reached now.
func (r *TenantReconciler) reachable(server *v1alpha1.DatabaseServer) (database.Server, error) {
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == "Unknown" {
		return database.Server{}, errNotConnected
	}
	if ready.Status != "True" {
		return database.Server{}, &problemError{Problem: status.Problem{
			Reason:  v1alpha1.ReasonServerNotReady,
			Message: fmt.Sprintf("DatabaseServer %q is not ready: %s", server.Name, ready.Message),
		}}
	}
	access, found := r.Connections.to(server)
	if !found {
		return database.Server{}, errNotConnected
	}
	return access, nil
}
