package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

const (
	portPostgreSQL = 5432
	// defaultConnections is PostgreSQL's own max_connections. spareConnections is the room for the operator's
	// connections and PostgreSQL's reserved ones, beside those of the tenant's two logins.
	defaultConnections = 100
	spareConnections   = 20
)

// DatabaseServer returns the tenant's own server, for the database with that name; nil unless the tenant's
// isolation is Dedicated.
func DatabaseServer(tenant *effective.Tenant, database string) *v1alpha1.DatabaseServer {
	spec := tenant.Spec.Database
	if spec == nil || spec.Isolation != v1alpha1.DatabaseIsolationDedicated || spec.Dedicated == nil {
		return nil
	}
	name := naming.DedicatedServer(tenant.Name)
	secret := func(name string) v1alpha1.SecretReference {
		return v1alpha1.SecretReference{Namespace: naming.DatabasesNamespace, Name: name}
	}
	return &v1alpha1.DatabaseServer{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: naming.ManagedLabels(tenant.Name),
			Annotations: map[string]string{naming.AnnotationTenantUID: string(tenant.UID)},
		},
		Spec: v1alpha1.DatabaseServerSpec{
			Engine:         v1alpha1.DatabaseEnginePostgreSQL,
			Host:           naming.ServerHost(name),
			Port:           portPostgreSQL,
			SSLMode:        v1alpha1.SSLModeVerifyFull,
			CASecretRef:    &v1alpha1.SecretKeyReference{SecretReference: secret(naming.ServerAuthority(name)), Key: keyAuthority},
			AdminSecretRef: secret(naming.ServerSuperuser(name)),
			Isolations:     []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDedicated},
			Extensions:     spec.Extensions,
			Capacity:       &v1alpha1.DatabaseServerCapacity{Tenants: new(int32(1))},
			NetworkPeers: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: naming.DatabasesNamespace}),
				PodSelector:       metav1.SetAsLabelSelector(labels.Set{naming.LabelServer: name}),
			}},
			Dedicated: &v1alpha1.DatabaseServerDedication{
				DedicatedServer: *spec.Dedicated,
				Tenant:          tenant.Name,
				MaxConnections:  max(defaultConnections, 2*spec.ConnectionLimit+spareConnections),
				Database:        database,
				ReclaimPolicy:   spec.ReclaimPolicy,
			},
		},
	}
}
