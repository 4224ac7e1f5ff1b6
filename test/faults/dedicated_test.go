package faults

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

// serving is done when the server waits for a volume, since there are none here.
var serving = work{
	name: "makes a server of a tenant's own", start: create,
	tenant: func(name string) *builders.TenantBuilder {
		return builders.Tenant(name).Dedicated(func(server *v1alpha1.DedicatedServer) { server.Storage = new(resource.MustParse("1Gi")) })
	},
	done: func(ctx context.Context, tenant *v1alpha1.Tenant) (bool, error) {
		found := &v1alpha1.Tenant{}
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), found)
		waits := apimeta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionDatabaseReady)
		return err == nil && waits != nil && strings.Contains(waits.Message, "unbound immediate PersistentVolumeClaims"), err
	},
	check: func(ctx context.Context, tenant *v1alpha1.Tenant, found state) {
		GinkgoHelper()
		Expect(found.Database).To(BeEmpty())
		server := naming.DedicatedServer(tenant.Name)
		Expect(partsOf(ctx, tenant)).To(ConsistOf(
			server, server, server, naming.ServerService(server), naming.ServerVolume(server),
			naming.ServerSuperuser(server), naming.ServerAuthority(server), naming.ServerCertificate(server)))
		var secrets [3]corev1.Secret
		for i, name := range []string{naming.ServerSuperuser(server), naming.ServerAuthority(server), naming.ServerCertificate(server)} {
			Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: naming.DatabasesNamespace, Name: name}, &secrets[i])).To(Succeed())
		}
		there := dedicated.SecretsIn(&secrets[0], &secrets[1], &secrets[2])
		Expect(there.CompletePassword().CompleteCertificate(naming.ServerHost(server), time.Now())).To(Equal(there), "they fit together")
	},
}

// partsOf returns the names of the objects of the tenant's server: a StatefulSet, a ConfigMap, a NetworkPolicy, a
// Service, a volume and Secrets.
func partsOf(ctx context.Context, tenant *v1alpha1.Tenant) (names []string, err error) {
	for _, list := range []client.ObjectList{
		&appsv1.StatefulSetList{}, &corev1.ConfigMapList{}, &networkingv1.NetworkPolicyList{}, &corev1.ServiceList{},
		&corev1.PersistentVolumeClaimList{}, &corev1.SecretList{},
	} {
		if err := env.Client.List(ctx, list, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{naming.LabelTenant: tenant.Name}); err != nil {
			return nil, err
		}
		err := apimeta.EachListItem(list, func(item runtime.Object) error {
			names = append(names, item.(client.Object).GetName())
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
