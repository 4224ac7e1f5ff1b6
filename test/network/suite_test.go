package network

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
	"github.com/tenantry/tenantry/test/matrix"
)

var (
	env *environment.Environment
	// cluster judges the cluster as it is before any spec.
	cluster *judge
)

func TestNetwork(t *testing.T) {
	environment.RunSpecs(t, "Network")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "network", Progress: GinkgoWriter,
		OperatorArgs: []string{"--cluster-dns=" + matrix.ClusterDNS},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)

	registerServers(ctx)
	applyTenants(ctx)
	createPods(ctx)
	offerDNS(ctx)
	cluster, err = newJudge(ctx, env.Client)
	Expect(err).NotTo(HaveOccurred())
	locateAddresses(ctx)
}, NodeTimeout(20*time.Minute))

// registerServers registers one PostgreSQL as two servers: in-cluster, with pods of the namespace databases as its
// peers, and by-address, with the addresses of localhost.
func registerServers(ctx context.Context) {
	GinkgoHelper()
	inCluster, err := env.ApplyDatabaseServer(ctx, "in-cluster", env.Postgres)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(inCluster, func() { inCluster.Spec.NetworkPeers = matrix.DatabasePeers() })).Should(Succeed())
	byAddress, err := env.ApplyDatabaseServer(ctx, "by-address", env.Postgres)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(byAddress, func() { byAddress.Spec.Host = "localhost" })).Should(Succeed())
}

func applyTenants(ctx context.Context) {
	GinkgoHelper()
	for _, tenant := range []*builders.TenantBuilder{
		matrix.Duff("in-cluster", "registry.example/duff/shop:1.4.2"), matrix.Tyrell("by-address", "registry.example/tyrell/crm:2.0.0"),
	} {
		tenant := tenant.Build()
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, func() (bool, error) {
			err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)
			return apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionReady), err
		}).Should(BeTrue(), func() string {
			return fmt.Sprintf("tenant %s has the conditions %+v", tenant.Name, tenant.Status.Conditions)
		})
	}
	// There is no volume for the pod of its dedicated server.
	Expect(env.Client.Create(ctx, matrix.Soylent().Build())).To(Succeed())
	for _, policy := range matrix.SoylentPolicies() {
		Eventually(ctx, komega.Get(policy)).Should(Succeed())
	}
}

// createPods creates the pods that don't belong to the tenants' apps, and waits until all pods have addresses.
func createPods(ctx context.Context) {
	GinkgoHelper()
	for _, namespace := range matrix.Namespaces() {
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
	}
	for _, pod := range matrix.Pods() {
		Expect(env.Client.Create(ctx, pod)).To(Succeed())
	}
	pods := &corev1.PodList{}
	Eventually(ctx, func() (addresses []string, err error) {
		err = env.Client.List(ctx, pods)
		for i := range pods.Items {
			if pods.Items[i].Name == matrix.OwnServer+"-0" {
				continue // It waits for a volume.
			}
			addresses = append(addresses, pods.Items[i].Status.PodIP)
		}
		return addresses, err
	}).Should(And(HaveLen(15), HaveEach(Not(BeEmpty()))))
}

// offerDNS creates the Services of the cluster's DNS, and waits until the tenants' policies have both.
func offerDNS(ctx context.Context) {
	GinkgoHelper()
	Expect(env.Client.Create(ctx, matrix.KubeDNS())).To(Succeed())
	Expect(env.Client.Create(ctx, matrix.OpenShiftDNS())).To(Succeed())
	for _, policy := range matrix.DNSPolicies() {
		Eventually(ctx, komega.Object(policy)).Should(HaveField("Spec.Egress", matrix.AllowClusterDNS()))
	}
}

// locateAddresses adds the places that are not pods to the judge.
func locateAddresses(ctx context.Context) {
	GinkgoHelper()
	apiServer, err := url.Parse(env.Kubernetes.Config().Host)
	Expect(err).NotTo(HaveOccurred())
	port, err := strconv.ParseUint(apiServer.Port(), 10, 16)
	Expect(err).NotTo(HaveOccurred())
	service := &corev1.Service{}
	Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, service)).To(Succeed())
	nodes := &corev1.NodeList{}
	Expect(env.Client.List(ctx, nodes)).To(Succeed())

	cluster.ports["PGPORT"] = int32(env.Postgres.Port)
	cluster.ports["APIPORT"] = int32(port)
	for name, address := range map[string]string{
		"database-host": env.Postgres.Host,
		"api-server":    apiServer.Hostname(),
		"api-service":   service.Spec.ClusterIP,
		"node":          nodes.Items[0].Status.Addresses[0].Address,
	} {
		cluster.addAddress(name, address)
	}
	for name, address := range matrix.Addresses {
		cluster.addAddress(name, address)
	}
	for name, pod := range matrix.Shorthand {
		cluster.places[name] = cluster.places[pod]
	}
}
