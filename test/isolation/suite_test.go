// Package isolation tries every way out of a tenant as an owner with the role Admin, as one with the role Editor
// and as a workload, and for each way something similar that is allowed. It does so once with the operator, and
// once without it.
package isolation

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	// specTimeout is long enough for a busy machine.
	specTimeout = 3 * time.Minute
)

// actor is a user or workload of the tenant acme.
type actor int

const (
	// admin is an owner with the role Admin.
	admin actor = iota
	// editor is an owner with the role Editor.
	editor
	// account is the ServiceAccount of a workload, to which the admin has given Kubernetes' role admin in the
	// tenant's primary namespace, the highest that it can get.
	account
)

// everyone has all actors.
var everyone = []actor{admin, editor, account}

func (a actor) String() string { return []string{"the Admin", "the Editor", "the ServiceAccount"}[a] }

var (
	env *environment.Environment
	// clients are the clients of the actors, which have only the rights that the tenant gives.
	clients [3]client.Client
)

func TestIsolation(t *testing.T) {
	environment.RunSpecs(t, "Isolation")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "isolation", OperatorArgs: []string{"--leader-elect=false"}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
	server, err := env.ApplyDatabaseServer(ctx, "shared", env.Postgres)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(server, func() {
		server.Spec.Isolations = []v1alpha1.DatabaseIsolation{
			v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow,
		}
	})).Should(Succeed())
	prepareCluster(ctx)
	clients = [3]client.Client{as("alice"), as("bob"), as("system:serviceaccount:acme:worker", "system:serviceaccounts", "system:serviceaccounts:acme")}
	settle(ctx)
	settleNeighbors(ctx)
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) { env.Explain(ctx, "get tenants,resourcequotas --all-namespaces") }, NodeTimeout(time.Minute))

// prepareCluster creates the classes that objects name, and gives tenants rights that their roles don't have.
func prepareCluster(ctx context.Context) {
	GinkgoHelper()
	Expect(env.ApplyDefinitions(ctx, "sigs.k8s.io/gateway-api@v1.6.3",
		"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml")).To(Succeed())
	for _, text := range []string{
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: higher}, value: 2000}`,
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: sandbox}, handler: sandbox}`,
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: bare-metal}, handler: bare}`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole,
			metadata: {name: edits-more, labels: {rbac.authorization.k8s.io/aggregate-to-edit: "true"}}, rules: [
			{apiGroups: [gateway.networking.k8s.io], resources: [gateways, httproutes], verbs: [create, get, list, patch]},
			{apiGroups: [resource.k8s.io], resources: [resourceclaims], verbs: [create, get, list, patch]}]}`,
	} {
		Expect(env.Client.Create(ctx, object(text))).To(Succeed())
	}
	_, err := env.Kubernetes.Kubectl(ctx, "label", "nodes", "--all", "pool=shared")
	Expect(err).NotTo(HaveOccurred())
}

// settle creates the tenants: acme, which tries to get out; globex, a stranger; and frozen, which belongs to
// acme's users and is cordoned. Of acme's namespaces, acme-dev is usable, and acme-over is over the limit.
func settle(ctx context.Context) {
	GinkgoHelper()
	acme := ofAcme("acme").NamespaceLimit(2).AllowedNames("shop-*", "playground").DeletionProtection().Policy(rules).Database("shared").
		App(image).Port(8080).Config("LOG_LEVEL", "info").
		ContainerDefault("cpu", "500m").ContainerDefault("memory", "256Mi").
		ContainerDefaultRequest("cpu", "100m").ContainerDefaultRequest("memory", "128Mi").ContainerMax("cpu", "4")
	for resource, amount := range budget {
		acme.Quota(resource, amount)
	}
	tenants := []*v1alpha1.Tenant{
		ofAcme("frozen").ServiceAccountOwner("acme", "worker", v1alpha1.OwnerRoleAdmin).TrustNamespace().Cordoned().Build(),
		acme.Build(),
		builders.Tenant("globex").Owner(v1alpha1.OwnerKindUser, "carol", v1alpha1.OwnerRoleAdmin).App(image).Port(8080).Build(),
	}
	for i, tenant := range tenants {
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		if i == 0 {
			awaitPolicies(ctx, tenant.Name)
		}
	}
	for _, tenant := range tenants {
		Eventually(ctx, komega.Object(tenant)).Should(beReady())
	}
	alice := clients[admin]
	for _, text := range []string{
		namespace("acme-dev", "tenantry.dev/tenant: acme"),
		namespace("acme-over", "tenantry.dev/tenant: acme"),
		`{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: acme, name: worker}}`,
		roleBinding("acme", "admin", "{kind: ServiceAccount, namespace: acme, name: worker}"),
	} {
		Expect(alice.Create(ctx, object(text))).To(Succeed())
		if strings.Contains(text, "acme-dev") {
			Eventually(ctx, komega.Object(tenants[1])).Should(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))))
		}
	}
	Eventually(ctx, komega.Object(tenants[1])).Should(HaveField("Status.Namespaces", ContainElement(And(
		HaveField("Name", "acme-over"), HaveField("State", Not(Equal(v1alpha1.NamespaceUsable)))))))
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "acme-dev", Name: "tenant"}}
	Eventually(ctx, func() (int64, error) {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota)
		return quantity(quota.Spec.Hard, corev1.ResourceServices), err
	}).Should(BeNumerically(">", 0), "a part of the budget")
	for _, who := range everyone {
		for _, text := range []string{pod("acme", ""), httpRoute("acme", "shop.acme.example")} {
			Eventually(ctx, func() error { return create(text)(ctx, clients[who]) }).Should(Succeed())
		}
	}
}

// awaitPolicies waits until the API server enforces the policies, including those that set defaults.
func awaitPolicies(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}}
		g.Expect(env.Client.Create(ctx, account, client.DryRunAll)).To(Succeed())
		g.Expect(account.AutomountServiceAccountToken).To(HaveValue(BeFalse()))
		g.Expect(env.Client.Create(ctx, object(pod(namespace, "nodeName: node-0")), client.DryRunAll)).To(refused("spec.nodeName"))
	}).Should(Succeed())
}

// ofAcme begins a tenant with acme's owners.
func ofAcme(name string) *builders.TenantBuilder {
	return builders.Tenant(name).
		Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindUser, "bob", v1alpha1.OwnerRoleEditor)
}

// budget is acme's quota.
var budget = map[corev1.ResourceName]string{
	"requests.cpu": "8", "requests.memory": "16Gi", "limits.cpu": "16", "limits.memory": "32Gi", "requests.storage": "10Gi",
	"pods": "20", "services": "10", "persistentvolumeclaims": "10", "services.nodeports": "0", "services.loadbalancers": "0",
	"replicationcontrollers": "0",
}

// rules sets rules of each kind, including those that are off by default.
func rules(rules *v1alpha1.PolicyRules) {
	text := `{
		imageRegistries: [registry.example/acme/], imagePullPolicies: [Always], hostnames: ["*.acme.example"],
		storageClasses: {allowed: [fast], default: fast}, volumeAttributesClasses: {allowed: [gold]}, priorityClasses: {allowed: [high]}, runtimeClasses: {allowed: [sandbox]},
		ingressClasses: {allowed: [public], default: public}, gatewayClasses: {allowed: [shared]}, deviceClasses: {allowed: [gpu]},
		nodeSelector: {allowed: [{key: pool, values: [shared]}], default: {pool: shared}},
	}`
	ExpectWithOffset(1, yaml.UnmarshalStrict([]byte(text), rules)).To(Succeed())
}

func beReady() gomegatypes.GomegaMatcher {
	return HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", BeEquivalentTo("True")), HaveField("Reason", v1alpha1.ReasonReady))))
}

// as returns a client of a user.
func as(user string, groups ...string) client.Client {
	GinkgoHelper()
	config := env.Kubernetes.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	impersonating, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return impersonating
}

// object parses an object from YAML.
func object(text string) *unstructured.Unstructured {
	GinkgoHelper()
	result := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict([]byte(text), &result.Object)).To(Succeed(), text)
	return result
}

// act is something that an actor tries. If it succeeds, it leaves no trace.
type act func(ctx context.Context, who client.Client) error

// create creates the object in the YAML.
func create(text string) act {
	return func(ctx context.Context, who client.Client) error {
		return who.Create(ctx, object(text), client.DryRunAll)
	}
}

// creates does what create does for several objects.
func creates(texts ...string) []act {
	acts := make([]act, 0, len(texts))
	for _, text := range texts {
		acts = append(acts, create(text))
	}
	return acts
}

// remove deletes an object. The YAML need only identify it.
func remove(text string) act {
	return func(ctx context.Context, who client.Client) error {
		return who.Delete(ctx, object(text), client.DryRunAll)
	}
}

// patch applies a JSON merge patch to an object, or to a subresource if one is given.
func patch(text, change string, subresource ...string) act {
	return func(ctx context.Context, who client.Client) error {
		merge := client.RawPatch("application/merge-patch+json", []byte(change))
		for _, name := range subresource {
			return who.SubResource(name).Patch(ctx, object(text), merge, client.DryRunAll)
		}
		return who.Patch(ctx, object(text), merge, client.DryRunAll)
	}
}

// change changes an object in a harmless way, or deletes it.
func change(text string) []act {
	return []act{patch(text, `{"metadata": {"annotations": {"example.com/note": "mine"}}}`), remove(text)}
}

// read reads an object.
func read(text string) act {
	return func(ctx context.Context, who client.Client) error {
		what := object(text)
		return who.Get(ctx, client.ObjectKeyFromObject(what), what)
	}
}

// list lists the objects of the YAML's kind, in its namespace if it has one.
func list(text string) act {
	return func(ctx context.Context, who client.Client) error {
		what := object(text)
		found := &unstructured.UnstructuredList{}
		found.SetGroupVersionKind(what.GroupVersionKind())
		return who.List(ctx, found, client.InNamespace(what.GetNamespace()))
	}
}

// each has what closes a way out for the Admin, the Editor and the ServiceAccount.
type each [3]string

// by returns an each with the same for all of them.
func by(what string) each { return each{what, what, what} }

// Parts of the API server's message that say what closes a way out.
const (
	rbac        = " cannot "
	escalation  = "attempting to grant RBAC permissions not currently held"
	podSecurity = `violates PodSecurity "restricted:latest"`
	quota       = "exceeded quota: tenant"
)

// policy is the part of the message about the policy in config/admission with that name.
func policy(name string) string { return "ValidatingAdmissionPolicy '" + name + ".tenantry.dev'" }

// refused matches an error with which the API server forbids something.
func refused(by string) gomegatypes.GomegaMatcher {
	return And(MatchError(ContainSubstring(by)), MatchError(apierrors.IsForbidden, "IsForbidden"))
}

// closed is the body of a table: everyone tries the ways out and is refused, and those who may do the neighbors
// can do them.
func closed(ctx SpecContext, ways []act, by each, may []actor, neighbors ...act) {
	for _, who := range everyone {
		for _, way := range ways {
			Expect(way(ctx, clients[who])).To(refused(by[who]), who.String())
		}
	}
	Expect(neighbors).NotTo(BeEmpty())
	for _, who := range may {
		for _, neighbor := range neighbors {
			Expect(neighbor(ctx, clients[who])).To(Succeed(), who.String())
		}
	}
}
