package builders

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// DatabaseServerBuilder builds a DatabaseServer.
type DatabaseServerBuilder struct {
	server v1alpha1.DatabaseServer
}

// DatabaseServer begins a DatabaseServer with the host, a DNS name or an IP address.
func DatabaseServer(name, host string) *DatabaseServerBuilder {
	return &DatabaseServerBuilder{server: v1alpha1.DatabaseServer{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.DatabaseServerSpec{Host: host},
	}}
}

// Build returns the DatabaseServer as a user writes it.
func (b *DatabaseServerBuilder) Build() *v1alpha1.DatabaseServer { return b.server.DeepCopy() }

// Generation sets the generation of the spec.
func (b *DatabaseServerBuilder) Generation(generation int64) *DatabaseServerBuilder {
	b.server.Generation = generation
	return b
}

// Port sets the server's TCP port.
func (b *DatabaseServerBuilder) Port(port int32) *DatabaseServerBuilder {
	b.server.Spec.Port = port
	return b
}

// SSLMode sets how connections are protected.
func (b *DatabaseServerBuilder) SSLMode(mode v1alpha1.SSLMode) *DatabaseServerBuilder {
	b.server.Spec.SSLMode = mode
	return b
}

// AdminSecret names the Secret with the admin's username and password.
func (b *DatabaseServerBuilder) AdminSecret(namespace, name string) *DatabaseServerBuilder {
	b.server.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: namespace, Name: name}
	return b
}

// CASecret names the Secret with the authorities, and the key in it.
func (b *DatabaseServerBuilder) CASecret(namespace, name, key string) *DatabaseServerBuilder {
	b.server.Spec.CASecretRef = &v1alpha1.SecretKeyReference{
		SecretReference: v1alpha1.SecretReference{Namespace: namespace, Name: name}, Key: key,
	}
	return b
}

// Isolations sets the kinds of isolation that the server offers.
func (b *DatabaseServerBuilder) Isolations(isolations ...v1alpha1.DatabaseIsolation) *DatabaseServerBuilder {
	b.server.Spec.Isolations = isolations
	return b
}

// Dedicated makes it a server that the operator runs for one tenant.
func (b *DatabaseServerBuilder) Dedicated(dedication v1alpha1.DatabaseServerDedication) *DatabaseServerBuilder {
	b.server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDedicated}
	b.server.Spec.Dedicated = &dedication
	return b
}

// Extensions sets the extensions of PostgreSQL that tenants may use.
func (b *DatabaseServerBuilder) Extensions(names ...string) *DatabaseServerBuilder {
	b.server.Spec.Extensions = names
	return b
}

// Capacity sets the maximum number of tenants on the server.
func (b *DatabaseServerBuilder) Capacity(tenants int32) *DatabaseServerBuilder {
	b.server.Spec.Capacity = &v1alpha1.DatabaseServerCapacity{Tenants: new(tenants)}
	return b
}

// NetworkPeers sets the peers that the tenants' network policies allow.
func (b *DatabaseServerBuilder) NetworkPeers(peers ...networkingv1.NetworkPolicyPeer) *DatabaseServerBuilder {
	b.server.Spec.NetworkPeers = peers
	return b
}

// Addresses sets the addresses that the host resolves to, in the status.
func (b *DatabaseServerBuilder) Addresses(addresses ...string) *DatabaseServerBuilder {
	b.server.Status.Addresses = addresses
	return b
}

// Behind sets the Service that the host names, in the status.
func (b *DatabaseServerBuilder) Behind(service v1alpha1.DatabaseServerService) *DatabaseServerBuilder {
	b.server.Status.Service = &service
	return b
}

// CABundle sets the PEM of the authorities, in the status.
func (b *DatabaseServerBuilder) CABundle(pem string) *DatabaseServerBuilder {
	b.server.Status.CABundle = pem
	return b
}
