package databaseserver

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// clusterUID returns an identifier of this cluster. Tenants of other clusters may be on the same servers.
func (r *Reconciler) clusterUID(ctx context.Context) (string, error) {
	namespace := &corev1.Namespace{}
	err := r.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, namespace)
	return string(namespace.UID), err
}

// retainAbandoned retains what is registered on a server for tenants that no longer exist, for example after
// somebody has removed the finalizers of a Tenant. Until then their logins keep working.
func (r *Reconciler) retainAbandoned(ctx context.Context, access database.Server) error {
	count, pending := r.Fleet.Departures.Pending(access.Name)
	if !pending {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	registrations, err := r.Databases.Registered(ctx, access)
	if err != nil {
		return err
	}
	var failures []error
	for _, registration := range registrations {
		there, err := r.exists(ctx, registration)
		if err == nil && !there {
			err = r.retain(ctx, access, registration)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("tenant %s with UID %s: %w", registration.Tenant, registration.UID, err))
		}
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	r.Fleet.Departures.Looked(access.Name, count)
	return nil
}

// exists reports whether the Tenant exists that something is registered for. It asks the API server if the cache
// doesn't have it.
func (r *Reconciler) exists(ctx context.Context, registration service.Registration) (bool, error) {
	for _, reader := range []client.Reader{r.Client, r.Live} {
		tenant := &v1alpha1.Tenant{}
		err := client.IgnoreNotFound(reader.Get(ctx, types.NamespacedName{Name: registration.Tenant}, tenant))
		if err != nil || string(tenant.UID) == registration.UID {
			return err == nil, err
		}
	}
	return false, nil
}

// retain locks a tenant out, and looks once more if the server has changed since it was observed: a Tenant that was
// restored may have adopted the database.
func (r *Reconciler) retain(ctx context.Context, access database.Server, registration service.Registration) error {
	err := r.lockOut(ctx, access, registration)
	if _, changed := errors.AsType[*service.ChangedError](err); changed {
		return r.lockOut(ctx, access, registration)
	}
	return err
}

func (r *Reconciler) lockOut(ctx context.Context, access database.Server, registration service.Registration) error {
	observed, err := r.Databases.Observe(ctx, access, registration.UID, registration.Name)
	if err != nil {
		return err
	}
	actions, err := database.PlanAbandoned(observed)
	if err != nil || len(actions) == 0 {
		return err
	}
	if err := r.Databases.Execute(ctx, access, actions); err != nil {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("Locked out a tenant that no longer exists", "server", access.Name, "tenant", registration.Tenant, "database", registration.Name)
	r.Fleet.DriftedTenants.Add(registration.Tenant)
	return nil
}
