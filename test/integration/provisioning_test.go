package integration

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// acme has everything that a tenant can have.
const acme = `
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata:
  name: acme
spec:
  displayName: Acme Corp
  owners:
  - {kind: User, name: alice@acme.example, role: Admin}
  - {kind: Group, name: acme-devs, role: Editor}
  - {kind: ServiceAccount, name: deployer, namespace: ci, role: Editor}
  - {kind: User, name: bob@acme.example, role: Viewer}
  quota:
    requests.cpu: "8"
    requests.memory: 16Gi
    requests.storage: 100Gi
    pods: "50"
  containers:
    default: {cpu: 500m, memory: 256Mi}
    defaultRequest: {cpu: 100m, memory: 128Mi}
    max: {cpu: "4", memory: 8Gi}
  network:
    ingress:
    - from:
      - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}
  policy:
    podSecurity: Restricted
  database:
    serverRef: {name: shared}
    connectionLimit: 15
  app:
    image: registry.example/acme/shop:1.4.2
    command: [/shop]
    args: [serve]
    replicas: 2
    port: 8080
    env:
    - {name: COLOR, value: green}
    envFrom:
    - secretRef: {name: payment, optional: true}
    resources:
      requests: {cpu: 200m}
    readinessProbe:
      httpGet: {path: /healthz, port: http}
  config:
    LOG_LEVEL: info
`

// managedKinds are the kinds of the objects in a tenant's namespace, as kubectl names them.
const managedKinds = "resourcequota,limitrange,networkpolicy,role,rolebinding,secret,serviceaccount,configmap,service,poddisruptionbudget,deployment,tenantpolicy"

// managedObjects returns the names of the tenant's objects, as kubectl prints them.
func managedObjects(ctx context.Context, tenant string) []string {
	GinkgoHelper()
	return strings.Fields(kubectl(ctx, "get", managedKinds, "--namespace", tenant,
		"--selector", "app.kubernetes.io/managed-by=tenantry,tenantry.dev/tenant="+tenant, "--output", "name"))
}

var _ = Describe("Applying a Tenant with everything", Ordered, func() {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}

	BeforeAll(func(ctx SpecContext) {
		Expect(env.Client.Create(ctx, named("ci", nil))).To(Succeed())
		kubectl(ctx, "apply", "--filename", manifest(acme))
		read(ctx, tenant)
		// The samples have a tenant of that name, too.
		DeferCleanup(func(ctx SpecContext) { remove(ctx, tenant) }, NodeTimeout(specTimeout))
	}, NodeTimeout(specTimeout))

	It("is waited for by kubectl wait", func(ctx SpecContext) {
		Expect(kubectl(ctx, "wait", "--for=condition=Ready", "tenant/acme", "--timeout=120s")).To(ContainSubstring("condition met"))
		read(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("is summed up by kubectl get tenants", func(ctx SpecContext) {
		Expect(kubectl(ctx, "get", "tenants", "acme")).To(MatchRegexp(
			`^NAME +READY +STATUS +CLASS +NAMESPACES +DATABASE +APP +AGE\nacme +True +Everything is in place\. +1 +Ready +Ready +\d+\w+\n$`))
		Expect(kubectl(ctx, "get", "tn", "acme", "-o", "wide")).To(MatchRegexp(
			`^NAME .*DISPLAY NAME +SERVER +IMAGE +HIBERNATION +AGE\nacme .* +Acme Corp +shared +registry\.example/acme/shop:1\.4\.2 +\d+\w+\n$`))
		Expect(kubectl(ctx, "get", "dbs", shared)).To(MatchRegexp(
			`^NAME +READY +STATUS +VERSION +TENANTS +CAPACITY +AGE\nshared +True +The server answers and is prepared for tenants\. +\d+\.\d+ +\d+ +\d+\w+\n$`))
	}, SpecTimeout(specTimeout))

	It("makes the objects of every part, and no other", func(ctx SpecContext) {
		Expect(managedObjects(ctx, "acme")).To(ConsistOf(
			"resourcequota/tenant", "limitrange/containers",
			"networkpolicy.networking.k8s.io/deny-all", "networkpolicy.networking.k8s.io/allow-dns",
			"networkpolicy.networking.k8s.io/allow-tenant", "networkpolicy.networking.k8s.io/allow-database",
			"networkpolicy.networking.k8s.io/allow-spec",
			"rolebinding.rbac.authorization.k8s.io/tenant-admin", "rolebinding.rbac.authorization.k8s.io/tenant-editor",
			"rolebinding.rbac.authorization.k8s.io/tenant-viewer",
			"secret/database", "serviceaccount/app", "configmap/app-config", "service/app",
			"poddisruptionbudget.policy/app", "deployment.apps/app", "tenantpolicy.tenantry.dev/tenant",
		))
		owners := kubectl(ctx, "get", managedKinds, "--namespace", "acme", "--selector", "tenantry.dev/tenant=acme",
			"--output", `jsonpath={range .items[*]}{.metadata.ownerReferences}{"\n"}{end}`)
		Expect(strings.Split(strings.TrimSpace(owners), "\n")).To(HaveEach(And(
			ContainSubstring(`"kind":"Tenant"`), ContainSubstring(`"controller":true`), ContainSubstring(string(tenant.UID)))))
	}, SpecTimeout(specTimeout))

	It("walls the namespace by Pod Security, quota and container limits", func(ctx SpecContext) {
		Expect(read(ctx, namespaceOf(tenant))).To(And(
			HaveField("Labels", And(
				HaveKeyWithValue("app.kubernetes.io/managed-by", "tenantry"),
				HaveKeyWithValue("tenantry.dev/tenant", "acme"),
				HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"),
				HaveKeyWithValue("pod-security.kubernetes.io/audit", "restricted"),
				HaveKeyWithValue("pod-security.kubernetes.io/warn", "restricted"))),
			HaveField("Annotations", HaveKeyWithValue("tenantry.dev/display-name", "Acme Corp"))))
		Expect(read(ctx, in(tenant, &corev1.ResourceQuota{}, "tenant")).Spec).To(Equal(
			corev1.ResourceQuotaSpec{Hard: tenant.Spec.Quota}))
		limits := read(ctx, in(tenant, &corev1.LimitRange{}, "containers")).Spec.Limits
		Expect(limits).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Type":           Equal(corev1.LimitTypeContainer),
			"Default":        Equal(tenant.Spec.Containers.Default),
			"DefaultRequest": Equal(tenant.Spec.Containers.DefaultRequest),
			"Max":            Equal(tenant.Spec.Containers.Max),
		})))
	}, SpecTimeout(specTimeout))

	It("denies all connections but those to DNS, the tenant, its database and what the spec adds", func(ctx SpecContext) {
		policy := func(name string) networkingv1.NetworkPolicySpec {
			return read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, name)).Spec
		}
		Expect(policy("deny-all")).To(Equal(networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		}))
		Expect(policy("allow-database").Egress).To(Equal([]networkingv1.NetworkPolicyEgressRule{{
			Ports: []networkingv1.NetworkPolicyPort{{
				Protocol: ptr.To(corev1.ProtocolTCP), Port: new(intstr.FromInt(env.Postgres.Port)),
			}},
			To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "127.0.0.1/32"}}},
		}}))
		Expect(policy("allow-spec").Ingress).To(Equal(tenant.Spec.Network.Ingress))
		Expect(policy("allow-spec").PolicyTypes).To(Equal([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}))
	}, SpecTimeout(specTimeout))

	DescribeTable("gives the owners their rights in the namespace, and nobody else any",
		func(ctx SpecContext, answer, as, verb, resource string) {
			output, _ := env.Kubernetes.Kubectl(ctx, append([]string{
				"auth", "can-i", verb, resource, "--namespace", "acme",
			}, strings.Fields(as)...)...) // kubectl fails when the answer is no.
			Expect(strings.TrimSpace(output)).To(Equal(answer))
		},
		Entry("an admin gives rights", "yes", "--as alice@acme.example", "create", "rolebindings"),
		Entry("an admin reads Secrets", "yes", "--as alice@acme.example", "get", "secrets"),
		Entry("an admin does not lift the quota", "no", "--as alice@acme.example", "update", "resourcequotas"),
		Entry("an admin does not change the namespace", "no", "--as alice@acme.example", "update", "namespaces"),
		Entry("a group edits", "yes", "--as somebody --as-group acme-devs", "create", "deployments.apps"),
		Entry("a group does not give rights", "no", "--as somebody --as-group acme-devs", "create", "rolebindings"),
		Entry("a ServiceAccount edits", "yes", "--as system:serviceaccount:ci:deployer", "create", "deployments.apps"),
		Entry("its namesake elsewhere does not", "no", "--as system:serviceaccount:acme:deployer", "create", "deployments.apps"),
		Entry("a viewer reads", "yes", "--as bob@acme.example", "get", "pods"),
		Entry("a viewer reads no Secrets", "no", "--as bob@acme.example", "get", "secrets"),
		Entry("a stranger reads nothing", "no", "--as mallory", "get", "pods"),
	)

	It("hands out the login by the keys that apps expect", func(ctx SpecContext) {
		secret := read(ctx, in(tenant, &corev1.Secret{}, "database"))
		database := tenant.Status.Database.Name
		value := func(key string) string { return string(secret.Data[key]) }
		port := fmt.Sprint(env.Postgres.Port)
		Expect(database).To(MatchRegexp(`^t_[a-z2-7]{20}$`))
		uri := fmt.Sprintf("postgresql://%s_0:%s@127.0.0.1:%s/%s?sslmode=disable", database, value("password"), port, database)
		Expect(value("password")).To(MatchRegexp(`^[A-Za-z0-9]{32}$`))
		for key, expected := range map[string]string{
			"type": "postgresql", "provider": "tenantry",
			"host": "127.0.0.1", "port": port, "dbname": database, "schema": "public", "user": database + "_0", "username": database + "_0",
			"uri": uri, "DATABASE_URL": uri,
			"jdbc-uri": fmt.Sprintf("jdbc:postgresql://127.0.0.1:%s/%s?password=%s&sslmode=disable&user=%s_0", port, database, value("password"), database),
			"pgpass":   fmt.Sprintf("127.0.0.1:%s:%s:%s_0:%s\n", port, database, database, value("password")),
			"PGHOST":   "127.0.0.1", "PGPORT": port, "PGDATABASE": database, "PGUSER": database + "_0",
			"PGPASSWORD": value("password"), "PGSSLMODE": "disable",
		} {
			Expect(value(key)).To(Equal(expected), key)
		}
	}, SpecTimeout(specTimeout))

	It("runs the app under the Restricted standard with its settings and database in the environment", func(ctx SpecContext) {
		deployment := read(ctx, in(tenant, &appsv1.Deployment{}, "app"))
		pod := deployment.Spec.Template.Spec
		Expect(deployment.Spec.Replicas).To(HaveValue(Equal(int32(2))))
		Expect(pod.ServiceAccountName).To(Equal("app"))
		Expect(pod.AutomountServiceAccountToken).To(HaveValue(BeFalse()))
		Expect(pod.SecurityContext.RunAsNonRoot).To(HaveValue(BeTrue()))
		Expect(pod.Containers).To(HaveLen(1))
		container := pod.Containers[0]
		Expect(container).To(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Image":   Equal("registry.example/acme/shop:1.4.2"),
			"Command": Equal([]string{"/shop"}),
			"Args":    Equal([]string{"serve"}),
			"Ports":   ConsistOf(corev1.ContainerPort{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}),
			"EnvFrom": HaveExactElements(
				HaveField("ConfigMapRef.Name", "app-config"), HaveField("SecretRef.Name", "payment")),
			"Resources": HaveField("Requests", HaveKeyWithValue(corev1.ResourceCPU, resource.MustParse("200m"))),
			"SecurityContext": gstruct.PointTo(And(
				HaveField("AllowPrivilegeEscalation", HaveValue(BeFalse())),
				HaveField("Capabilities.Drop", ConsistOf(corev1.Capability("ALL"))))),
			"ReadinessProbe": HaveField("HTTPGet.Path", "/healthz"),
		}))
		var variables []string
		for _, variable := range container.Env {
			variables = append(variables, variable.Name)
		}
		Expect(variables).To(ConsistOf("PORT", "COLOR", "DATABASE_URL",
			"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLMODE"))
		Expect(container.Env).To(ContainElements(
			corev1.EnvVar{Name: "PORT", Value: "8080"}, corev1.EnvVar{Name: "COLOR", Value: "green"},
			HaveField("ValueFrom.SecretKeyRef", HaveValue(And(HaveField("Name", "database"), HaveField("Key", "PGPASSWORD"))))))
		Expect(read(ctx, in(tenant, &corev1.ConfigMap{}, "app-config")).Data).To(Equal(map[string]string{"LOG_LEVEL": "info"}))
		Expect(read(ctx, in(tenant, &corev1.ServiceAccount{}, "app")).AutomountServiceAccountToken).To(HaveValue(BeFalse()))
	}, SpecTimeout(specTimeout))

	It("puts a Service and a PodDisruptionBudget before the app's pods", func(ctx SpecContext) {
		pods := &corev1.PodList{}
		service := read(ctx, in(tenant, &corev1.Service{}, "app"))
		Expect(service.Spec.Ports).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Port": Equal(int32(8080)), "TargetPort": Equal(intstr.FromString("http"))})))
		Expect(env.Client.List(ctx, pods, client.InNamespace("acme"), client.MatchingLabels(service.Spec.Selector))).To(Succeed())
		Expect(pods.Items).To(HaveLen(2))
		Expect(pods.Items).To(HaveEach(HaveField("Status.Phase", corev1.PodRunning)))
		budget := read(ctx, in(tenant, &policyv1.PodDisruptionBudget{}, "app"))
		Expect(budget.Spec.MaxUnavailable).To(HaveValue(Equal(intstr.FromInt(1))))
		Expect(budget.Spec.Selector.MatchLabels).To(Equal(service.Spec.Selector))
	}, SpecTimeout(specTimeout))

	It("says in the status what stands", func(ctx SpecContext) {
		Eventually(ctx, func() *v1alpha1.TenantUsage { return read(ctx, tenant).Status.Usage }).Should(And(
			HaveField("Hard", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("50"))),
			HaveField("Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("2")))))
		Expect(tenant.Status.Namespaces).To(ConsistOf(v1alpha1.TenantNamespace{Name: "acme", Primary: true, State: v1alpha1.NamespaceUsable}))
		Expect(tenant.Status.App).To(HaveValue(Equal(v1alpha1.TenantAppStatus{
			InternalURL: "http://app.acme.svc:8080", Image: "registry.example/acme/shop:1.4.2",
			Replicas: new(int32(2)), ReadyReplicas: new(int32(2)),
		})))
		Expect(tenant.Status.Database).To(HaveValue(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Server": Equal(shared), "Isolation": Equal(v1alpha1.DatabaseIsolationDatabase),
			"Host": Equal("127.0.0.1"), "SecretName": Equal("database"), "ConnectionLimit": Equal(int32(15)),
		})))
		var conditions []string
		for _, condition := range tenant.Status.Conditions {
			conditions = append(conditions, condition.Type+"="+string(condition.Status))
		}
		Expect(conditions).To(ConsistOf("Ready=True", "NamespaceReady=True", "QuotaReady=True", "NetworkReady=True",
			"AccessReady=True", "DatabaseReady=True", "AppReady=True"))
	}, SpecTimeout(specTimeout))

	It("changes nothing when it is applied again", func(ctx SpecContext) {
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "apply", "--filename", manifest(acme))).To(Equal("tenant.tenantry.dev/acme unchanged\n"))
		Expect(kubectl(ctx, "label", "tenant", "acme", "region=eu")).To(ContainSubstring("labeled"))
		generation := tenant.Generation
		Expect(read(ctx, tenant).Generation).To(Equal(generation))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).NotTo(ContainElement(HaveField("Namespace", "acme")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Applying a Tenant", func() {
	It("that asks for nothing gives a walled namespace and nothing to run", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("bare"))
		Expect(managedObjects(ctx, "bare")).To(ConsistOf("limitrange/containers",
			"networkpolicy.networking.k8s.io/deny-all", "networkpolicy.networking.k8s.io/allow-dns",
			"networkpolicy.networking.k8s.io/allow-tenant", "tenantpolicy.tenantry.dev/tenant"))
		Expect(tenant).To(And(lack(v1alpha1.ConditionDatabaseReady), lack(v1alpha1.ConditionAppReady)))
		Expect(read(ctx, namespaceOf(tenant)).Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))
		Expect(kubectl(ctx, "get", "tenant", "bare", "--no-headers")).To(MatchRegexp(`^bare +True +Everything is in place\. +1 +\d+\w+\n$`))
	}, SpecTimeout(specTimeout))

	It("for a worker without a port gives no Service, and without a second replica no PodDisruptionBudget", func(ctx SpecContext) {
		applyReady(ctx, builders.Tenant("worker").App(image))
		Expect(managedObjects(ctx, "worker")).To(ContainElement("deployment.apps/app"))
		Expect(managedObjects(ctx, "worker")).NotTo(ContainElements("service/app", "poddisruptionbudget.policy/app"))
	}, SpecTimeout(specTimeout))

	It("costs the API server one write for each object and three more at most", func(ctx SpecContext) {
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		applyReady(ctx, whole("thrifty"))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		requests = slices.DeleteFunc(requests, func(request environment.Request) bool {
			return !request.Writes() || (request.Namespace != "thrifty" && request.Name != "thrifty")
		})
		// The namespace itself is not among managedObjects.
		Expect(len(requests)).To(BeNumerically("<=", len(managedObjects(ctx, "thrifty"))+1+3), "%v", requests)
	}, SpecTimeout(specTimeout))

	It("works with names of 63 characters everywhere", func(ctx SpecContext) {
		long := func(what string) string { return what + strings.Repeat("x", 63-len(what)) }
		register(ctx, long("server-"), env.Postgres)
		tenant := applyReady(ctx, whole(long("tenant-")).
			Database(long("server-")).DatabaseSecret(long("secret-")).
			Owner(v1alpha1.OwnerKindUser, long("user-"), v1alpha1.OwnerRoleEditor).
			Config(long("KEY_"), "value").Env(long("VARIABLE_"), "value"))
		Expect(tenant.Status.Database.Server).To(HaveLen(63))
		Expect(tenant.Status.Database.SecretName).To(HaveLen(63))
		store(ctx, tenant, "long")
		Expect(stored(ctx, tenant)).To(Equal([]string{"long"}))
		remove(ctx, tenant)
		waitGone(ctx, namespaceOf(tenant))
	}, SpecTimeout(specTimeout))

	It("fifty times at once makes all of them Ready, each with a database of its own", func(ctx SpecContext) {
		const count = 50
		var tenants []*v1alpha1.Tenant
		for number := range count {
			tenants = append(tenants, apply(ctx, whole(fmt.Sprintf("crowd-%d", number))))
		}
		kubectl(ctx, slices.Concat([]string{"wait", "--for=condition=Ready", "--timeout=300s"}, tenantNames(tenants))...)
		databases := map[string]string{}
		for _, tenant := range tenants {
			Expect(read(ctx, tenant)).To(beReady())
			databases[tenant.Status.Database.Name] = tenant.Name
			conn, err := env.Login(ctx, tenant)
			Expect(err).NotTo(HaveOccurred())
			Expect(conn.Close(ctx)).To(Succeed())
		}
		Expect(databases).To(HaveLen(count))
	}, SpecTimeout(specTimeout))
})

func tenantNames(tenants []*v1alpha1.Tenant) []string {
	var names []string
	for _, tenant := range tenants {
		names = append(names, "tenant/"+tenant.Name)
	}
	return names
}

var _ = Describe("kubectl explain", func() {
	DescribeTable("teaches", func(ctx SpecContext, field string, texts ...string) {
		output := kubectl(ctx, "explain", field)
		// kubectl explain wraps lines.
		output = regexp.MustCompile(`\s+`).ReplaceAllString(output, " ")
		for _, text := range texts {
			Expect(output).To(ContainSubstring(text))
		}
	},
		Entry("what a tenant is", "tenant", "Tenant is a customer or team: what it may use of the cluster and what it runs there."),
		Entry("what a tenant has", "tenant.spec", "displayName", "owners", "quota", "containers", "network", "policy", "database", "app", "config"),
		Entry("what a database is", "tenant.spec.database",
			"database gives the tenant a database. Left out, it has none.",
			"connectionLimit is the maximum number of concurrent connections of the tenant. Left out, it is 20.",
			"Retain keeps the data and the roles, and disables the logins;"),
		Entry("units and defaults", "tenant.spec.app.replicas", "replicas is the number of pods. Left out, it is 1."),
		Entry("defaults of several fields", "tenant.spec.containers",
			"Left out, a container that states no limits has cpu 500m and memory 256Mi, and requests cpu 100m and memory 128Mi."),
		Entry("defaults of lists", "tenant.spec.policy.serviceTypes", "Left out, it is ClusterIP alone."),
		Entry("defaults of a server of one's own", "tenant.spec.database.dedicated.version", "Left out, it is 18."),
		Entry("what a server is", "databaseserver.spec", "sslMode says how the connections of the operator and of the tenants are protected"),
	)

	It("has a text for every field", func(ctx SpecContext) {
		for _, crd := range []string{"tenants.tenantry.dev", "databaseservers.tenantry.dev", "tenantpolicies.tenantry.dev"} {
			Expect(undescribed(crdSchema(ctx, crd), "")).To(BeEmpty(), crd)
		}
	}, SpecTimeout(specTimeout))
})

// crdSchema returns the schema that the API server has of a kind.
func crdSchema(ctx context.Context, crd string) apiextensionsv1.JSONSchemaProps {
	GinkgoHelper()
	definition := read(ctx, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: crd}})
	Expect(definition.Spec.Versions).To(HaveLen(1))
	return *definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// undescribed returns the paths of the fields without a description.
func undescribed(schema apiextensionsv1.JSONSchemaProps, path string) []string {
	var paths []string
	for name, property := range schema.Properties {
		inner := path + "." + name
		if name == "metrics" {
			continue // Kubernetes describes them: kubectl explain hpa.spec.metrics --api-version=autoscaling/v2
		}
		if property.Description == "" && name != "metadata" {
			paths = append(paths, inner)
		}
		if !strings.HasSuffix(path, ".initContainers[]") && !strings.HasSuffix(path, ".sidecars[]") { // What is in them is described at the app.
			paths = append(paths, undescribed(property, inner)...)
		}
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		paths = append(paths, undescribed(*schema.Items.Schema, path+"[]")...)
	}
	return paths
}
