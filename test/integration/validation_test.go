package integration

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	notLabel     = "the name of a Tenant is also the name of its namespace, so it must be a DNS label: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
	reserved     = "this name belongs to a namespace of the cluster itself (default, kube-*, tenantry-system, tenantry-databases); choose another name for the Tenant"
	noPattern    = "this is neither the name of a namespace nor the beginning of one; write playground, or shop-* with a dash before the star"
	unknownQuota = "quota has an entry that ResourceQuota does not know; write a name such as requests.cpu, limits.memory, requests.storage, pods, services.nodeports, count/deployments.apps or requests.nvidia.com/gpu"
	twice        = "owners lists somebody more than once; give each owner one role"
	ownerKind    = "an owner of kind ServiceAccount needs the namespace of the ServiceAccount, and owners of other kinds have none"
)

var _ = Describe("The API server", func() {
	user, group := v1alpha1.OwnerKindUser, v1alpha1.OwnerKindGroup
	admin, editor := v1alpha1.OwnerRoleAdmin, v1alpha1.OwnerRoleEditor
	named := func(name string) *builders.TenantBuilder { return builders.Tenant(name).DisplayName("Named") }
	tenant := func() *builders.TenantBuilder { return named("validated") }

	// mutated changes what the builder has no method for.
	mutated := func(b *builders.TenantBuilder, mutate func(*v1alpha1.TenantSpec)) *v1alpha1.Tenant {
		built := b.Build()
		mutate(&built.Spec)
		return built
	}

	DescribeTable("refuses a Tenant with", func(ctx SpecContext, object any, sentence string) {
		if builder, ok := object.(*builders.TenantBuilder); ok {
			object = builder.Build()
		}
		err := env.Client.Create(ctx, object.(client.Object), client.DryRunAll)
		Expect(err).To(MatchError(apierrors.IsInvalid, "invalid"))
		Expect(err).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("a name with a dot", named("acme.example"), notLabel),
		Entry("a name of 64 characters", named(strings.Repeat("x", 64)), notLabel),
		Entry("the name default", named("default"), reserved),
		Entry("the name kube-system", named("kube-system"), reserved),
		Entry("any name that begins with kube-", named("kube-anything"), reserved),
		Entry("the name of the operator's namespace", named("tenantry-system"), reserved),

		Entry("no spec", specless("validated"), "spec: Required value"),
		Entry("trust in the namespace of a person", tenant().Owner(user, "alice", admin).TrustNamespace(),
			"trustNamespace is about the namespace of a ServiceAccount; leave it out for other owners"),
		Entry("a name of namespaces without a dash before the star", tenant().AllowedNames("shop*"), noPattern),
		Entry("a name of all namespaces", tenant().AllowedNames("*"), noPattern),
		Entry("a name of namespaces in upper case", tenant().AllowedNames("Shop"), noPattern),
		Entry("a name of namespaces with too many dashes", tenant().AllowedNames("a-b-c-d-e-*"),
			"the beginning of a name has four dashes at most, the one before the star included; write a shorter one"),
		Entry("a negative quota", tenant().Quota("requests.cpu", "-1"), "quota has a negative entry; write zero or more, or leave the entry out for no limit"),
		Entry("a misspelled quota", tenant().Quota("request.cpu", "1"), unknownQuota),
		Entry("a quota of something unknown", tenant().Quota("gpus", "1"), unknownQuota),
		Entry("a quota of an extended resource without requests", tenant().Quota("nvidia.com/gpu", "1"), unknownQuota),

		Entry("an owner twice", tenant().Owner(user, "alice", admin).Owner(user, "alice", admin), twice),
		Entry("an owner with two roles", tenant().Owner(user, "alice", admin).Owner(user, "alice", editor), twice),
		Entry("a ServiceAccount twice", tenant().ServiceAccountOwner("ci", "deployer", admin).ServiceAccountOwner("ci", "deployer", editor), twice),
		Entry("a ServiceAccount without its namespace", tenant().Owner(v1alpha1.OwnerKindServiceAccount, "deployer", editor), ownerKind),
		Entry("a user with a namespace", mutated(tenant().Owner(user, "alice", admin), func(spec *v1alpha1.TenantSpec) { spec.Owners[0].Namespace = "ci" }), ownerKind),
		Entry("an owner of an unknown kind", tenant().Owner("Robot", "r2", admin), `Unsupported value: "Robot": supported values: "User", "Group", "ServiceAccount"`),
		Entry("an owner with an unknown role", tenant().Owner(user, "alice", "Owner"), `Unsupported value: "Owner": supported values: "Admin", "Editor", "Viewer"`),

		Entry("limits of an unknown resource", tenant().ContainerDefault("gpu", "1"), "containers knows the resources cpu, memory and ephemeral-storage"),
		Entry("negative limits", tenant().ContainerMax("cpu", "-1"), "containers has a negative quantity; write zero or more"),
		Entry("a default above the maximum", tenant().ContainerDefault("cpu", "2").ContainerMax("cpu", "1500m"), "containers.default is above containers.max; lower the default or raise the maximum"),
		Entry("a default request above the default", tenant().ContainerDefaultRequest("memory", "1Gi").ContainerDefault("memory", "512Mi"), "containers.defaultRequest is above containers.default; a request can't be above its limit"),
		Entry("a default request above the maximum", tenant().ContainerDefaultRequest("memory", "1Gi").ContainerMax("memory", "512Mi"), "containers.defaultRequest is above containers.max; lower the request or raise the maximum"),

		Entry("an unknown Pod Security Standard", tenant().PodSecurity("Relaxed"), `Unsupported value: "Relaxed": supported values: "Privileged", "Baseline", "Restricted"`),
		Entry("a config key that is no variable", tenant().Config("LOG LEVEL", "info"), "config has a key that can not be an environment variable; use letters, digits, dashes, dots and underscores"),
		Entry("an app without an image", tenant().Port(8080), "spec.app.image: Required value"),
		Entry("a negative number of replicas", tenant().App(image).Replicas(-1), "spec.app.replicas: Invalid value: -1: spec.app.replicas in body should be greater than or equal to 0"),
		Entry("a port that can't be", tenant().App(image).Port(65536), "spec.app.port in body should be less than or equal to 65535"),

		Entry("an isolation that isn't there", mutated(tenant().Database(shared), func(spec *v1alpha1.TenantSpec) { spec.Database.Isolation = "Planet" }), `Unsupported value: "Planet": supported values: "Dedicated", "Database", "Schema", "Row"`),
		Entry("a Secret without a name for a registry", tenant().App(image).ImagePullSecrets(""), "an entry of imagePullSecrets needs the name of a Secret; set name"),
		Entry("a Secret twice for a registry", tenant().App(image).ImagePullSecrets("registry", "registry"), `Duplicate value: {"name":"registry"}`),
		Entry("an unknown reclaim policy", tenant().Database(shared).ReclaimPolicy("Recycle"), `Unsupported value: "Recycle": supported values: "Retain", "Delete"`),
		Entry("a negative connection limit", tenant().Database(shared).ConnectionLimit(-1), "spec.database.connectionLimit in body should be greater than or equal to 1"),
		Entry("an impossible name of the Secret", tenant().Database(shared).DatabaseSecret("My_Secret"), "secretName must be the name of a Secret: lower-case letters, digits, dashes and dots, with a letter or digit at both ends"),
		Entry("a database without a server", tenant().ConnectionLimit(5), "the database needs a server: name it in serverRef, or write in serverSelector which labels it must have, and leave the other one out"),
		Entry("a database with a server and a selector", tenant().Database(shared).DatabaseSelector("region", "eu"), "and leave the other one out"),
		Entry("a rotation faster than its grace period", tenant().Database(shared).Rotation(time.Minute, time.Hour), "interval must be longer than gracePeriod, which is 1h if left out; write a longer interval or a shorter gracePeriod"),
		Entry("a rotation faster than the grace period that is left out", tenant().Database(shared).Rotate(time.Minute), "interval must be longer than gracePeriod, which is 1h if left out; write a longer interval or a shorter gracePeriod"),
		Entry("a rotation all the time", tenant().Database(shared).Rotation(time.Second, 0), "interval must be a time from 10s to 87600h in hours, minutes and seconds, such as 720h or 1h30m"),
		Entry("a grace period of years", tenant().Database(shared).Rotation(0, 100_000*time.Hour), "gracePeriod must be a time from 0s to 8760h in hours, minutes and seconds, such as 1h or 10m"),
		Entry("an impossible database to adopt", tenant().Database(shared).Adopt("postgres"), "adopt must be the name of a retained database, t_ and 20 letters or digits, as in status.retained of the DatabaseServer"),
	)

	DescribeTable("accepts a Tenant with", func(ctx SpecContext, builder *builders.TenantBuilder) {
		Expect(env.Client.Create(ctx, builder.Build(), client.DryRunAll)).To(Succeed())
	},
		Entry("a name of 63 characters", named(strings.Repeat("x", 63))),
		Entry("a name that begins with a digit", named("1acme")),
		Entry("a name of one character", named("a")),
		Entry("nothing in its spec", builders.Tenant("validated")),
		Entry("a name close to a reserved one", named("kubernetes")),
		Entry("a name that begins like a reserved one", named("default-2")),
		Entry("a name that ends like a reserved one", named("my-kube-system")),
		Entry("names of namespaces", tenant().AllowedNames("shop-*", "a-b-c-d-*", "a-b-c-d-e", "playground")),
		Entry("trust in the namespace of a ServiceAccount by another name", tenant().Owner(user, "system:serviceaccount:ci:deployer", admin).TrustNamespace()),
		Entry("a quota of zero", tenant().Quota("pods", "0")),
		Entry("every sort of quota", tenant().Quota("requests.cpu", "1").Quota("limits.memory", "1Gi").
			Quota("cpu", "1").Quota("requests.storage", "1Ti").Quota("persistentvolumeclaims", "3").
			Quota("services.loadbalancers", "0").Quota("services.nodeports", "0").Quota("count/deployments.apps", "3").
			Quota("requests.nvidia.com/gpu", "1").Quota("hugepages-2Mi", "1Gi").Quota("requests.ephemeral-storage", "1Gi").
			Quota("gold.storageclass.storage.k8s.io/requests.storage", "1Ti").Quota("count/widgets.example.com", "3")),
		Entry("a user and a group of the same name", tenant().Owner(user, "acme", admin).Owner(group, "acme", editor)),
		Entry("ServiceAccounts of the same name in two namespaces", tenant().
			ServiceAccountOwner("ci", "deployer", editor).ServiceAccountOwner("cd", "deployer", editor)),
		Entry("limits at their bounds", tenant().ContainerDefaultRequest("cpu", "1").ContainerDefault("cpu", "1000m").ContainerMax("cpu", "1")),
		Entry("zero replicas", tenant().App(image).Replicas(0)),
		Entry("config keys of every sort", tenant().Config("log.level", "info").Config("LOG-LEVEL", "info").Config("_level", "")),
		Entry("a Secret with dots in its name", tenant().Database(shared).DatabaseSecret("db.acme.example")),
	)

	It("refuses fields that don't exist", func(ctx SpecContext) {
		_, err := env.Kubernetes.Kubectl(ctx, "apply", "--dry-run=server", "--filename", manifest(`
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata: {name: misspelled}
spec:
  databse: {serverRef: {name: shared}}
`))
		Expect(err).To(MatchError(ContainSubstring(`unknown field "spec.databse"`)))
	}, SpecTimeout(specTimeout))

	server := func() *builders.DatabaseServerBuilder {
		return builders.DatabaseServer("validated", "pg.example").AdminSecret("tenantry-system", "admin")
	}

	DescribeTable("refuses a DatabaseServer with", func(ctx SpecContext, builder *builders.DatabaseServerBuilder, sentence string) {
		err := env.Client.Create(ctx, builder.Build(), client.DryRunAll)
		Expect(err).To(MatchError(apierrors.IsInvalid, "invalid"))
		Expect(err).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("a name with a dot", builders.DatabaseServer("pg.example", "pg.example").AdminSecret("tenantry-system", "admin"),
			"the name of a DatabaseServer must be a DNS label: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"),
		Entry("no host", builders.DatabaseServer("validated", "").AdminSecret("tenantry-system", "admin"), "spec.host: Required value"),
		Entry("no admin", builders.DatabaseServer("validated", "pg.example"), "spec.adminSecretRef: Required value"),
		Entry("a port that can't be", server().Port(65536), "spec.port in body should be less than or equal to 65535"),
		Entry("an unknown sslMode", server().SSLMode("prefer"), `Unsupported value: "prefer": supported values: "disable", "require", "verify-ca", "verify-full"`),
		Entry("authorities that nothing uses", server().SSLMode(v1alpha1.SSLModeRequire).CASecret("tenantry-system", "ca", ""),
			"caSecretRef is used by the sslModes verify-ca and verify-full only; set one of them, or leave caSecretRef out"),
		Entry("a server of the operator's without its version", server().Dedicated(v1alpha1.DatabaseServerDedication{
			Tenant: "acme", MaxConnections: 100, Database: "t_aaaaaaaaaaaaaaaaaaaa", ReclaimPolicy: v1alpha1.ReclaimPolicyRetain,
			DedicatedServer: v1alpha1.DedicatedServer{Instances: 1, Storage: new(resource.MustParse("1Gi"))},
		}), "a server that the operator runs has instances, storage and a version here; the operator writes them, as spec.database.dedicated of the Tenant says"),
		Entry("a server of the operator's without its storage", server().Dedicated(v1alpha1.DatabaseServerDedication{
			Tenant: "acme", MaxConnections: 100, Database: "t_aaaaaaaaaaaaaaaaaaaa", ReclaimPolicy: v1alpha1.ReclaimPolicyRetain,
			DedicatedServer: v1alpha1.DedicatedServer{Instances: 1, Version: "16"},
		}), "a server that the operator runs has instances, storage and a version here"),
		Entry("a negative capacity", server().Capacity(-1), "spec.capacity.tenants in body should be greater than or equal to 0"),
	)

	DescribeTable("accepts a DatabaseServer with", func(ctx SpecContext, builder *builders.DatabaseServerBuilder) {
		Expect(env.Client.Create(ctx, builder.Build(), client.DryRunAll)).To(Succeed())
	},
		Entry("host and admin only", server()),
		Entry("authorities and the default sslMode", server().CASecret("tenantry-system", "ca", "")),
		Entry("authorities and verify-ca", server().SSLMode(v1alpha1.SSLModeVerifyCA).CASecret("tenantry-system", "ca", "root.pem")),
		Entry("room for nobody", server().Capacity(0)),
	)
})

// specless returns a Tenant without a spec, which the Go type can't express.
func specless(name string) *unstructured.Unstructured {
	tenant := &unstructured.Unstructured{}
	tenant.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Tenant"))
	tenant.SetName(name)
	return tenant
}

var _ = Describe("Once its database is placed, a Tenant", Ordered, func() {
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = applyReady(ctx, builders.Tenant("placed").Database(shared))
	}, NodeTimeout(specTimeout))

	try := func(ctx SpecContext, mutate func(*v1alpha1.TenantDatabase)) error {
		changed := read(ctx, tenant).DeepCopy()
		mutate(changed.Spec.Database)
		return env.Client.Update(ctx, changed, client.DryRunAll)
	}

	It("can't move to another server", func(ctx SpecContext) {
		err := try(ctx, func(database *v1alpha1.TenantDatabase) { database.ServerRef.Name = "elsewhere" })
		Expect(err).To(MatchError(ContainSubstring("spec.database.serverRef.name: Invalid value: the database is placed on the server shared and can not move; write that name")))
	}, SpecTimeout(specTimeout))

	It("can't give the database up", func(ctx SpecContext) {
		changed := read(ctx, tenant).DeepCopy()
		changed.Spec.Database = nil
		Expect(env.Client.Update(ctx, changed, client.DryRunAll)).To(MatchError(ContainSubstring(
			"the tenant has a database, which can't be taken away by leaving out spec.database; put it back, or delete the Tenant (reclaimPolicy says what becomes of the data)")))
	}, SpecTimeout(specTimeout))

	It("can't adopt another database", func(ctx SpecContext) {
		err := try(ctx, func(database *v1alpha1.TenantDatabase) { database.Adopt = "t_aaaaaaaaaaaaaaaaaaaa" })
		Expect(err).To(MatchError(ContainSubstring("the tenant has its database " + tenant.Status.Database.Name +
			" already and can not adopt another one; write that name, or leave adopt out")))
	}, SpecTimeout(specTimeout))

	It("can't be kept apart in another way, but may say how it is", func(ctx SpecContext) {
		Expect(try(ctx, func(database *v1alpha1.TenantDatabase) { database.Isolation = v1alpha1.DatabaseIsolationSchema })).To(MatchError(
			ContainSubstring("the database is placed with the isolation Database, which can not change; write that value")))
		Expect(try(ctx, func(database *v1alpha1.TenantDatabase) { database.Isolation = v1alpha1.DatabaseIsolationDatabase })).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("may change all else", func(ctx SpecContext) {
		Expect(try(ctx, func(database *v1alpha1.TenantDatabase) {
			database.Adopt = tenant.Status.Database.Name
			database.ConnectionLimit = 7
			database.ReclaimPolicy = v1alpha1.ReclaimPolicyDelete
			database.Credentials.SecretName = "other"
		})).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// A Tenant is written to while its database is being placed, too.
var _ = Describe("A Tenant whose database is placed other than it has come to say", func() {
	It("can be changed in all other ways, is told of that, and ends", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("placed-elsewhere").Database("nowhere").Isolation(v1alpha1.DatabaseIsolationSchema).Adopt("t_bbbbbbbbbbbbbbbbbbbb"))
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionDatabaseReady, "False", v1alpha1.ReasonServerNotFound))
		Eventually(ctx, komega.UpdateStatus(tenant, func() {
			tenant.Status.Database = &v1alpha1.TenantDatabaseStatus{Server: "elsewhere", Name: "t_aaaaaaaaaaaaaaaaaaaa", Isolation: v1alpha1.DatabaseIsolationRow}
		})).Should(Succeed())
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Placed elsewhere" })
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.ObservedGeneration", tenant.Generation))
		remove(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("What only other objects' validation can refuse", func() {
	It("is said in the condition of its part, with what to change", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("unsound").Quota("pods", "1500m").App(image).Probes(&corev1.Probe{}, nil, nil))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			haveCondition(v1alpha1.ConditionQuotaReady, "False", v1alpha1.ReasonInvalid, "must be an integer"),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, "It waits for the quota; QuotaReady says"),
			haveCondition(v1alpha1.ConditionNetworkReady, "True", v1alpha1.ReasonReady),
			stalled(v1alpha1.ReasonInvalid, "must be an integer")))

		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("2") })
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			haveCondition(v1alpha1.ConditionQuotaReady, "True", v1alpha1.ReasonReady),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonInvalid, "must specify a handler type"),
			stalled(v1alpha1.ReasonInvalid, "must specify a handler type")))

		change(ctx, tenant, func() { tenant.Spec.App.LivenessProbe = nil })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
