package controller

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
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
	}
	spec := tenant.Spec.Database
	if spec == nil {
		return run, nil
	}
	server := &v1alpha1.DatabaseServer{}
	err := r.Get(ctx, types.NamespacedName{Name: spec.ServerRef.Name}, server)
	switch {
	case apierrors.IsNotFound(err):
		run.unusable = serverNotFound(spec.ServerRef.Name)
		return run, nil
	case err != nil:
		return nil, err
	case server.Status.ObservedGeneration < 0:
		// Addresses and authorities are missing, and a tenant that had them must not lose them.
		run.unusable = errNotConnected
		return run, nil
	}
	password, err := r.password(ctx, tenant)
	if err != nil {
		return nil, err
	}
	name := databaseName(tenant, run.database)
	run.inputs.Server = server
	run.connection, run.unusable = r.usable(server, spec, run.database)
	run.inputs.Login = &desired.Login{Database: connectTo(tenant, run.database, name), Username: database.Logins(name)[0], Password: password}
	return run, nil
}

// password is the one in the tenant's Secret. Where there is none yet it is a new one, which counts
// from the moment the Secret is written.
func (r *TenantReconciler) password(ctx context.Context, tenant *v1alpha1.Tenant) (string, error) {
	names := []string{tenant.Spec.Database.Credentials.SecretName}
	if recorded := r.placements.of(tenant); recorded != nil && recorded.SecretName != names[0] {
		names = append(names, recorded.SecretName)
	}
	for _, name := range names {
		key := types.NamespacedName{Namespace: tenant.Name, Name: name}
		secret := &corev1.Secret{}
		err := r.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) && len(naming.DatabaseServers(tenant.Finalizers)) > 0 {
			// The cache sees managed objects only, and somebody may have taken the label off.
			err = r.Live.Get(ctx, key, secret)
		}
		if client.IgnoreNotFound(err) != nil {
			return "", err
		}
		password := string(secret.Data[desired.SecretKeyPassword])
		if metav1.IsControlledBy(secret, tenant) && database.IsGenerated(password) {
			return password, nil
		}
	}
	return database.GeneratePassword(), nil
}

// databaseName is the name that the database has, or will have.
func databaseName(tenant *v1alpha1.Tenant, recorded *v1alpha1.TenantDatabaseStatus) string {
	if recorded != nil {
		return recorded.Name
	}
	return database.Desired{UID: string(tenant.UID), Adopt: tenant.Spec.Database.Adopt}.Name()
}

// connectTo is the database that the tenant connects to. It goes by what the tenant has, so that its
// Secret stays right when its spec asks for what can't be had.
func connectTo(tenant *v1alpha1.Tenant, recorded *v1alpha1.TenantDatabaseStatus, name string) string {
	isolation := tenant.Spec.Database.Isolation
	if recorded != nil {
		isolation = recorded.Isolation
	}
	return database.ConnectTo(database.Isolation(isolation), name)
}
