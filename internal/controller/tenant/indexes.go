package tenant

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

const (
	// indexServer finds the tenants that use, or will use, a DatabaseServer.
	indexServer = "databaseServer"
	// indexWaiting finds those of them that wait for the server.
	indexWaiting = "waitingForDatabaseServer"

	// anyServer is the value in indexWaiting of tenants for which no server was chosen yet.
	anyServer = "*"
)

// indexFields adds the indexes by which the cache is read.
func indexFields(fields client.FieldIndexer) error {
	for name, values := range map[string]func(*effective.Tenant) []string{
		indexServer: serversOf, indexWaiting: serversWaitedFor, naming.IndexPlaced: serversPlacedOn,
		indexHostname: hostnamesOf, indexHostnameBelow: wildcardsOver, indexOwnersNamespace: parts.OwnersNamespaces,
		indexPinned: pinOf, indexExposing: exposing,
	} {
		extract := func(object client.Object) []string { return values(effective.Of(object.(*v1alpha1.Tenant))) }
		if err := fields.IndexField(context.Background(), &v1alpha1.Tenant{}, name, extract); err != nil {
			return err
		}
	}
	classOf := func(object client.Object) []string {
		if class := naming.ClassOf(object.(*v1alpha1.Tenant)); class != "" {
			return []string{class}
		}
		return nil
	}
	for _, index := range []struct {
		object  client.Object
		name    string
		extract client.IndexerFunc
	}{
		{&v1alpha1.Tenant{}, naming.IndexClass, classOf},
		{&corev1.Namespace{}, indexLabel, labelOf},
		{&corev1.Namespace{}, indexController, controllerOf},
		{&corev1.ResourceQuota{}, indexLabel, labelOf},
		{&rbacv1.RoleBinding{}, indexHeld, heldFor},
	} {
		if err := fields.IndexField(context.Background(), index.object, index.name, index.extract); err != nil {
			return err
		}
	}
	return nil
}

// serversOf returns the DatabaseServers on which a tenant has, or will have, something.
func serversOf(tenant *effective.Tenant) []string {
	servers := naming.DatabaseServers(tenant.Finalizers)
	name := ""
	switch spec := tenant.Spec.Database; {
	case isDedicated(tenant):
		name = naming.DedicatedServer(tenant.Name)
	case spec != nil:
		name = spec.ServerRef.Name
	}
	if name != "" && !slices.Contains(servers, name) {
		servers = append(servers, name)
	}
	return servers
}

// serversPlacedOn returns the DatabaseServers on which a tenant has, or may have, something.
func serversPlacedOn(tenant *effective.Tenant) []string {
	return naming.DatabaseServers(tenant.Finalizers)
}

// serversWaitedFor returns the servers that a tenant waits for: none if DatabaseReady is True for its current
// spec, and otherwise serversOf, with anyServer if none was chosen yet. Which server the class of a tenant names isn't
// known here, so that such a tenant waits for any.
func serversWaitedFor(tenant *effective.Tenant) []string {
	ready := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionDatabaseReady)
	if tenant.DeletionTimestamp.IsZero() && ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == tenant.Generation {
		return nil
	}
	servers := serversOf(tenant)
	if hasClass(tenant) {
		return append(servers, serversOfAnyClass(tenant, ready != nil)...)
	}
	if spec := tenant.Spec.Database; spec != nil && spec.ServerSelector != nil && tenant.Status.Database == nil {
		servers = append(servers, anyServer)
	}
	return servers
}

// pinOf returns the TenantClassRevision that a tenant is pinned to.
func pinOf(tenant *effective.Tenant) []string {
	if revision := tenant.Spec.ClassRevision; revision != "" {
		return []string{revision}
	}
	return nil
}

// serversOfAnyClass returns the servers that the class of a tenant may make it wait for. hasDatabase says that the
// class is known to give it a database.
func serversOfAnyClass(tenant *effective.Tenant, hasDatabase bool) []string {
	ready := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady)
	complete := ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == tenant.Generation
	switch {
	case complete && !hasDatabase:
		return nil
	case tenant.Status.Database != nil:
		return []string{naming.DedicatedServer(tenant.Name)}
	default:
		return []string{naming.DedicatedServer(tenant.Name), anyServer}
	}
}
