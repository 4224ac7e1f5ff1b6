package integration

import (
	"context"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/environment"
)

// deleting matches a tenant that is being deleted and says what that waits for.
func deleting(texts ...string) OmegaMatcher {
	return And(
		HaveField("DeletionTimestamp", Not(BeNil())),
		WithTransform(behind, BeZero()),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTerminating, texts...),
	)
}

// onServer returns the databases and roles that a server has of a tenant's database.
func onServer(ctx context.Context, server *postgres.Server, database string) []string {
	GinkgoHelper()
	found, err := environment.Query[string](ctx, server, "postgres",
		`SELECT 'database ' || datname FROM pg_database WHERE datname = $1
		UNION SELECT 'role ' || rolname || CASE WHEN rolcanlogin THEN ' with login' ELSE '' END
		FROM pg_roles WHERE rolname = $1 OR starts_with(rolname, $1 || '_') ORDER BY 1`, database)
	Expect(err).NotTo(HaveOccurred())
	return found
}

// hold creates a ConfigMap with a finalizer in the tenant's namespace, which can't be deleted until release is
// called.
func hold(ctx context.Context, tenant *v1alpha1.Tenant) (release func(ctx context.Context)) {
	GinkgoHelper()
	held := in(tenant, &corev1.ConfigMap{}, "held")
	held.Finalizers = []string{"example.com/hold"}
	Expect(env.Client.Create(ctx, held)).To(Succeed())
	release = func(ctx context.Context) {
		GinkgoHelper()
		Expect(client.IgnoreNotFound(env.Client.Patch(ctx, held, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) { release(ctx) })
	return release
}

// uri returns the connection URI in the tenant's Secret.
func uri(ctx context.Context, tenant *v1alpha1.Tenant) string {
	GinkgoHelper()
	return string(read(ctx, in(tenant, &corev1.Secret{}, effective.Of(tenant).Spec.Database.Credentials.SecretName)).Data["uri"])
}

var _ = Describe("Deleting a tenant with reclaimPolicy Retain", Ordered, func() {
	var first *v1alpha1.Tenant
	var retained, oldLogin string

	BeforeAll(func(ctx SpecContext) {
		first = applyReady(ctx, withDatabase("keeper", shared))
		retained, oldLogin = first.Status.Database.Name, uri(ctx, first)
		store(ctx, first, "precious")
	}, NodeTimeout(specTimeout))

	It("takes away its namespace, and the sessions and logins of its database", func(ctx SpecContext) {
		open := session(ctx, first)
		Expect(kubectl(ctx, "delete", "tenant", "keeper", "--timeout=90s")).To(ContainSubstring("deleted"))
		waitGone(ctx, namespaceOf(first))
		Expect(open.Ping(ctx)).NotTo(Succeed())
		_, err := pgx.Connect(ctx, oldLogin)
		Expect(err).To(MatchError(Or(ContainSubstring("is not permitted to log in"), ContainSubstring("password authentication failed"))))
	}, SpecTimeout(specTimeout))

	It("leaves the data, and says where", func(ctx SpecContext) {
		Expect(onServer(ctx, env.Postgres, retained)).To(ConsistOf("database "+retained, "role "+retained, "role "+retained+"_0", "role "+retained+"_1"))
		Expect(environment.Query[string](ctx, env.Postgres, retained, "SELECT word FROM words")).To(Equal([]string{"precious"}))
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}}
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Retained", ContainElement(And(
			HaveField("Name", retained), HaveField("Tenant", "keeper"), HaveField("Since.Time", Not(BeZero()))))))
		events := &eventsv1.EventList{}
		Expect(env.Client.List(ctx, events)).To(Succeed())
		Expect(events.Items).To(ContainElement(And(
			HaveField("Regarding.UID", first.UID), HaveField("Reason", "DatabaseRetained"),
			HaveField("Note", "Database "+retained+" stays on server shared with its logins disabled; a Tenant takes it over with spec.database.adopt."))))
	}, SpecTimeout(specTimeout))

	It("and creating it again gives a new, empty database", func(ctx SpecContext) {
		second := applyReady(ctx, withDatabase("keeper", shared))
		Expect(second.Status.Database.Name).NotTo(Equal(retained))
		_, err := session(ctx, second).Exec(ctx, "SELECT word FROM words")
		Expect(err).To(MatchError(ContainSubstring(`relation "words" does not exist`)))
		Expect(environment.Query[string](ctx, env.Postgres, retained, "SELECT word FROM words")).To(Equal([]string{"precious"}))
	}, SpecTimeout(specTimeout))

	It("and adopting the database opens the old data by a new password", func(ctx SpecContext) {
		heir := applyReady(ctx, withDatabase("heir", shared).Adopt(retained))
		Expect(heir.Status.Database.Name).To(Equal(retained))
		Expect(stored(ctx, heir)).To(Equal([]string{"precious"}))
		_, err := pgx.Connect(ctx, oldLogin)
		Expect(err).To(MatchError(ContainSubstring("password authentication failed")))
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}}
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Retained", Not(ContainElement(HaveField("Name", retained)))))

		By("refusing it to another tenant")
		thief := apply(ctx, withDatabase("thief", shared).Adopt(retained))
		Eventually(ctx, komega.Object(thief)).Should(And(
			waitsFor(v1alpha1.ReasonConflict, "can't be adopted while tenant heir uses it; delete that tenant with reclaimPolicy Retain first, or adopt another database"),
			stalled(v1alpha1.ReasonConflict)))
		remove(ctx, thief) // It never had a database, so nothing becomes of the heir's.
		Expect(stored(ctx, heir)).To(Equal([]string{"precious"}))
	}, SpecTimeout(specTimeout))

	It("and adopting what isn't there is refused with what to do", func(ctx SpecContext) {
		dreamer := apply(ctx, withDatabase("dreamer", shared).Adopt("t_aaaaaaaaaaaaaaaaaaaa"))
		Eventually(ctx, komega.Object(dreamer)).Should(And(
			waitsFor(v1alpha1.ReasonConflict, "there is no retained database t_aaaaaaaaaaaaaaaaaaaa to adopt on the server; set spec.database.adopt to one that status.retained of the DatabaseServer lists, or leave it out to get a new database"),
			stalled(v1alpha1.ReasonConflict)))
		change(ctx, dreamer, func() { dreamer.Spec.Database.Adopt = "" })
		waitReady(ctx, dreamer)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Deleting a tenant", func() {
	It("with reclaimPolicy Delete drops what was made for it, and nothing else", func(ctx SpecContext) {
		gone := apply(ctx, withDatabase("dropped", shared).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		other := applyReady(ctx, withDatabase("not-dropped", shared))
		waitReady(ctx, gone)
		store(ctx, other, "here")
		session(ctx, gone) // An open session keeps nothing from going.
		remove(ctx, gone)
		Expect(onServer(ctx, env.Postgres, gone.Status.Database.Name)).To(BeEmpty())
		Expect(stored(ctx, other)).To(Equal([]string{"here"}))
		server := read(ctx, &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}})
		Expect(server.Status.Retained).NotTo(ContainElement(HaveField("Tenant", "dropped")))
	}, SpecTimeout(specTimeout))

	It("whose database server is down says so and finishes when it is back", func(ctx SpecContext) {
		server, _ := ownServer(ctx, "asleep")
		kept := apply(ctx, withDatabase("kept-asleep", "asleep"))
		dropped := apply(ctx, withDatabase("dropped-asleep", "asleep").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		waitReady(ctx, kept)
		waitReady(ctx, dropped)
		Expect(server.Kill()).To(Succeed())
		for _, tenant := range []*v1alpha1.Tenant{kept, dropped} {
			Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		}
		for _, tenant := range []*v1alpha1.Tenant{kept, dropped} {
			waitGone(ctx, namespaceOf(tenant))
			Eventually(ctx, komega.Object(tenant)).Should(And(
				HaveField("DeletionTimestamp", Not(BeNil())),
				haveCondition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonTerminating, "asleep does not answer at 127.0.0.1", "connection refused")))
		}
		Expect(server.Restart(ctx)).To(Succeed())
		waitGone(ctx, kept)
		waitGone(ctx, dropped)
		Expect(onServer(ctx, server, kept.Status.Database.Name)).To(HaveLen(4))
		Expect(onServer(ctx, server, kept.Status.Database.Name)).NotTo(ContainElement(HaveSuffix("with login")))
		Expect(onServer(ctx, server, dropped.Status.Database.Name)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("whose DatabaseServer is gone says what to do, and finishes when the server is registered again", func(ctx SpecContext) {
		server := register(ctx, "forgotten", env.Postgres)
		tenant := applyReady(ctx, withDatabase("homesick", "forgotten").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		force(ctx, server)
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(deleting(
			`The tenant's database is on the DatabaseServer "forgotten", which no longer exists; create it again, or, if the data is gone or may stay as it is, remove the finalizer database.tenantry.dev/forgotten from the Tenant.`))
		register(ctx, "forgotten", env.Postgres)
		waitGone(ctx, tenant)
		Expect(onServer(ctx, env.Postgres, tenant.Status.Database.Name)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("whose DatabaseServer is gone finishes when its finalizer is taken off as told, and leaves the data", func(ctx SpecContext) {
		// What is left there counts as a tenant forever, so the server is not shared.
		postgres, server := ownServer(ctx, "written-off")
		tenant := applyReady(ctx, withDatabase("let-go", "written-off").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		force(ctx, server)
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(deleting("remove the finalizer database.tenantry.dev/written-off"))
		change(ctx, tenant, func() { tenant.Finalizers = []string{naming.FinalizerTenant} })
		waitGone(ctx, tenant)
		Expect(onServer(ctx, postgres, tenant.Status.Database.Name)).To(HaveLen(4))
	}, SpecTimeout(specTimeout))

	It("whose namespace something holds says what, drops nothing until it is free, and heeds a change of mind", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("held-up"))
		release := hold(ctx, tenant)
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(deleting("The namespace held-up is being deleted: ", "example.com/hold in 1 resource instances"))
		Expect(kubectl(ctx, "get", "tenant", "held-up", "--no-headers")).To(MatchRegexp(`^held-up +False +The namespace held-up is being deleted: .*example\.com/hold`))
		database := tenant.Status.Database.Name
		Expect(onServer(ctx, env.Postgres, database)).To(ConsistOf("database "+database, "role "+database, "role "+database+"_0", "role "+database+"_1"))

		change(ctx, tenant, func() {
			tenant.Spec.Database.ReclaimPolicy = v1alpha1.ReclaimPolicyDelete
			tenant.Spec.App.Image = "registry.example/shop:2"
		})
		Eventually(ctx, komega.Object(tenant)).Should(deleting())
		release(ctx)
		waitGone(ctx, tenant)
		waitGone(ctx, namespaceOf(tenant))
		Expect(onServer(ctx, env.Postgres, tenant.Status.Database.Name)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("and applying it again at the same time ends with a new one that is Ready", func(ctx SpecContext) {
		before := applyReady(ctx, withDatabase("reborn", shared))
		release := hold(ctx, before)
		Expect(env.Client.Delete(ctx, before)).To(Succeed())
		Eventually(ctx, komega.Object(before)).Should(deleting("example.com/hold"))
		again := withDatabase("reborn", shared).Build()
		Expect(env.Client.Create(ctx, again)).To(MatchError(apierrors.IsAlreadyExists, "already exists"))
		release(ctx)
		Eventually(ctx, func() error {
			again = withDatabase("reborn", shared).Build()
			return env.Client.Create(ctx, again)
		}).Should(Succeed())
		waitReady(ctx, again)
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, again)) })
		Expect(again.UID).NotTo(Equal(before.UID))
		Expect(again.Status.Database.Name).NotTo(Equal(before.Status.Database.Name))
		Expect(metav1.IsControlledBy(read(ctx, namespaceOf(again)), again)).To(BeTrue())
		Expect(ping(ctx, again)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("that never became Ready leaves nothing", func(ctx SpecContext) {
		for _, tenant := range []*v1alpha1.Tenant{
			apply(ctx, whole("stillborn-server").Database("nowhere")),
			apply(ctx, whole("stillborn-app").App("missing.invalid/x:1").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete)),
		} {
			Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionReady, "False",
				map[string]string{"stillborn-server": v1alpha1.ReasonServerNotFound, "stillborn-app": "ImagePullBackOff"}[tenant.Name]))
			remove(ctx, tenant)
			waitGone(ctx, namespaceOf(tenant))
			if tenant.Status.Database != nil {
				Expect(onServer(ctx, env.Postgres, tenant.Status.Database.Name)).To(BeEmpty())
			}
		}
	}, SpecTimeout(specTimeout))

	It("at the very moment it was created leaves nothing", func(ctx SpecContext) {
		registered := func() ([]string, error) {
			return environment.Query[string](ctx, env.Postgres, "postgres", "SELECT name FROM tenantry.tenants WHERE tenant = 'mayfly'")
		}
		for range 3 {
			tenant := whole("mayfly").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete).Build()
			Expect(env.Client.Create(ctx, tenant)).To(Succeed())
			remove(ctx, tenant)
			waitGone(ctx, namespaceOf(tenant))
			Expect(registered()).To(BeEmpty())
		}
	}, SpecTimeout(specTimeout))

	It("in the foreground, as Argo CD does, takes all of it away", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("foreground").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		kubectl(ctx, "delete", "tenant", "foreground", "--cascade=foreground", "--timeout=90s")
		waitGone(ctx, namespaceOf(tenant))
		Expect(onServer(ctx, env.Postgres, tenant.Status.Database.Name)).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})
