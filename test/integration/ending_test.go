package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// accessEnds is how long anybody may keep access to a tenant that is being deleted.
const accessEnds = 5 * time.Second

// held creates an object with a finalizer, which only free or the end of the spec removes.
func held[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	object.SetFinalizers([]string{"example.com/forever"})
	Expect(env.Client.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { free(ctx, object) })
	return object
}

func free(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(env.Client.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
}

// grant returns a RoleBinding to the ClusterRole admin, as an owner can create it.
func grant(namespace, name, user string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
}

// seesSecrets reports whether a user may read the Secrets of a namespace.
func seesSecrets(ctx context.Context, user, namespace string) func() bool {
	return func() bool { return as(user).List(ctx, &corev1.SecretList{}, client.InNamespace(namespace)) == nil }
}

// logsIn logs in with a URI, and returns why that fails.
func logsIn(ctx context.Context, uri string) error {
	conn, err := pgx.Connect(ctx, uri)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

var _ = Describe("The end of a tenant's access", Label("K2"), func() {
	It("comes first, whatever finalizers its objects have, and what holds it up is named by namespace", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("offboarded", 3).Database(shared))
		owner := as("admin@offboarded")
		Expect(owner.Create(ctx, named("offboarded-dev", of("offboarded")))).To(Succeed())
		runs(ctx, owner, "offboarded-dev")
		password, open := uri(ctx, tenant), session(ctx, tenant)

		By("holding each namespace by a pod, and rights by finalizers of their own")
		pods := []*corev1.Pod{held(ctx, pod("offboarded", "forever")), held(ctx, pod("offboarded-dev", "forever"))}
		for _, namespace := range []string{"offboarded", "offboarded-dev"} {
			binding := grant(namespace, "friend", "mallory@offboarded")
			binding.Finalizers = []string{"example.com/forever"}
			Expect(owner.Create(ctx, binding)).To(Succeed())
			Eventually(ctx, seesSecrets(ctx, "mallory@offboarded", namespace)).Should(BeTrue())
		}
		role := &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "offboarded", Name: "own"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list"}}},
		}
		Expect(owner.Create(ctx, role)).To(Succeed())
		own := grant("offboarded", "own", "eve@offboarded")
		own.Finalizers, own.RoleRef = []string{"example.com/forever"}, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "own"}
		Expect(owner.Create(ctx, own)).To(Succeed())
		Eventually(ctx, seesSecrets(ctx, "eve@offboarded", "offboarded")).Should(BeTrue())

		Expect(owner.Create(ctx, grant("offboarded", "plain", "trudy@offboarded"))).To(Succeed())

		By("holding the logins by a transaction of their own")
		_, err := open.Exec(ctx, fmt.Sprintf("SET ROLE NONE; BEGIN; ALTER ROLE %q PASSWORD 'b'", tenant.Status.Database.Login))
		Expect(err).NotTo(HaveOccurred())

		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			for _, namespace := range []string{"offboarded", "offboarded-dev"} {
				for _, user := range []string{"admin@offboarded", "editor@offboarded", "mallory@offboarded", "eve@offboarded"} {
					g.Expect(seesSecrets(ctx, user, namespace)()).To(BeFalse(), user+" in "+namespace)
				}
			}
			g.Expect(open.Ping(ctx)).NotTo(Succeed())
			g.Expect(logsIn(ctx, password)).NotTo(Succeed())
		}).WithTimeout(accessEnds).Should(Succeed())
		Expect(owner.Create(ctx, named("offboarded-late", of("offboarded")))).To(MatchError(ContainSubstring("You may not create namespaces")))

		By("other tenants don't wait for any of it")
		applyReady(ctx, roomy("unbothered", 2))

		Eventually(ctx, komega.Object(tenant)).Should(And(
			deleting("The namespace offboarded is being deleted: ", "The namespace offboarded-dev is being deleted: ", "Some pods are remaining: ", "forever with the finalizers example.com/forever"),
			haveStates(Equal(map[string]v1alpha1.NamespaceState{"offboarded": v1alpha1.NamespaceTerminating, "offboarded-dev": v1alpha1.NamespaceTerminating})),
			HaveField("Status.Namespaces", HaveEach(HaveField("Message", ContainSubstring("example.com/forever"))))))

		for _, pod := range pods {
			free(ctx, pod)
		}
		waitGone(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("comes first in each isolation of a database server that tenants share", func(ctx SpecContext) {
		_, server := ownServer(ctx, "offboarding")
		isolations := map[string]v1alpha1.DatabaseIsolation{"offboarded-schema": v1alpha1.DatabaseIsolationSchema, "offboarded-row": v1alpha1.DatabaseIsolationRow}
		change(ctx, server, func() { server.Spec.Isolations = slices.Collect(maps.Values(isolations)) })
		waitReady(ctx, server)
		for name, isolation := range isolations {
			tenant := applyReady(ctx, withDatabase(name, server.Name).Isolation(isolation))
			password, open := uri(ctx, tenant), session(ctx, tenant)
			pod := held(ctx, pod(name, "forever"))
			Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
			Eventually(ctx, func(g Gomega) {
				g.Expect(open.Ping(ctx)).NotTo(Succeed())
				g.Expect(logsIn(ctx, password)).NotTo(Succeed())
			}).WithTimeout(accessEnds).Should(Succeed())
			free(ctx, pod)
			waitGone(ctx, tenant)
		}
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A namespace that its owner deletes and something holds", Label("K14"), func() {
	It("stays its owners' to see and to release, and says what holds it", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("releasing", 3))
		owner := as("admin@releasing")
		Expect(owner.Create(ctx, named("releasing-dev", of("releasing")))).To(Succeed())
		Eventually(ctx, func() error {
			return owner.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "releasing-dev", Name: "kept", Finalizers: []string{"example.com/forever"}}})
		}).Should(Succeed())
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "releasing-dev"}}
		Eventually(ctx, func() error { return owner.Delete(ctx, namespace) }).Should(Succeed())

		words := "Some content in the namespace has finalizers remaining: example.com/forever in 1 resource instances."
		Eventually(ctx, komega.Object(tenant)).Should(And(
			HaveField("Status.Namespaces", ContainElement(And(
				HaveField("Name", "releasing-dev"), HaveField("State", v1alpha1.NamespaceTerminating),
				HaveField("Message", And(HavePrefix("It is being deleted: "), HaveSuffix(words), Not(ContainSubstring("rolebindings"))))))),
			beReady()))
		Eventually(ctx, func() string {
			return asUser(ctx, "viewer@releasing", "get", "configmap", "tenant-namespaces", "--namespace", "releasing", "-o", `jsonpath={.data.releasing-dev}`)
		}).Should(And(HavePrefix("Terminating: It is being deleted: "), HaveSuffix(words)))
		Expect(asUser(ctx, "admin@releasing", "get", "namespace", "releasing-dev")).To(ContainSubstring("Terminating"))
		Expect(as("viewer@releasing").Get(ctx, client.ObjectKey{Namespace: "releasing-dev", Name: "kept"}, &corev1.ConfigMap{})).To(Succeed())

		By("taking the rights of those who are owners no longer")
		change(ctx, tenant, func() { tenant.Spec.Owners = tenant.Spec.Owners[:1] })
		for _, user := range []string{"editor@releasing", "viewer@releasing"} {
			Eventually(ctx, seesConfigMaps(ctx, user, "releasing-dev")).Should(BeFalse())
		}
		Expect(seesConfigMaps(ctx, "admin@releasing", "releasing-dev")()).To(BeTrue())

		By("letting the owner release it")
		kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "releasing-dev", Name: "kept"}}
		Expect(owner.Patch(ctx, kept, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		waitGone(ctx, namespace)
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveLen(1)), beReady()))
	}, SpecTimeout(specTimeout))

	It("goes when its Tenant was removed without the operator, as soon as that is back", Serial, func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("uprooted", 2))
		owner := as("admin@uprooted")
		Expect(owner.Create(ctx, named("uprooted-dev", of("uprooted")))).To(Succeed())
		runs(ctx, owner, "uprooted-dev")
		Expect(env.Operator.Stop()).To(Succeed())
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		change(ctx, tenant, func() { tenant.Finalizers = nil })
		waitGone(ctx, tenant)
		Expect(env.StartOperator(ctx)).To(Succeed())
		waitGone(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "uprooted-dev"}})
	}, SpecTimeout(specTimeout))
})

func seesConfigMaps(ctx context.Context, user, namespace string) func() bool {
	return func() bool { return as(user).List(ctx, &corev1.ConfigMapList{}, client.InNamespace(namespace)) == nil }
}

var _ = Describe("The rights of owners in further namespaces", Label("K14"), func() {
	It("end at once with an owner, and come back when somebody deletes them", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("shuffled", 2))
		Expect(as("admin@shuffled").Create(ctx, named("shuffled-dev", of("shuffled")))).To(Succeed())
		Eventually(ctx, seesConfigMaps(ctx, "viewer@shuffled", "shuffled-dev")).Should(BeTrue())
		Expect(env.Client.Delete(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shuffled-dev", Name: "tenant-editor"}})).To(Succeed())
		Eventually(ctx, komega.Object(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shuffled-dev", Name: "tenant-editor"}})).Should(
			HaveField("DeletionTimestamp", BeNil()))
		change(ctx, tenant, func() { tenant.Spec.Owners = tenant.Spec.Owners[:2] })
		Eventually(ctx, seesConfigMaps(ctx, "viewer@shuffled", "shuffled-dev")).Should(BeFalse())
		waitGone(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shuffled-dev", Name: "tenant-viewer"}})
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Namespaces at the end of their tenant", Label("K19"), func() {
	// settle creates a namespace with content and moves it into the tenant.
	settle := func(ctx context.Context, tenant *v1alpha1.Tenant, name string) *corev1.Namespace {
		GinkgoHelper()
		namespace := named(name, map[string]string{"team": "red"})
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		Expect(env.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "theirs"}})).To(Succeed())
		kubectl(ctx, "label", "namespace", name, "tenantry.dev/tenant="+tenant.Name)
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveKeyWithValue(name, v1alpha1.NamespaceUsable)), beReady()))
		return namespace
	}
	// released expects a namespace without anything of the operator.
	released := func(ctx context.Context, namespace *corev1.Namespace) {
		GinkgoHelper()
		Consistently(ctx, komega.Object(namespace)).WithTimeout(2 * time.Second).Should(And(
			HaveField("DeletionTimestamp", BeNil()), HaveField("OwnerReferences", BeEmpty()), HaveField("Annotations", BeEmpty()),
			HaveField("Labels", Equal(map[string]string{"kubernetes.io/metadata.name": namespace.Name, "team": "red"}))))
		Expect(managedObjects(ctx, namespace.Name)).To(BeEmpty())
		read(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "theirs"}})
	}
	reclaim := func(name string, policy v1alpha1.NamespaceReclaimPolicy) *builders.TenantBuilder {
		return roomy(name, 4).Quota("pods", "10").ReclaimNamespaces(policy)
	}

	DescribeTable("are deleted if they were created for it, and released if they were moved in:", func(ctx SpecContext, name, cascade string) {
		tenant := applyReady(ctx, reclaim(name, ""))
		Expect(as("admin@"+name).Create(ctx, named(name+"-made", of(name)))).To(Succeed())
		moved := settle(ctx, tenant, name+"-moved")
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Namespaces", ConsistOf(
			And(HaveField("Name", name), HaveField("ReclaimPolicy", BeEmpty())),
			And(HaveField("Name", name+"-made"), HaveField("ReclaimPolicy", BeEmpty())),
			And(HaveField("Name", name+"-moved"), HaveField("ReclaimPolicy", v1alpha1.NamespaceRelease)))))
		kubectl(ctx, "delete", "tenant", name, "--cascade="+cascade, "--timeout=90s")
		waitGone(ctx, namespaceOf(tenant))
		waitGone(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name + "-made"}})
		released(ctx, moved)
		Expect(seesConfigMaps(ctx, "admin@"+name, moved.Name)()).To(BeFalse())
	},
		Entry("in the background", "parting", "background", SpecTimeout(specTimeout)),
		Entry("in the foreground, as Argo CD does", "parting-argo", "foreground", SpecTimeout(specTimeout)),
	)

	It("are deleted with Delete, also if they were moved in", func(ctx SpecContext) {
		tenant := applyReady(ctx, reclaim("clearing", v1alpha1.NamespaceDelete))
		moved := settle(ctx, tenant, "clearing-moved")
		remove(ctx, tenant)
		waitGone(ctx, moved)
	}, SpecTimeout(specTimeout))

	It("are all released with Release, the primary one without the app", func(ctx SpecContext) {
		tenant := applyReady(ctx, reclaim("leaving", v1alpha1.NamespaceRelease).App(image).Database(shared))
		Expect(as("admin@leaving").Create(ctx, named("leaving-made", map[string]string{tenantLabel: "leaving", "team": "red"}))).To(Succeed())
		runs(ctx, as("admin@leaving"), "leaving-made")
		for _, namespace := range []string{"leaving", "leaving-made"} {
			Expect(env.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}})).To(Succeed())
		}
		kubectl(ctx, "label", "namespace", "leaving", "team=red")
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, namespaceOf(tenant))) })
		remove(ctx, tenant)
		released(ctx, namespaceOf(tenant))
		released(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "leaving-made"}})
		read(ctx, pod("leaving-made", "hello"))
	}, SpecTimeout(specTimeout))
})

// registered returns the entries in a server's registry for tenants with a name.
func registered(ctx context.Context, server *postgres.Server, tenant string) []string {
	GinkgoHelper()
	found, err := environment.Query[string](ctx, server, "postgres", "SELECT name || ' ' || state FROM tenantry.tenants WHERE tenant = $1 ORDER BY since", tenant)
	Expect(err).NotTo(HaveOccurred())
	return found
}

var _ = Describe("The Secret of a server, the server and its tenants, pruned together", Label("K15"), Serial, func() {
	DescribeTable("all go, and nothing that was retained is lost,", func(ctx SpecContext, name string, order []string, between func(context.Context)) {
		server := register(ctx, name, env.Postgres)
		waitReady(ctx, server)
		kept := applyReady(ctx, withDatabase(name+"-kept", name))
		dropped := applyReady(ctx, withDatabase(name+"-dropped", name).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		password, database := uri(ctx, kept), kept.Status.Database.Name
		objects := map[string][]client.Object{
			"Secret":  {&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name + "-admin"}}},
			"server":  {server},
			"tenants": {kept, dropped},
		}
		for _, what := range order {
			for _, object := range objects[what] {
				Expect(client.IgnoreNotFound(env.Client.Delete(ctx, object))).To(Succeed())
			}
			if between != nil {
				between(ctx)
				between = nil
			}
		}
		for _, what := range order {
			for _, object := range objects[what] {
				waitGone(ctx, object)
			}
		}
		Expect(logsIn(ctx, password)).NotTo(Succeed())
		Expect(registered(ctx, env.Postgres, kept.Name)).To(Equal([]string{database + " Retained"}))
		Expect(registered(ctx, env.Postgres, dropped.Name)).To(BeEmpty())
		Expect(onServer(ctx, env.Postgres, dropped.Status.Database.Name)).To(BeEmpty())
		waitGone(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "database-server-" + name}})
	},
		Entry("the Secret first", "pruned-1", []string{"Secret", "server", "tenants"}, nil, SpecTimeout(specTimeout)),
		Entry("the server first", "pruned-2", []string{"server", "Secret", "tenants"}, nil, SpecTimeout(specTimeout)),
		Entry("the tenants first", "pruned-3", []string{"tenants", "Secret", "server"}, nil, SpecTimeout(specTimeout)),
		Entry("the Secret long before, while the operator starts anew", "pruned-4", []string{"Secret", "tenants", "server"}, func(ctx context.Context) {
			Expect(env.RestartOperator(ctx)).To(Succeed())
			Eventually(ctx, komega.Object(&v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: "pruned-4"}})).Should(
				stalled(v1alpha1.ReasonSecretNotFound, `There is no Secret "pruned-4-admin"`))
		}, SpecTimeout(specTimeout)),
		Entry("while the operator is down", "pruned-5", []string{"Secret", "server", "tenants"}, func(ctx context.Context) {
			Expect(env.Operator.Stop()).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) })
			for _, name := range []string{"pruned-5-kept", "pruned-5-dropped"} {
				Expect(env.Client.Delete(ctx, &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
			}
			Expect(env.StartOperator(ctx)).To(Succeed())
		}, SpecTimeout(specTimeout)),
	)
})

var _ = Describe("A database whose Tenant was removed without the operator", Label("D1"), Serial, Ordered, func() {
	var (
		machine *postgres.Server
		server  *v1alpha1.DatabaseServer
	)
	BeforeAll(func(ctx SpecContext) {
		machine, server = ownServer(ctx, "haunted")
		change(ctx, server, func() {
			server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow}
		})
		waitReady(ctx, server)
	}, NodeTimeout(specTimeout))

	// uproot removes the finalizers of a Tenant, as its message advises when its server is gone, and the Tenant before
	// the operator has added them again.
	uproot := func(ctx context.Context, tenant *v1alpha1.Tenant) {
		GinkgoHelper()
		Eventually(ctx, func() error {
			if err := komega.Update(tenant, func() { tenant.Finalizers = nil })(); err != nil {
				return err
			}
			return env.Client.Delete(ctx, tenant, client.Preconditions{ResourceVersion: &tenant.ResourceVersion})
		}).Should(Succeed())
		waitGone(ctx, tenant)
		waitGone(ctx, namespaceOf(tenant))
	}

	DescribeTable("is retained at the next look, and a new Tenant of the name says so,", func(ctx SpecContext, isolation v1alpha1.DatabaseIsolation) {
		name := "ghost-" + strings.ToLower(string(isolation))
		spec := func() *builders.TenantBuilder {
			return withDatabase(name, "haunted").Isolation(isolation).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete)
		}
		first := applyReady(ctx, spec())
		living := applyReady(ctx, withDatabase(name+"-living", "haunted").Isolation(isolation))
		password, database := uri(ctx, first), first.Status.Database.Name
		if isolation == v1alpha1.DatabaseIsolationDatabase {
			store(ctx, first, "precious")
		}
		open := session(ctx, first)
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) })
		uproot(ctx, first)
		second := apply(ctx, spec())
		Expect(env.StartOperator(ctx)).To(Succeed())

		Eventually(ctx, komega.Object(second)).Should(stalled(v1alpha1.ReasonConflict,
			fmt.Sprintf("the server has the database %s of a former Tenant %s (UID %s)", database, name, first.UID),
			fmt.Sprintf("write %s in spec.database.adopt to take it over, or New to start with an empty one", database)))
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Retained", ContainElement(And(HaveField("Name", database), HaveField("Tenant", name)))))
		Expect(logsIn(ctx, password)).NotTo(Succeed())
		Expect(open.Ping(ctx)).NotTo(Succeed())
		Expect(ping(ctx, living)).To(Succeed())

		if isolation == v1alpha1.DatabaseIsolationDatabase {
			change(ctx, second, func() { second.Spec.Database.Adopt = database })
			waitReady(ctx, second)
			Expect(stored(ctx, second)).To(Equal([]string{"precious"}))
			return
		}
		change(ctx, second, func() { second.Spec.Database.Adopt = v1alpha1.AdoptNew })
		waitReady(ctx, second)
		Expect(second.Status.Database.Name).NotTo(Equal(database))
		Expect(registered(ctx, machine, name)).To(ConsistOf(database+" Retained", second.Status.Database.Name+" Active"))
		remove(ctx, second)
		Expect(registered(ctx, machine, name)).To(ConsistOf(database + " Retained"))
	},
		Entry("in isolation Database", v1alpha1.DatabaseIsolationDatabase, SpecTimeout(specTimeout)),
		Entry("in isolation Schema", v1alpha1.DatabaseIsolationSchema, SpecTimeout(specTimeout)),
		Entry("in isolation Row", v1alpha1.DatabaseIsolationRow, SpecTimeout(specTimeout)),
	)

	It("is retained while the operator runs, too, unless another cluster has registered it", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("ghost-now", "haunted"))
		Expect(environment.Exec(ctx, machine, "postgres",
			"INSERT INTO tenantry.tenants (uid, tenant, name, isolation, state, cluster) VALUES ('foreign', 'ghost-foreign', 't_foreign', 'Database', 'Active', 'another')")).To(Succeed())
		database := tenant.Status.Database.Name
		uproot(ctx, tenant)
		Eventually(ctx, func() []string { return registered(ctx, machine, "ghost-now") }).Should(Equal([]string{database + " Retained"}))
		Expect(registered(ctx, machine, "ghost-foreign")).To(Equal([]string{"t_foreign Active"}))
	}, SpecTimeout(specTimeout))

	It("is named in the status of its server as long as it can't be retained", func(ctx SpecContext) {
		cluster := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)).To(Succeed())
		tenant := applyReady(ctx, withDatabase("ghost-looked-for", "haunted"))
		Expect(environment.Exec(ctx, machine, "postgres", fmt.Sprintf(
			"INSERT INTO tenantry.tenants (uid, tenant, name, isolation, state, cluster) VALUES ('gone', 'ghost-strange', 't_strange', 'Planet', 'Active', '%s')", cluster.UID))).To(Succeed())
		uproot(ctx, tenant)
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", v1alpha1.ConditionUpkeepFailed), HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonConflict),
			HaveField("Message", And(ContainSubstring("can't lock out the tenants that no longer exist"), ContainSubstring("tenant ghost-strange with UID gone"), ContainSubstring("use the version that made it")))))))
		waitReady(ctx, server)

		Expect(environment.Exec(ctx, machine, "postgres", "DELETE FROM tenantry.tenants WHERE uid = 'gone'")).To(Succeed())
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Conditions", Not(ContainElement(HaveField("Type", v1alpha1.ConditionUpkeepFailed)))))
	}, SpecTimeout(specTimeout))
})
