package plugin

import (
	"context"
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("kubectl tenantry status", func() {
	It("shows a tenant's parts, objects, pods and database", func(ctx SpecContext) {
		tenant := ready(ctx, owned("whole").Database(shared).App(image).Port(8080).Quota("pods", "5").NamespaceLimit(2))
		shown := admin().run(ctx, "status", "whole")
		Expect(shown).To(says(
			"✓ Tenant whole Ready  Everything is in place.\n",
			"├─ ✓ NamespaceReady", "│  ├─ ✓ Namespace whole Usable\n",
			MatchRegexp(`├─ ✓ QuotaReady .*\n(│  .*\n)*│  .─ ✓ ResourceQuota whole/tenant  pods 1 of 5\n`),
			"NetworkPolicy whole/deny-all", "✓ RoleBinding whole/tenant-admin", "✓ ConfigMap whole/tenant-namespaces",
			"├─ ✓ DatabaseServer shared Ready", "├─ Database "+tenant.Status.Database.Name+"  isolation Database, up to 20 connections, login "+tenant.Status.Database.Login,
			"✓ Secret whole/database\n",
			MatchRegexp(`✓ Deployment whole/app 1/1 ready.*\n   │  └─ ✓ Pod whole/app-\S+ Running\n`),
			Not(ContainSubstring("has no right")),
		))
		password := string(secretOf(ctx, "whole").Data["password"])
		for _, args := range [][]string{{"status", "whole"}, {"status", "whole", "-o", "json"}, {"why", "whole", "-o", "json"}} {
			Expect(admin().run(ctx, args...)).To(says(Not(ContainSubstring(password))))
		}

		By("and as JSON for programs")
		node := map[string]any{}
		Expect(json.Unmarshal([]byte(admin().run(ctx, "status", "whole", "-o", "json").Out), &node)).To(Succeed())
		Expect(node).To(And(HaveKeyWithValue("kind", "Tenant"), HaveKeyWithValue("name", "whole"), HaveKeyWithValue("state", "Ready"), HaveKeyWithValue("mark", "Good")))
	}, SpecTimeout(specTimeout))

	It("lists all tenants for who may list them", func(ctx SpecContext) {
		ready(ctx, owned("first"))
		apply(ctx, owned("second").App("missing.invalid/shop:1"))
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "status") }).Should(says(
			MatchRegexp(`(?m)^NAME +READY +CLASS +NAMESPACES +DATABASE +APP +AGE +STATUS$`),
			MatchRegexp(`(?m)^first +Ready +1 +\d+\w+ +Everything is in place\.$`),
			MatchRegexp(`(?m)^second +(ErrImagePull|ImagePullBackOff) +1 +(ErrImagePull|ImagePullBackOff) +\d+\w+ +Pod app-\S+ does not run`),
		))
	}, SpecTimeout(specTimeout))

	It("shows owners what is theirs, and which right they lack", func(ctx SpecContext) {
		ready(ctx, owned("seen").Database(shared).App(image).NamespaceLimit(2))
		shown := named("viewer@seen").run(ctx, "status", "seen")
		Expect(shown).To(says(
			"! Tenant seen  This is what you can see in its namespaces. You may not read the Tenant itself.",
			"✓ Namespace seen Usable", "✓ Deployment seen/app 1/1 ready", "Pod seen/app-", "NetworkPolicy seen/deny-all",
			Not(ContainSubstring("RoleBinding seen/")), Not(ContainSubstring("Secret seen/")),
			"viewer@seen has no right to list secrets in the namespace seen. In a tenant's namespaces, owners with the role Editor have it",
			"viewer@seen has no right to get tenants.tenantry.dev seen. A cluster admin can grant it for this one: kubectl create clusterrole tenantry-read-tenant-seen",
		))
		Expect(named("admin@seen").run(ctx, "status", "seen")).To(says("RoleBinding seen/tenant-admin", "Secret seen/database", Not(ContainSubstring("list secrets"))))

		By("also without a name, from a namespace of theirs")
		Expect(named("viewer@seen").run(ctx, "status", "--namespace", "seen")).To(says("! Tenant seen"))
		Expect(named("viewer@seen").run(ctx, "status")).To(complains("viewer@seen has no right to list tenants.tenantry.dev in the whole cluster."))

		By("doing just what it says")
		_, commands, found := strings.Cut(shown.Out, "A cluster admin can grant it for this one: ")
		Expect(found).To(BeTrue())
		commands, _, _ = strings.Cut(commands, "\n")
		for command := range strings.SplitSeq(commands, " && ") {
			_, err := env.Kubernetes.Kubectl(ctx, strings.Fields(command)[1:]...)
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(func(ctx SpecContext) error {
				_, err := env.Kubernetes.Kubectl(ctx, "delete", strings.Fields(command)[2], "tenantry-read-tenant-seen")
				return err
			})
		}
		Eventually(ctx, func(ctx context.Context) said { return named("viewer@seen").run(ctx, "status", "seen") }).Should(says("✓ Tenant seen Ready  Everything is in place."))
		Expect(named("viewer@seen").run(ctx, "status", "whole")).To(complains("viewer@seen has no right to get tenants.tenantry.dev whole."))
	}, SpecTimeout(specTimeout))

	It("shows nothing of a tenant to others, and says of a name that there is no such tenant", func(ctx SpecContext) {
		ready(ctx, owned("private").NamespaceLimit(2))
		for _, command := range []string{"status", "why", "effective", "namespaces", "can-i-leave"} {
			Expect(named("stranger").run(ctx, command, "private")).To(complains("stranger has no right to get tenants.tenantry.dev private."), command)
			Expect(admin().run(ctx, command, "nobody")).To(complains("There is no Tenant nobody."), command)
		}
	}, SpecTimeout(specTimeout))

	It("is a command of kubectl, completes the names of tenants, and refuses what it doesn't know", func(ctx SpecContext) {
		ready(ctx, owned("completed"))
		Expect(admin().exec(ctx, env.Kubernetes.KubectlPath(), "tenantry", "status", "completed")).To(says("✓ Tenant completed Ready"))
		Expect(admin().exec(ctx, program, "__complete", "status", "")).To(HaveField("Out", ContainSubstring("completed\n")))
		Expect(named("viewer@completed").exec(ctx, program, "__complete", "why", "--as", "viewer@completed", "--namespace", "completed", "")).To(HaveField("Out", HavePrefix("completed\n")))
		Expect(admin().run(ctx, "status", "completed", "-o", "xml")).To(complains(`There is no format "xml"; write json`))
		Expect(admin().run(ctx, "status", "a", "b")).To(complains("Accepts at most 1 arg(s), received 2."))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry why", func() {
	It("goes down from Ready to the last event", func(ctx SpecContext) {
		apply(ctx, owned("broken").App("missing.invalid/shop:1"))
		// The simulated nodes have no kubelet that would record one.
		pods := &corev1.PodList{}
		Eventually(ctx, komega.ObjectList(pods, client.InNamespace("broken"))).Should(HaveField("Items", Not(BeEmpty())))
		pod := pods.Items[0]
		Expect(env.Client.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "broken", GenerateName: "pull-"}, Type: corev1.EventTypeWarning, Reason: "Failed",
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "broken", Name: pod.Name, UID: pod.UID},
			Message:        "manifest unknown\x1b[2J", LastTimestamp: metav1.Now(), Count: 3, Source: corev1.EventSource{Component: "kubelet"},
		})).To(Succeed())
		chain := MatchRegexp(`✗ Tenant broken (ErrImagePull|ImagePullBackOff)  Pod app-\S+ does not run: .*
└─ ✗ AppReady (ErrImagePull|ImagePullBackOff) .*
   └─ … Deployment broken/app 0/1 ready  .*
      └─ ✗ Pod broken/app-\S+ (ErrImagePull|ImagePullBackOff)  .*missing.invalid/shop:1.*
         └─ ✗ Event Failed  manifest unknown�\[2J \(\d+s ago, 3 times, by kubelet\)
`)
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "why", "broken") }).Should(says(chain))

		By("for owners, from what they can see")
		Expect(named("viewer@broken").run(ctx, "why", "broken")).To(says(
			"! Tenant broken", "└─ … Deployment broken/app 0/1 ready", "Event Failed  manifest unknown", "viewer@broken has no right to get tenants.tenantry.dev broken."))
	}, SpecTimeout(specTimeout))

	It("says of a quota that is too small what was refused", func(ctx SpecContext) {
		apply(ctx, owned("cramped").App(image).Quota("pods", "0"))
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "why", "cramped") }).Should(says(
			"✗ Tenant cramped QuotaExceeded", "└─ ✗ AppReady QuotaExceeded", "Deployment cramped/app 0/1 ready", MatchRegexp(`└─ ✗ Event FailedCreate  .*exceeded quota: tenant`)))
	}, SpecTimeout(specTimeout))

	It("says that all is well, of a tenant that is Ready", func(ctx SpecContext) {
		ready(ctx, owned("fine"))
		Expect(admin().run(ctx, "why", "fine")).To(says(MatchRegexp(`^✓ Tenant fine Ready  Everything is in place\. \(since \d+\w+\)\n$`)))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry effective", func() {
	It("says of each value whether the tenant, its class or nobody has written it", func(ctx SpecContext) {
		class := applyClass(ctx, "bronze", func(spec *v1alpha1.TenantClassSpec) {
			spec.Tenant.Quota = corev1.ResourceList{"pods": resource.MustParse("5"), "secrets": resource.MustParse("50")}
			spec.Tenant.App = &v1alpha1.TenantApp{Image: image}
		})
		tenant := owned("planned").Quota("pods", "7").Build()
		tenant.Spec.ClassName = new("bronze")
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, tenant) })
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Class", HaveValue(HaveField("Revision", HavePrefix("bronze-")))))
		revision := tenant.Status.Class.Revision
		Expect(admin().run(ctx, "effective", "planned")).To(says(
			MatchRegexp(`(?m)^FIELD +VALUE +FROM$`), MatchRegexp(`(?m)^spec\.quota\.pods +7 +the Tenant$`), MatchRegexp(`(?m)^spec\.quota\.secrets +50 +class bronze$`),
			MatchRegexp(`(?m)^spec\.app\.image +`+image+` +class bronze$`), MatchRegexp(`(?m)^spec\.app\.replicas +1 +default$`),
			"Class bronze, revision "+revision+".\n"))

		By("and that it is pinned")
		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.ClassRevision = revision })).Should(Succeed())
		Eventually(ctx, komega.Update(class, func() { class.Spec.Tenant.Quota["secrets"] = resource.MustParse("60") })).Should(Succeed())
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "effective", "planned") }).Should(says(
			MatchRegexp(`(?m)^spec\.quota\.secrets +50 +class bronze$`),
			MatchRegexp(`spec\.classRevision pins the tenant to `+revision+`\. The class is at bronze-\w+; leave classRevision out to follow it\.`)))

		By("and how far the release has got")
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "release", "status", "bronze") }).Should(says(
			MatchRegexp(`^. TenantClass bronze Ready  .*\n├─ ✓ Revision bronze-\w+  the current revision, 0 of 0 tenants are ready\n└─ ✓ Revision ` + revision + `  1 of 1 tenants are ready, 1 pinned\n$`)))
		Expect(admin().run(ctx, "release", "status", "tin")).To(complains("There is no TenantClass tin."))
		Expect(named("admin@planned").run(ctx, "release", "status", "bronze")).To(complains("admin@planned has no right to get tenantclasses.tenantry.dev bronze."))

		By("and which right an owner lacks for that")
		Expect(named("admin@planned").run(ctx, "effective", "planned")).To(complains("admin@planned has no right to get tenants.tenantry.dev planned."))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry namespaces", func() {
	It("lists an owner's own namespaces, which kubectl get namespaces can't", func(ctx SpecContext) {
		ready(ctx, owned("several").NamespaceLimit(2))
		Expect(named("viewer@several").exec(ctx, env.Kubernetes.KubectlPath(), "get", "namespaces", "--as", "viewer@several")).To(HaveField("Err", ContainSubstring("cannot list resource")))
		for _, name := range []string{"several-dev", "several-more"} {
			made := named("admin@several").exec(ctx, env.Kubernetes.KubectlPath(), "create", "--as", "admin@several", "-f", manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {tenantry.dev/tenant: several}}\n"))
			Expect(made).To(HaveField("Code", 0), made.Err)
		}
		Eventually(ctx, func(ctx context.Context) said { return named("viewer@several").run(ctx, "namespaces", "several") }).Should(says(
			MatchRegexp(`(?m)^several +Usable$`), MatchRegexp(`(?m)^several-\w+ +Usable$`), MatchRegexp(`(?m)^several-\w+ +OverLimit +.*limit`)))
		Expect(admin().run(ctx, "namespaces", "several")).To(says(MatchRegexp(`(?m)^several +Usable$`)))
	}, SpecTimeout(specTimeout))

	It("has one, for a tenant that may not have more", func(ctx SpecContext) {
		ready(ctx, owned("single"))
		Expect(named("viewer@single").run(ctx, "namespaces", "single")).To(says(Equal("NAME     STATE    MESSAGE\nsingle   Usable\n")))
		Expect(named("viewer@single").run(ctx, "namespaces", "--namespace", "single")).To(says("single   Usable"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry can-i-leave", func() {
	It("says what holds up a deletion before anybody begins it", func(ctx SpecContext) {
		tenant := ready(ctx, owned("staying").Database(shared).DeletionProtection())
		held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staying", Name: "held", Finalizers: []string{"example.com/audit"}}}
		Expect(env.Client.Create(ctx, held)).To(Succeed())
		shown := admin().run(ctx, "can-i-leave", "staying")
		Expect(shown.Code).To(Equal(1))
		Expect(shown.Err).To(BeEmpty())
		Expect(shown.Out).To(And(
			HavePrefix("✗ Tenant staying can't leave  This holds up its deletion:\n"),
			ContainSubstring("✗ spec.deletionProtection true  The API server refuses the deletion. To allow it: kubectl patch tenant staying "),
			ContainSubstring("✗ ConfigMap staying/held  has the finalizer example.com/audit; what has set that must take it off\n"),
			ContainSubstring("✓ Database "+tenant.Status.Database.Name+" stays  on shared")))

		By("and nothing else does")
		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.DeletionProtection = false })).Should(Succeed())
		Eventually(ctx, komega.Update(held, func() { held.Finalizers = nil })).Should(Succeed())
		Expect(admin().run(ctx, "can-i-leave", "staying")).To(says("✓ Tenant staying can leave", "✓ Namespace staying is deleted  with everything in it"))
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Get(tenant)).Should(MatchError(ContainSubstring("not found")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("kubectl tenantry usage", func() {
	It("shows what all tenants use of their quota", func(ctx SpecContext) {
		tenant := ready(ctx, owned("busy").Database(shared).App(image).Quota("pods", "4").Quota("requests.cpu", "2"))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("1"))))
		Expect(admin().run(ctx, "usage")).To(says(
			MatchRegexp(`(?m)^NAME +CLASS +CPU +MEMORY +PODS +STORAGE +DATABASE +CONNECTIONS$`),
			MatchRegexp(`(?m)^busy +█░░░░░░░░░ 100m of 2 +no limit +███░░░░░░░ 1 of 4 +no limit +shared +up to 20$`)))
		Expect(admin().run(ctx, "usage", "-o", "csv")).To(says(HavePrefix("tenant,class,resource,used,hard\n"), "busy,,pods,1,4\n", "busy,,requests.cpu,100m,2\n"))
		var usage []map[string]string
		Expect(json.Unmarshal([]byte(admin().run(ctx, "usage", "-o", "json").Out), &usage)).To(Succeed())
		Expect(usage).To(ContainElement(map[string]string{"tenant": "busy", "resource": "pods", "used": "1", "hard": "4"}))
		Expect(named("admin@busy").run(ctx, "usage")).To(complains("admin@busy has no right to list tenants.tenantry.dev in the whole cluster. A cluster admin can grant it for all of them: kubectl create clusterrolebinding tenantry-tenant-viewer:admin@busy"))
	}, SpecTimeout(specTimeout))
})
