package plugin

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
)

var _ = Describe("kubectl tenantry", Ordered, func() {
	var (
		other *cluster.ControlPlane
		here  user
	)

	BeforeAll(func(ctx SpecContext) {
		bin, err := cluster.Build(ctx, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		dir, err := os.MkdirTemp("", "tenantry-plugin-older-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return os.RemoveAll(dir) })
		other, err = cluster.Start(ctx, cluster.Options{Bin: bin, Dir: dir})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return other.Stop() })
		here = user{kubeconfig: other.KubeconfigPath()}
	}, NodeTimeout(specTimeout))

	It("says that a cluster has no Tenantry", func(ctx SpecContext) {
		for _, command := range []string{"status", "why", "effective", "namespaces", "can-i-leave", "report", "psql", "rotate", "cordon", "hibernate", "wake"} {
			Expect(here.run(ctx, command, "acme")).To(complains("has no Tenants: Tenantry isn't installed there, or this is another cluster than you mean."), command)
		}
		Expect(here.run(ctx, "usage")).To(complains("has no Tenants"))
		Expect(here.run(ctx, "release", "pause", "gold")).To(complains("has no Tenants"))
	}, SpecTimeout(specTimeout))

	It("says that a cluster's Tenantry is older, and what it lacks", func(ctx SpecContext) {
		root, err := operator.Root(ctx)
		Expect(err).NotTo(HaveOccurred())
		text, err := os.ReadFile(filepath.Join(root, "config/crd/bases/tenantry.dev_tenants.yaml")) //nolint:gocritic // A path of the checkout.
		Expect(err).NotTo(HaveOccurred())
		definition := &apiextensionsv1.CustomResourceDefinition{}
		Expect(yaml.Unmarshal(text, definition)).To(Succeed())
		for _, field := range []string{"cordoned", "hibernation"} {
			delete(definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties, field)
		}
		older, err := yaml.Marshal(definition)
		Expect(err).NotTo(HaveOccurred())
		Expect(other.Apply(ctx, "--filename", manifest(string(older)))).To(Succeed())
		Expect(other.Apply(ctx, "--filename", manifest("apiVersion: tenantry.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {className: gold}\n"))).To(Succeed())
		Expect(here.run(ctx, "cordon", "acme")).To(complains("The Tenantry in this cluster is older than this plugin: it has no spec.cordoned. Upgrade the CustomResourceDefinitions and the operator"))
		for _, command := range [][]string{{"effective", "acme"}, {"release", "pause", "gold"}, {"release", "resume", "gold"}} {
			Expect(here.run(ctx, command...)).To(complains("The Tenantry in this cluster is older than this plugin: it has no TenantClass."))
		}
		Expect(other.Apply(ctx, "--filename", manifest("apiVersion: tenantry.dev/v1alpha1\nkind: Tenant\nmetadata: {name: plain}\nspec: {displayName: Plain}\n"))).To(Succeed())
		Expect(here.run(ctx, "hibernate", "plain")).To(complains("The Tenantry in this cluster is older than this plugin: it has no spec.hibernation. Upgrade the CustomResourceDefinitions and the operator"))
		Expect(here.run(ctx, "why", "acme")).To(says("… Tenant acme Pending  Waiting for the operator."))
		Expect(here.run(ctx, "status", "acme")).To(says("… Tenant acme Pending"))
	}, SpecTimeout(specTimeout))

	It("says that nothing answers, and that nobody knows the user", func(ctx SpecContext) {
		Expect(here.run(ctx, "status", "--server", "https://127.0.0.1:1")).To(complains("The API server at https://127.0.0.1:1 doesn't answer"))
		nobody := user{kubeconfig: filepath.Join(GinkgoT().TempDir(), "none")}
		Expect(nobody.run(ctx, "status", "--server", other.Config().Host, "--insecure-skip-tls-verify", "--token", "none")).To(complains("doesn't know who you are"))
	}, SpecTimeout(specTimeout))
})
