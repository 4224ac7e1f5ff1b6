package integration

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// withDatabase begins a tenant that has a database on the server, and nothing else.
func withDatabase(name, server string) *builders.TenantBuilder {
	return builders.Tenant(name).Database(server)
}

// waitsFor matches a tenant that has everything but the database.
func waitsFor(reason string, texts ...string) OmegaMatcher {
	matchers := []OmegaMatcher{
		WithTransform(behind, BeZero()),
		haveCondition(v1alpha1.ConditionDatabaseReady, metav1.ConditionFalse, reason, texts...),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, texts...),
	}
	for _, part := range []string{
		v1alpha1.ConditionNamespaceReady, v1alpha1.ConditionQuotaReady, v1alpha1.ConditionNetworkReady, v1alpha1.ConditionAccessReady,
	} {
		matchers = append(matchers, haveCondition(part, metav1.ConditionTrue, v1alpha1.ReasonReady))
	}
	return And(matchers...)
}

// misconfigured creates a DatabaseServer for the shared PostgreSQL server, without the admin's Secret,
// <name>-admin.
func misconfigured(ctx context.Context, name string) *v1alpha1.DatabaseServer {
	GinkgoHelper()
	server := builders.DatabaseServer(name, env.Postgres.Host).Port(int32(env.Postgres.Port)).
		SSLMode(v1alpha1.SSLModeDisable).AdminSecret(operator.Namespace, name+"-admin").Build()
	Expect(env.Client.Create(ctx, server)).To(Succeed())
	return server
}

// adminSecret creates the Secret that misconfigured leaves out.
func adminSecret(ctx context.Context, server string, data map[string]string) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: server + "-admin"}, StringData: data,
	}
	Expect(env.Client.Create(ctx, secret)).To(Succeed())
	return secret
}

var _ = Describe("A tenant's login", Ordered, func() {
	var tenant, other *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant, other = apply(ctx, withDatabase("logged-in", shared)), apply(ctx, withDatabase("next-door", shared))
		waitReady(ctx, tenant)
		waitReady(ctx, other)
	}, NodeTimeout(specTimeout))

	secret := func(ctx context.Context, of *v1alpha1.Tenant) map[string][]byte {
		GinkgoHelper()
		return read(ctx, in(of, &corev1.Secret{}, "database")).Data
	}

	It("opens its database, where it may do as it likes", func(ctx SpecContext) {
		conn := session(ctx, tenant)
		for _, statement := range []string{
			"CREATE TABLE items (id int PRIMARY KEY)", "INSERT INTO items VALUES (1)", "ALTER TABLE items ADD name text",
			"CREATE SCHEMA reports", "CREATE TEMP TABLE scratch (id int)", "CREATE EXTENSION pgcrypto", "DROP TABLE items",
		} {
			_, err := conn.Exec(ctx, statement)
			Expect(err).NotTo(HaveOccurred(), statement)
		}
	}, SpecTimeout(specTimeout))

	It("works by each of the forms in the Secret", func(ctx SpecContext) {
		data := secret(ctx, tenant)
		keywords := fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=%s",
			data["PGHOST"], data["PGPORT"], data["PGDATABASE"], data["PGUSER"], data["PGPASSWORD"], data["PGSSLMODE"])
		for _, form := range []string{string(data["uri"]), string(data["DATABASE_URL"]), keywords} {
			conn, err := pgx.Connect(ctx, form)
			Expect(err).NotTo(HaveOccurred())
			Expect(conn.Close(ctx)).To(Succeed())
		}
	}, SpecTimeout(specTimeout))

	It("opens no other database, neither of another tenant nor of the server", func(ctx SpecContext) {
		config, err := pgx.ParseConfig(string(secret(ctx, tenant)["uri"]))
		Expect(err).NotTo(HaveOccurred())
		for _, database := range []string{other.Status.Database.Name, "postgres", "template1"} {
			config.Database = database
			_, err := pgx.ConnectConfig(ctx, config)
			Expect(err).To(MatchError(ContainSubstring("permission denied for database")), database)
		}
	}, SpecTimeout(specTimeout))

	It("is of no use with the password of another tenant", func(ctx SpecContext) {
		config, err := pgx.ParseConfig(string(secret(ctx, tenant)["uri"]))
		Expect(err).NotTo(HaveOccurred())
		config.Password = string(secret(ctx, other)["password"])
		_, err = pgx.ConnectConfig(ctx, config)
		Expect(err).To(MatchError(ContainSubstring("password authentication failed")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A tenant on a server that", func() {
	It("doesn't exist has all else, and gets its database when the server is registered", func(ctx SpecContext) {
		tenant := apply(ctx, whole("early").Database("to-come"))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			waitsFor(v1alpha1.ReasonServerNotFound, `There is no DatabaseServer "to-come"; create it, or name another one in spec.database.serverRef.`),
			haveCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonServerNotFound),
			lack(v1alpha1.ConditionStalled)))
		Expect(kubectl(ctx, "get", "tenant", "early", "--no-headers")).To(MatchRegexp(`^early +False +There is no DatabaseServer "to-come"; .* +ServerNotFound `))
		register(ctx, "to-come", env.Postgres)
		waitReady(ctx, tenant)
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("doesn't exist may be given another one, or none", func(ctx SpecContext) {
		tenant := apply(ctx, withDatabase("misled", "nowhere"))
		Eventually(ctx, komega.Object(tenant)).Should(waitsFor(v1alpha1.ReasonServerNotFound))
		change(ctx, tenant, func() { tenant.Spec.Database.ServerRef.Name = shared })
		waitReady(ctx, tenant)
		Expect(ping(ctx, tenant)).To(Succeed())

		none := apply(ctx, withDatabase("content", "nowhere").DisplayName("Content"))
		Eventually(ctx, komega.Object(none)).Should(waitsFor(v1alpha1.ReasonServerNotFound))
		change(ctx, none, func() { none.Spec.Database = nil })
		waitReady(ctx, none)
		Expect(none).To(lack(v1alpha1.ConditionDatabaseReady))
	}, SpecTimeout(specTimeout))

	It("refuses the admin's password waits until the Secret is corrected", func(ctx SpecContext) {
		const wrong = "wrong-password-of-the-admin"
		seen.add(wrong)
		secret := adminSecret(ctx, "mistyped", map[string]string{"username": environment.OperatorRole, "password": wrong})
		server := misconfigured(ctx, "mistyped")
		Eventually(ctx, komega.Object(server)).Should(stalled(v1alpha1.ReasonAuthenticationFailed,
			"database server mistyped refuses to log the administrator", "correct username and password in the Secret that spec.adminSecretRef names"))
		tenant := apply(ctx, withDatabase("patient", "mistyped"))
		Eventually(ctx, komega.Object(tenant)).Should(waitsFor(v1alpha1.ReasonServerNotReady,
			`DatabaseServer "mistyped" is not ready`, "refuses to log the administrator"))

		change(ctx, secret, func() { secret.Data["password"] = []byte(env.Postgres.Password) })
		waitReady(ctx, server)
		waitReady(ctx, tenant)
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("lacks its admin's Secret, or a key in it, says which, and waits for it", func(ctx SpecContext) {
		server := misconfigured(ctx, "keyless")
		Eventually(ctx, komega.Object(server)).Should(stalled(v1alpha1.ReasonSecretNotFound,
			`There is no Secret "keyless-admin" in namespace "tenantry-system"; create it.`))
		tenant := apply(ctx, withDatabase("waiting-for-key", "keyless"))
		Eventually(ctx, komega.Object(tenant)).Should(waitsFor(v1alpha1.ReasonServerNotReady, `There is no Secret "keyless-admin"`))

		secret := adminSecret(ctx, "keyless", map[string]string{"username": environment.OperatorRole})
		Eventually(ctx, komega.Object(server)).Should(stalled(v1alpha1.ReasonSecretNotFound,
			`The Secret "keyless-admin" in namespace "tenantry-system" has no key "password"; add it.`))
		change(ctx, secret, func() { secret.Data["password"] = []byte(env.Postgres.Password) })
		waitReady(ctx, server)
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("has an admin who is no superuser is told so", func(ctx SpecContext) {
		Expect(environment.Exec(ctx, env.Postgres, "postgres",
			"CREATE ROLE modest LOGIN PASSWORD 'modest-password'", "GRANT CONNECT ON DATABASE postgres TO modest")).To(Succeed())
		adminSecret(ctx, "modest", map[string]string{"username": "modest", "password": "modest-password"})
		server := misconfigured(ctx, "modest")
		Eventually(ctx, komega.Object(server)).Should(stalled(v1alpha1.ReasonInvalid,
			`its administrator "modest" is not a superuser; run ALTER ROLE`))
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "ALTER ROLE modest SUPERUSER")).To(Succeed())
		waitReady(ctx, server)
		remove(ctx, server)
	}, SpecTimeout(specTimeout))

	It("has nobody listening waits, and the server says where it looked", func(ctx SpecContext) {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		free := listener.Addr().(*net.TCPAddr).Port
		Expect(listener.Close()).To(Succeed())
		adminSecret(ctx, "silent", map[string]string{"username": environment.OperatorRole, "password": env.Postgres.Password})
		server := misconfigured(ctx, "silent")
		change(ctx, server, func() { server.Spec.Port = int32(free) })
		Eventually(ctx, komega.Object(server)).Should(And(
			haveCondition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonUnreachable,
				"database server silent does not answer at 127.0.0.1:"+strconv.Itoa(free), "connection refused"),
			haveCondition(v1alpha1.ConditionReconciling, "True", v1alpha1.ReasonUnreachable)))
		remove(ctx, server)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("When a database server goes down", Ordered, func() {
	It("its tenants say so, those of other servers don't notice, and all is well when it is back", func(ctx SpecContext) {
		postgres, server := ownServer(ctx, "unsteady")
		settled := applyReady(ctx, whole("steadfast").Database("unsteady"))
		elsewhere := applyReady(ctx, whole("elsewhere"))
		store(ctx, settled, "kept")
		growing := applyReady(ctx, bare("growing").App(image).Replicas(2))
		pods, grown := podUIDs(ctx, settled), podUIDs(ctx, growing)

		Expect(postgres.Kill()).To(Succeed())
		Eventually(ctx, komega.Object(server)).Should(haveCondition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonUnreachable, "connection refused"))
		Eventually(ctx, komega.Object(settled)).Should(And(
			waitsFor(v1alpha1.ReasonServerNotReady, `DatabaseServer "unsteady" is not ready`, "connection refused"),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady)))
		Expect(podUIDs(ctx, settled)).To(ConsistOf(pods))

		newcomer := apply(ctx, whole("newcomer").Database("unsteady"))
		Eventually(ctx, komega.Object(newcomer)).Should(waitsFor(v1alpha1.ReasonServerNotReady, "connection refused"))
		Expect(managedObjects(ctx, "newcomer")).To(And(ContainElements("resourcequota/tenant", "networkpolicy.networking.k8s.io/deny-all",
			"rolebinding.rbac.authorization.k8s.io/tenant-admin", "secret/database", "service/app"), Not(ContainElement("deployment.apps/app"))))
		Expect(newcomer).To(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, "The app waits for its database."))

		By("and an app that runs without a database does so until it has one")
		change(ctx, growing, func() { growing.Spec.Database = whole("growing").Database("unsteady").Build().Spec.Database })
		Eventually(ctx, komega.Object(growing)).Should(And(waitsFor(v1alpha1.ReasonServerNotReady, "connection refused"),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady)))
		Expect(podUIDs(ctx, growing)).To(ConsistOf(grown))
		applyReady(ctx, whole("meanwhile"))
		before := elsewhere.DeepCopy()
		Expect(read(ctx, elsewhere).Status.Conditions).To(Equal(before.Status.Conditions))

		Expect(postgres.Restart(ctx)).To(Succeed())
		waitReady(ctx, server)
		waitReady(ctx, settled)
		waitReady(ctx, newcomer)
		Eventually(ctx, func() any { return podUIDs(ctx, growing) }).Should(And(HaveLen(2), Not(ContainElements(grown))))
		waitReady(ctx, growing)
		Expect(stored(ctx, settled)).To(Equal([]string{"kept"}))
		Expect(podUIDs(ctx, settled)).To(ConsistOf(pods))
		Expect(ping(ctx, newcomer)).To(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A database server", func() {
	It("that is full says so to the tenants it has no room for, and takes them when there is room", func(ctx SpecContext) {
		_, server := ownServer(ctx, "small")
		change(ctx, server, func() { server.Spec.Capacity = &v1alpha1.DatabaseServerCapacity{Tenants: ptr.To[int32](1)} })
		waitReady(ctx, server)
		first := applyReady(ctx, withDatabase("first-in", "small"))
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Tenants", HaveValue(Equal(int32(1)))))
		Expect(kubectl(ctx, "get", "dbs", "small", "--no-headers")).To(MatchRegexp(`^small +True .* +1 +1 +\d+\w+\n$`))

		second := apply(ctx, withDatabase("second-in", "small"))
		third := apply(ctx, withDatabase("third-in", "small"))
		for _, refused := range []*v1alpha1.Tenant{second, third} {
			Eventually(ctx, komega.Object(refused)).Should(And(
				waitsFor(v1alpha1.ReasonServerFull, "it has 1 tenants and its spec.capacity.tenants is 1; raise that, or name another server in spec.database.serverRef"),
				stalled(v1alpha1.ReasonServerFull)))
		}
		// Neither is placed, so one can still choose another server.
		change(ctx, third, func() { third.Spec.Database.ServerRef.Name = shared })
		waitReady(ctx, third)

		change(ctx, server, func() { server.Spec.Capacity.Tenants = ptr.To[int32](2) })
		waitReady(ctx, second)
		Expect(read(ctx, first)).To(beReady())

		fourth := apply(ctx, withDatabase("fourth-in", "small"))
		Eventually(ctx, komega.Object(fourth)).Should(stalled(v1alpha1.ReasonServerFull))
		remove(ctx, first) // Its database is retained, which doesn't count.
		waitReady(ctx, fourth)
	}, SpecTimeout(specTimeout))

	It("that is reached by another name takes its tenants' logins and policies along", func(ctx SpecContext) {
		server := register(ctx, "readdressed", env.Postgres)
		tenant := applyReady(ctx, whole("follower").Database("readdressed"))
		store(ctx, tenant, "kept")
		pods := podUIDs(ctx, tenant)
		change(ctx, server, func() { server.Spec.Host = "localhost" })
		Eventually(ctx, komega.Object(in(tenant, &corev1.Secret{}, "database"))).Should(HaveField("Data", And(
			HaveKeyWithValue("host", []byte("localhost")), HaveKeyWithValue("uri", ContainSubstring("@localhost:")))))
		waitReady(ctx, server)
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), HaveField("Status.Database.Host", "localhost")))
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))
		Eventually(ctx, func() any { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), Not(ContainElements(pods))))
		Expect(server.Status.Addresses).To(ContainElement("127.0.0.1"))

		peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "postgresql"}}}}
		change(ctx, server, func() { server.Spec.NetworkPeers = peers })
		Eventually(ctx, komega.Object(in(tenant, &networkingv1.NetworkPolicy{}, "allow-database"))).Should(
			HaveField("Spec.Egress", ConsistOf(HaveField("To", Equal(peers)))))
	}, SpecTimeout(specTimeout))

	It("that is deleted by force leaves its tenants running, and is told apart from one that comes back", func(ctx SpecContext) {
		server := register(ctx, "vanishing", env.Postgres)
		tenant := applyReady(ctx, whole("left-behind").Database("vanishing"))
		store(ctx, tenant, "kept")
		template := read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template
		force(ctx, server)
		Eventually(ctx, komega.Object(tenant)).Should(And(
			waitsFor(v1alpha1.ReasonServerNotFound, `There is no DatabaseServer "vanishing"`),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady)))
		Expect(read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template).To(Equal(template))
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))

		_, err := env.ApplyDatabaseServer(ctx, "vanishing", env.Postgres)
		Expect(err).NotTo(HaveOccurred())
		waitReady(ctx, tenant)
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))
		read(ctx, server)
	}, SpecTimeout(specTimeout))

	It("has nothing in the names of databases and roles that tells of tenants", func(ctx SpecContext) {
		tenant := applyReady(ctx, withDatabase("secretive", shared))
		names, err := environment.Query[string](ctx, env.Postgres, "postgres", "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ContainElement(tenant.Status.Database.Name))
		Expect(names).NotTo(ContainElement(ContainSubstring("secretive")))
		Expect(strings.Join(names, " ")).NotTo(ContainSubstring(string(tenant.UID)))
	}, SpecTimeout(specTimeout))
})
