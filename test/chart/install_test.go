package chart

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

func TestInstalling(t *testing.T) { environment.RunSpecs(t, "Chart") }

const (
	specTimeout = 5 * time.Minute
	// tenants is how many tenants there are during an upgrade.
	tenants = 50
)

// The operator's pod starts no program here, since the nodes are simulated: the operator runs as a process beside it, with
// the rights that the chart gives to its ServiceAccount.
var _ = Describe("Helm", Ordered, func() {
	var (
		env  *environment.Environment
		user *helm
		took time.Duration
	)

	BeforeAll(func(ctx SpecContext) {
		older := previous(GinkgoTB())
		var err error
		env, err = environment.Start(ctx, environment.Options{
			Name: "chart", OperatorArgs: []string{"--leader-elect=false"}, Progress: GinkgoWriter,
			Install: func(ctx context.Context, kubernetes *cluster.ControlPlane) error {
				var err error
				if user, err = newHelm(kubernetes.KubeconfigPath()); err != nil {
					return err
				}
				began := time.Now()
				_, err = user.install(ctx, older, nil)
				took = time.Since(began)
				return err
			},
		})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(env.Stop)
		komega.SetClient(env.Client)
		_, err = env.ApplyDatabaseServer(ctx, "shared", env.Postgres)
		Expect(err).NotTo(HaveOccurred())
		for n := range tenants {
			Expect(env.Client.Create(ctx, tenant(n))).To(Succeed())
		}
		for n := range tenants {
			Eventually(ctx, komega.Object(tenant(n))).Should(beReady())
		}
		// The status of the server is written some seconds later, and nothing after it.
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}
		Eventually(ctx, komega.Object(server)).WithTimeout(time.Minute).Should(HaveField("Status.Tenants", HaveValue(Equal(int32(tenants)))))
	}, NodeTimeout(20*time.Minute))

	AfterEach(func(ctx SpecContext) {
		env.Explain(ctx, "get tenants,databaseservers -o wide", "get all --namespace tenantry-system")
	}, NodeTimeout(time.Minute))

	It("installs all in one command, and is ready in under a minute", func(SpecContext) {
		AddReportEntry("helm install", took.String())
		Expect(took).To(BeNumerically("<", time.Minute))
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenantry-manager"}}
		Expect(komega.Object(deployment)()).To(HaveField("Status.ReadyReplicas", int32(1)))
	}, SpecTimeout(specTimeout))

	It("upgrades, and no tenant notices", func(ctx SpecContext) {
		before := snapshot(ctx, env.Client)
		Expect(before).NotTo(BeEmpty())
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())

		Expect(user.upgrade(ctx, chartFolder, nil)).To(Succeed())
		Expect(env.RestartOperator(ctx, "--sync-period=2s")).To(Succeed())
		reader, err := env.Operator.Metrics(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, reader.Reconciles).WithArguments(ctx, "tenant").Should(BeNumerically(">=", 3*tenants))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).NotTo(ContainElement(HaveField("Writes()", true)))
		Expect(snapshot(ctx, env.Client)).To(Equal(before), "the same pods, and all objects as they were")

		By("using what is new")
		changed := tenant(0)
		Expect(komega.Update(changed, func() { changed.Spec.DisplayName = "The first" })()).To(Succeed())
		Expect(komega.Object(changed)()).To(HaveField("Spec.DisplayName", "The first"))
	}, SpecTimeout(specTimeout))

	It("uninstalls, and tenants and data stay", func(ctx SpecContext) {
		before := snapshot(ctx, env.Client)
		Expect(env.Operator.Stop()).To(Succeed())
		Expect(user.uninstall()).To(Succeed())
		Expect(komega.Get(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenantry-manager"}})()).To(MatchError(apierrors.IsNotFound, "not found"))
		Expect(snapshot(ctx, env.Client)).To(Equal(before))
		for n := range tenants {
			Expect(komega.Get(tenant(n))()).To(Succeed())
		}
		Expect(komega.Get(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tenantry-databases"}})()).To(Succeed())
		Expect(environment.Query[int64](ctx, env.Postgres, "postgres", "SELECT count(*) FROM tenantry.tenants WHERE state = 'Active'")).To(Equal([]int64{tenants}))
		session, err := env.Login(ctx, tenant(1))
		Expect(err).NotTo(HaveOccurred(), "the database still takes the tenant's login")
		Expect(session.Close(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("installs again, takes over what was left, and the tenants can be deleted", func(ctx SpecContext) {
		_, err := user.install(ctx, chartFolder, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.StartOperator(ctx)).To(Succeed())
		for n := range tenants {
			Eventually(ctx, komega.Object(tenant(n))).Should(beReady())
		}
		Expect(env.Client.DeleteAllOf(ctx, &v1alpha1.Tenant{})).To(Succeed())
		Eventually(ctx, komega.ObjectList(&v1alpha1.TenantList{})).WithTimeout(2 * time.Minute).Should(HaveField("Items", BeEmpty()))
	}, SpecTimeout(specTimeout))
})

// tenant returns one of the tenants.
func tenant(number int) *v1alpha1.Tenant {
	name := fmt.Sprintf("acme-%d", number)
	return builders.Tenant(name).Owner(v1alpha1.OwnerKindUser, "alice@"+name, v1alpha1.OwnerRoleAdmin).Quota(corev1.ResourcePods, "10").
		Database("shared").App("registry.example/shop:1").Port(8080).Replicas(2).Build()
}

func beReady() OmegaMatcher {
	return HaveField("Status.Conditions", ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
}

// snapshot returns the versions of all objects that the operator makes for tenants, and of their pods.
func snapshot(ctx context.Context, reader client.Client) map[types.UID]string {
	GinkgoHelper()
	versions := map[types.UID]string{}
	ours := client.MatchingLabels{"app.kubernetes.io/managed-by": "tenantry"}
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &corev1.SecretList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &corev1.NamespaceList{},
		&appsv1.DeploymentList{}, &networkingv1.NetworkPolicyList{}, &rbacv1.RoleBindingList{}, &rbacv1.RoleList{}, &v1alpha1.TenantPolicyList{},
	} {
		Expect(reader.List(ctx, list, ours)).To(Succeed())
		items, err := meta.ExtractList(list)
		Expect(err).NotTo(HaveOccurred())
		for _, item := range items {
			object := item.(client.Object)
			versions[object.GetUID()] = object.GetResourceVersion()
		}
	}
	return versions
}
