package dedicated

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// isolated begins a tenant with a dedicated server of the version that this machine has.
func isolated(name string) *builders.TenantBuilder {
	return builders.Tenant(name).Dedicated(func(server *v1alpha1.DedicatedServer) {
		server.Storage, server.Version = new(resource.MustParse("1Gi")), "15"
	})
}

func apply(ctx context.Context, builder *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	tenant := builder.Build()
	Expect(env.Client.Create(ctx, tenant)).To(Succeed())
	return tenant
}

func waitReady(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionTrue, Equal("Everything is in place.")))
}

// says matches a tenant or server with an up-to-date status whose condition Ready has this status and message.
func says(status metav1.ConditionStatus, message gomegatypes.GomegaMatcher) gomegatypes.GomegaMatcher {
	return WithTransform(func(object client.Object) (string, error) {
		var conditions []metav1.Condition
		switch object := object.(type) {
		case *v1alpha1.Tenant:
			conditions = object.Status.Conditions
		case *v1alpha1.DatabaseServer:
			conditions = object.Status.Conditions
		}
		ready := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.ObservedGeneration != object.GetGeneration() || ready.Status != status {
			return fmt.Sprintf("not yet: %v", ready), nil
		}
		return ready.Message, nil
	}, message)
}

// secretOf returns the tenant's login as its app finds it.
func secretOf(ctx context.Context, tenant *v1alpha1.Tenant) map[string]string {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(env.Client.Get(ctx, types.NamespacedName{Namespace: tenant.Name, Name: "database"}, secret)).To(Succeed())
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	return values
}

// connect logs in with the tenant's Secret. It verifies the host name in the certificate, and gets the address
// from the node.
func connect(ctx context.Context, tenant *v1alpha1.Tenant) (*pgx.Conn, error) {
	values := secretOf(ctx, tenant)
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=disable",
		machine.addressOf(naming.DedicatedServer(tenant.Name)), values["PGPORT"], values["PGDATABASE"], values["PGUSER"], values["PGPASSWORD"]))
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM([]byte(values["ca.crt"]))
	config.TLSConfig = &tls.Config{ServerName: values["PGHOST"], RootCAs: authorities, MinVersion: tls.VersionTLS12}
	return pgx.ConnectConfig(ctx, config)
}

// ask runs statements as the tenant and returns the result of the last one.
func ask(ctx context.Context, tenant *v1alpha1.Tenant, statements ...string) (string, error) {
	conn, err := connect(ctx, tenant)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	answer := ""
	for _, statement := range statements {
		rows, err := conn.Query(ctx, statement)
		if err != nil {
			return "", err
		}
		answers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			values, err := row.Values()
			return fmt.Sprint(values...), err
		})
		if err != nil {
			return "", err
		}
		answer = fmt.Sprint(answers)
	}
	return answer, nil
}

func change(ctx context.Context, object client.Object, how func()) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, komega.New(env.Client).WithContext(ctx).Update(object, how))
}

// inDatabases returns an object of the tenant's server.
func inDatabases[T client.Object](tenant *v1alpha1.Tenant, object T, suffix string) T {
	object.SetNamespace(naming.DatabasesNamespace)
	object.SetName(naming.DedicatedServer(tenant.Name) + suffix)
	return object
}

func serverOf(tenant *v1alpha1.Tenant) *v1alpha1.DatabaseServer {
	return &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: naming.DedicatedServer(tenant.Name)}}
}

func remove(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
	waitGone(ctx, tenant)
	waitGone(ctx, serverOf(tenant))
	waitGone(ctx, inDatabases(tenant, &appsv1.StatefulSet{}, ""))
}

// atRest waits until the operator has reconciled each tenant and each server that many more times on average, and
// the queues are empty.
func atRest(ctx context.Context, times int) {
	GinkgoHelper()
	lookedAt(ctx, "tenant", &v1alpha1.TenantList{}, times)
	lookedAt(ctx, "databaseserver", &v1alpha1.DatabaseServerList{}, times)
}

// lookedAt waits until a controller has reconciled its objects that many more times on average, and its queue is
// empty.
func lookedAt(ctx context.Context, controller string, objects client.ObjectList, times int) {
	GinkgoHelper()
	reader, err := env.Operator.Metrics(ctx, env.Client)
	Expect(err).NotTo(HaveOccurred())
	Expect(env.Client.List(ctx, objects)).To(Succeed())
	var before int
	Eventually(ctx, func() (err error) {
		before, err = reader.Reconciles(ctx, controller)
		return err
	}).Should(Succeed(), "the metrics may be there later than the operator")
	Eventually(ctx, reader.Reconciles).WithArguments(ctx, controller).Should(BeNumerically(">=", before+times*apimeta.LenList(objects)))
	Eventually(ctx, reader.Busy).WithArguments(ctx, controller).Should(BeZero())
}

// ofTenant matches a request about an object of the tenant, or of its server.
func ofTenant(name string) gomegatypes.GomegaMatcher {
	return WithTransform(func(request environment.Request) string { return request.String() }, ContainSubstring(name))
}

func waitGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, komega.Get(object)).Should(MatchError(apierrors.IsNotFound, "is not found"))
}

// limitVolume mounts a volume with the size in the options.
func limitVolume(ctx context.Context, claim, options string) {
	GinkgoHelper()
	dir := machine.volume(claim)
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	output, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}

var _ = Describe("A tenant with a server of its own", func() {
	It("goes from nothing to a login in it, which is nobody's superuser", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("alone").ConnectionLimit(120).Extensions("pg_trgm"))
		waitReady(ctx, tenant)

		By("the login works by TLS, verified by the name of the host, and not without")
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')",
			"SELECT text, similarity('kept', text) FROM notes")).To(Equal("[kept1]"))
		values := secretOf(ctx, tenant)
		Expect(values).To(And(HaveKeyWithValue("PGSSLMODE", "verify-full"), HaveKeyWithValue("PGHOST", "dedicated-alone-rw.tenantry-databases.svc")))
		_, err := pgx.Connect(ctx, fmt.Sprintf("host=%s user=%s password=%s dbname=%s sslmode=disable",
			machine.addressOf("dedicated-alone"), values["PGUSER"], values["PGPASSWORD"], values["PGDATABASE"]))
		Expect(err).To(MatchError(ContainSubstring("no encryption")))

		By("it has no more rights than on a server that tenants share")
		for _, attack := range []string{
			"ALTER ROLE CURRENT_USER SUPERUSER", "SET ROLE postgres", "SELECT pg_read_file('PG_VERSION')",
			"COPY notes TO PROGRAM 'true'", "CREATE ROLE accomplice", "SELECT rolpassword FROM pg_authid", "ALTER SYSTEM SET fsync = off",
		} {
			_, err := ask(ctx, tenant, attack)
			Expect(err).To(MatchError(func(err error) bool {
				answer, ok := errors.AsType[*pgconn.PgError](err)
				return ok && answer.Code == "42501"
			}, "is refused"), attack)
		}
		Expect(ask(ctx, tenant, "SHOW max_connections")).To(Equal("[260]"), "both logins may have the limit of 120 while the app changes over")

		By("people see it beside the servers that tenants share")
		server := serverOf(tenant)
		Expect(komega.Get(server)()).To(Succeed())
		Expect(server).To(says(metav1.ConditionTrue, Equal("The server answers and is prepared for tenants.")))
		Expect(server.Status.Provisioner).To(Equal(v1alpha1.ProvisionerStatefulSet))
		Expect(tenant.Status.Database.Version).To(HavePrefix("15."))
		Expect(tenant.Status.Database.Storage.String()).To(Equal("1Gi"))
		Expect(tenant.Status.Database.Isolation).To(Equal(v1alpha1.DatabaseIsolationDedicated))

		By("no other tenant gets in")
		other := apply(ctx, builders.Tenant("intruder").Database("dedicated-alone"))
		Eventually(ctx, komega.Object(other)).Should(says(metav1.ConditionFalse, ContainSubstring(`DatabaseServer "dedicated-alone" offers the isolations [Dedicated] and not Database`)))
		policy := inDatabases(tenant, &networkingv1.NetworkPolicy{}, "")
		Expect(komega.Get(policy)()).To(Succeed())
		Expect(policy.Spec.Ingress).To(HaveLen(1))
		Expect(policy.Spec.Ingress[0].From).To(ConsistOf(
			HaveField("NamespaceSelector.MatchLabels", Equal(map[string]string{naming.LabelTenant: "alone"})),
			HaveField("NamespaceSelector.MatchLabels", Equal(map[string]string{corev1.LabelMetadataName: "tenantry-system"}))))
	}, SpecTimeout(specTimeout))

	It("keeps its data through a crash of the server, a lost Secret and a changed size", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("sturdy"))
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')", "SELECT 1")).To(Equal("[1]"))
		kept := func(g Gomega) { g.Expect(ask(ctx, tenant, "SELECT text FROM notes")).To(Equal("[kept]")) }

		By("killed, it recovers")
		pod := inDatabases(tenant, &corev1.Pod{}, "-0")
		Expect(komega.Get(pod)()).To(Succeed())
		Expect(machine.crash(ctx, pod)).To(Succeed())
		Eventually(ctx, kept).Should(Succeed())

		By("its superuser gets another password when somebody deletes the Secret")
		superuser := inDatabases(tenant, &corev1.Secret{}, "-superuser")
		Expect(komega.Get(superuser)()).To(Succeed())
		former := superuser.DeepCopy()
		Expect(env.Client.Delete(ctx, superuser)).To(Succeed())
		Eventually(ctx, komega.Get(superuser)).Should(Succeed())
		Expect(superuser.Data["password"]).NotTo(Equal(former.Data["password"]))
		Eventually(ctx, komega.Get(pod)).Should(Succeed())
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says(metav1.ConditionTrue, Equal("The server answers and is prepared for tenants.")))
		Eventually(ctx, kept).Should(Succeed())

		By("its certificate is another one when that Secret is gone, and the app is told")
		authority := secretOf(ctx, tenant)["ca.crt"]
		Expect(env.Client.Delete(ctx, inDatabases(tenant, &corev1.Secret{}, "-server"))).To(Succeed())
		Eventually(ctx, func() string { return secretOf(ctx, tenant)["ca.crt"] }).ShouldNot(Equal(authority))
		Eventually(ctx, kept).Should(Succeed())
		waitReady(ctx, tenant)

		By("what somebody has changed about it is put back")
		set := inDatabases(tenant, &appsv1.StatefulSet{}, "")
		Expect(change(ctx, set, func() { set.Spec.Replicas = new(int32(0)) })).To(Succeed())
		Eventually(ctx, komega.Object(set)).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
		Eventually(ctx, kept).Should(Succeed())
	}, SpecTimeout(specTimeout))

	It("gets more storage where its StorageClass allows that, and never less", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("growing").Dedicated(func(server *v1alpha1.DedicatedServer) { server.StorageClassName = expandable }))
		waitReady(ctx, tenant)
		claim := inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data")
		Expect(change(ctx, tenant, func() { tenant.Spec.Database.Dedicated.Storage = new(resource.MustParse("2Gi")) })).To(Succeed())
		Eventually(ctx, komega.Object(claim)).Should(HaveField("Spec.Resources.Requests", HaveKeyWithValue(corev1.ResourceStorage, resource.MustParse("2Gi"))))
		waitReady(ctx, tenant)
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Database.Storage.String()", "2Gi"))
		Expect(change(ctx, tenant, func() { tenant.Spec.Database.Dedicated.Storage = new(resource.MustParse("1Gi")) })).
			To(MatchError(ContainSubstring("the volume has 2Gi and can not shrink; write that or more")))

		By("and says so where it does not, until the size is written that it has")
		stuck := apply(ctx, isolated("stuck"))
		waitReady(ctx, stuck)
		Expect(change(ctx, stuck, func() { stuck.Spec.Database.Dedicated.Storage = new(resource.MustParse("2Gi")) })).To(Succeed())
		Eventually(ctx, komega.Object(stuck)).Should(says(metav1.ConditionFalse, And(
			ContainSubstring("The volume can't grow to 2Gi"), ContainSubstring("must support resize"),
			ContainSubstring("Write its present size in spec.database.dedicated.storage of the Tenant"))))
		Eventually(ctx, komega.Object(serverOf(stuck))).Should(says(metav1.ConditionTrue, ContainSubstring("The server answers, as it is. The volume can't grow to 2Gi")))

		By("the server goes on meanwhile, and so does what the operator does on it")
		login := stuck.Status.Database.Login
		Expect(change(ctx, stuck, func() { stuck.Annotations = map[string]string{v1alpha1.AnnotationRotateCredentials: "now"} })).To(Succeed())
		Eventually(ctx, komega.Object(stuck)).Should(HaveField("Status.Database.Login", Not(Equal(login))))
		Expect(ask(ctx, stuck, "SELECT 1")).To(Equal("[1]"))
		Expect(change(ctx, stuck, func() { stuck.Spec.Database.Dedicated.Storage = new(resource.MustParse("1Gi")) })).To(Succeed())
		waitReady(ctx, stuck)
	}, SpecTimeout(specTimeout))

	It("leaves its data behind when it is deleted, for one of the same name to take over", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("phoenix"))
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')", "SELECT 1")).To(Equal("[1]"))
		former := tenant.Status.Database.Name
		remove(ctx, tenant)
		claim := inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data")
		Expect(komega.Get(claim)()).To(Succeed())
		Expect(claim.Annotations).To(HaveKeyWithValue(naming.AnnotationDatabase, former))

		By("one that does not ask for it is told, and gets nothing of it")
		stranger := apply(ctx, isolated("phoenix"))
		Eventually(ctx, komega.Object(stranger)).Should(says(metav1.ConditionFalse,
			ContainSubstring("has the data of another database; its annotation tenantry.dev/database says which, to take it over by spec.database.adopt")))
		remove(ctx, stranger)
		Expect(komega.Get(claim)()).To(Succeed())

		By("one that does has it all, also when it asks for that later")
		heir := apply(ctx, isolated("phoenix").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		Eventually(ctx, komega.Object(heir)).Should(says(metav1.ConditionFalse, ContainSubstring("has the data of another database")))
		Expect(change(ctx, heir, func() { heir.Spec.Database.Adopt = former })).To(Succeed())
		waitReady(ctx, heir)
		Expect(ask(ctx, heir, "SELECT text FROM notes")).To(Equal("[kept]"))

		By("and nothing is left when its policy is to delete the data")
		remove(ctx, heir)
		waitGone(ctx, claim)
		Eventually(ctx, func() (int, error) {
			secrets := &corev1.SecretList{}
			err := env.Client.List(ctx, secrets, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{naming.LabelTenant: "phoenix"})
			return len(secrets.Items), err
		}).Should(BeZero())
	}, SpecTimeout(specTimeout))

	It("is not made for a database to adopt that is not there, and can have an empty one instead", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("mistaken").Adopt("t_abcdefghij2345672345"))
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionFalse, And(
			ContainSubstring(`that has the database t_abcdefghij2345672345, neither a PersistentVolumeClaim "dedicated-mistaken-data" nor a Cluster "dedicated-mistaken"`),
			ContainSubstring("leave it out to start with an empty database"))))
		Expect(komega.Get(inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data"))()).To(MatchError(apierrors.IsNotFound, "is not found"))
		Expect(change(ctx, tenant, func() { tenant.Spec.Database.Adopt = "" })).To(Succeed())
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("does with its data what its tenant said last, also when somebody wants the server deleted", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("hesitant").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		waitReady(ctx, tenant)
		Expect(env.Client.Delete(ctx, serverOf(tenant))).To(Succeed())
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says(metav1.ConditionTrue, ContainSubstring("It is deleted once no tenant has its database there any more, and 1 have")))
		Expect(change(ctx, tenant, func() { tenant.Spec.Database.ReclaimPolicy = v1alpha1.ReclaimPolicyRetain })).To(Succeed())
		remove(ctx, tenant)
		Expect(komega.Object(inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data"))()).To(HaveField("DeletionTimestamp", BeNil()))
	}, SpecTimeout(specTimeout))

	It("can have another volume as long as it has none, and goes without a trace when it is not wanted any more", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("undecided").Dedicated(func(server *v1alpha1.DedicatedServer) {
			server.Storage, server.StorageClassName = new(resource.MustParse("100Ti")), "nowhere"
		}))
		claim := inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data")
		Eventually(ctx, komega.Get(claim)).Should(Succeed())
		Expect(change(ctx, tenant, func() {
			tenant.Spec.Database.Dedicated.Storage = new(resource.MustParse("2Gi"))
			tenant.Spec.Database.Dedicated.StorageClassName = "nowhere-either"
		})).To(Succeed())
		Eventually(ctx, komega.Object(claim)).Should(And(HaveField("Spec.StorageClassName", HaveValue(Equal("nowhere-either"))),
			HaveField("Spec.Resources.Requests", HaveKeyWithValue(corev1.ResourceStorage, resource.MustParse("2Gi")))))

		_, err := env.ApplyDatabaseServer(ctx, "shared", env.Postgres)
		Expect(err).NotTo(HaveOccurred())
		Expect(change(ctx, tenant, func() {
			tenant.Spec.Database.Dedicated, tenant.Spec.Database.Isolation = nil, v1alpha1.DatabaseIsolationDatabase
			tenant.Spec.Database.ServerRef.Name = "shared"
		})).To(Succeed())
		waitReady(ctx, tenant)
		waitGone(ctx, serverOf(tenant))
		waitGone(ctx, claim)

		By("what was written by mistake can be left out")
		corrected := apply(ctx, isolated("corrected").Dedicated(func(server *v1alpha1.DedicatedServer) { server.StorageClassName = "nowhere" }))
		Eventually(ctx, komega.Object(corrected)).Should(says(metav1.ConditionFalse, ContainSubstring("dedicated-corrected")))
		Expect(change(ctx, corrected, func() { corrected.Spec.Database.Dedicated.StorageClassName = "" })).To(Succeed())
		waitReady(ctx, corrected)
	}, SpecTimeout(specTimeout))

	It("leaves somebody else's volume of that name alone, also when it is to be deleted with its data", func(ctx SpecContext) {
		foreign := inDatabases(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "squatted"}}, &corev1.PersistentVolumeClaim{
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			},
		}, "-data")
		Expect(env.Client.Create(ctx, foreign)).To(Succeed())
		tenant := apply(ctx, isolated("squatted").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionFalse, ContainSubstring("has the data of another database")))
		remove(ctx, tenant)
		Expect(komega.Object(foreign)()).To(HaveField("DeletionTimestamp", BeNil()))
	}, SpecTimeout(specTimeout))

	It("keeps the data of a tenant that is deleted with all that it owns first", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("foreground"))
		waitReady(ctx, tenant)
		Expect(env.Client.Delete(ctx, tenant, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		waitGone(ctx, tenant)
		waitGone(ctx, serverOf(tenant))
		Expect(komega.Get(inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data"))()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("says that its disk is full, and goes on once there is room", func(ctx SpecContext) {
		By("an empty server takes 40 MB, and a database 7 MB more")
		limitVolume(ctx, "dedicated-full-data", "size=45m")
		tenant := apply(ctx, isolated("full"))
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionFalse, And(
			ContainSubstring("its disk is full"), ContainSubstring("No space left on device"), ContainSubstring("make room"))))
		limitVolume(ctx, "dedicated-full-data", "remount,size=128m")
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "SELECT 1")).To(Equal("[1]"))
	}, SpecTimeout(specTimeout))

	It("can be changed and deleted where its image has another version than its spec says", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("mixed").Dedicated(func(server *v1alpha1.DedicatedServer) { server.Version = "16" }))
		waitReady(ctx, tenant)
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says(metav1.ConditionTrue, MatchRegexp(`It runs PostgreSQL 15\.\d+, which its image has, and not the version 16 of its spec`)))
		Expect(change(ctx, tenant, func() { tenant.Spec.DisplayName = "Mixed" })).To(Succeed())
		waitReady(ctx, tenant)
		remove(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("costs no request while nothing changes, and no write when the operator is started again", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("restful"))
		waitReady(ctx, tenant)
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(HaveField("Status.Tenants", HaveValue(BeEquivalentTo(1))))
		DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) }, NodeTimeout(time.Minute))
		Expect(env.RestartOperator(ctx, "--sync-period=2s")).To(Succeed())
		atRest(ctx, 2)

		By("starting the operator again")
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		Expect(env.RestartOperator(ctx, "--sync-period=2s")).To(Succeed())
		atRest(ctx, 1)
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).NotTo(BeEmpty(), "the caches are filled by requests")
		Expect(requests).NotTo(ContainElement(And(ofTenant("restful"), HaveField("Writes()", true))))

		By("looking at it time and again")
		mark, err = env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		atRest(ctx, 1)
		Expect(env.Audit.Since(mark)).NotTo(ContainElement(ofTenant("restful")))
	}, SpecTimeout(specTimeout))

	It("is told what is wrong with what it asks for", func(ctx SpecContext) {
		for message, builder := range map[string]*builders.TenantBuilder{
			"a tenant of the isolation Dedicated gets a server of its own; leave serverRef and serverSelector out": isolated("wrong").Database("shared"),
			"storage must be at least 128Mi":                          isolated("wrong").Dedicated(func(server *v1alpha1.DedicatedServer) { server.Storage = new(resource.MustParse("1Mi")) }),
			"version must be a version of PostgreSQL from 14 on":      isolated("wrong").Dedicated(func(server *v1alpha1.DedicatedServer) { server.Version = "9.6" }),
			"dedicated says what server a tenant of the isolation De": isolated("wrong").Isolation(v1alpha1.DatabaseIsolationDatabase).Database("shared"),
		} {
			Expect(env.Client.Create(ctx, builder.Build())).To(MatchError(ContainSubstring(message)))
		}
		replicated := apply(ctx, isolated("replicated").Dedicated(func(server *v1alpha1.DedicatedServer) { server.Instances = 3 }))
		Eventually(ctx, komega.Object(replicated)).Should(says(metav1.ConditionFalse, ContainSubstring("To run 3 instances takes CloudNativePG")))
		Expect(change(ctx, replicated, func() { replicated.Spec.Database.Dedicated.Instances = 1 })).To(Succeed())
		waitReady(ctx, replicated)
		Expect(change(ctx, replicated, func() { replicated.Spec.Database.Dedicated.Version = "17" })).
			To(MatchError(ContainSubstring("which another major version can not read; write 15 or a minor version of it")))
		By("leaving the version out, which means 18")
		Expect(change(ctx, replicated, func() { replicated.Spec.Database.Dedicated.Version = "" })).
			To(MatchError(ContainSubstring("which another major version can not read; write 15 or a minor version of it")))
	}, SpecTimeout(specTimeout))
})
