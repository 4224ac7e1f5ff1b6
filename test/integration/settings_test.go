package integration

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	themes     = `{"variants": {"light": "light", "dark": "dark"}, "defaultVariant": "light"}`
	costCentre = `{"type": "object", "properties": {"costCentre": {"type": "string", "pattern": "^[0-9]{4}$"}}}`
)

var _ = Describe("The settings of an app", func() {
	appOf := func(tenant *v1alpha1.Tenant) *appsv1.Deployment { return in(tenant, &appsv1.Deployment{}, "app") }
	filesOf := func(tenant *v1alpha1.Tenant) *corev1.ConfigMap {
		return in(tenant, &corev1.ConfigMap{}, "app-settings")
	}
	stripe := func(tenant *v1alpha1.Tenant, key string) *corev1.Secret {
		return in(tenant, &corev1.Secret{StringData: map[string]string{"STRIPE_KEY": key}}, "stripe")
	}
	// restarted waits until the app has only other pods, and the tenant is Ready.
	restarted := func(ctx context.Context, tenant *v1alpha1.Tenant, pods []types.UID) []types.UID {
		GinkgoHelper()
		var now []types.UID
		Eventually(ctx, func() []types.UID { now = podUIDs(ctx, tenant); return now }).Should(And(
			HaveLen(len(pods)), WithTransform(func(uids []types.UID) bool { return overlap(uids, pods) }, BeFalse())))
		waitReady(ctx, tenant)
		return now
	}
	feature := func(tenant *v1alpha1.Tenant, name, value string) {
		tenant.Spec.Features[name] = apiextensionsv1.JSON{Raw: []byte(value)}
	}

	It("are files with its feature flags and custom fields, and an upgrade adds none to an app that has none", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("settings-files").App(image).Feature("new-checkout", "true").Feature("theme", themes).CustomFields("order", costCentre))
		files := read(ctx, filesOf(tenant))
		Expect(files.Data["features.json"]).To(And(ContainSubstring(`"https://flagd.dev/schema/v0/flags.json"`), ContainSubstring(`"defaultVariant": "light"`)))
		Expect(files.Data["custom-fields.json"]).To(MatchJSON(`{"order": ` + costCentre + `}`))
		container := read(ctx, appOf(tenant)).Spec.Template.Spec.Containers[0]
		Expect(container.VolumeMounts).To(ConsistOf(And(HaveField("MountPath", "/etc/tenantry/settings"), HaveField("ReadOnly", true))))
		Expect(container.Env).To(ContainElements(
			corev1.EnvVar{Name: "FLAGD_OFFLINE_FLAG_SOURCE_PATH", Value: "/etc/tenantry/settings/features.json"},
			corev1.EnvVar{Name: "CUSTOM_FIELDS_PATH", Value: "/etc/tenantry/settings/custom-fields.json"}))

		plain := applyReady(ctx, builders.Tenant("settings-none").App(image).Config("LOG_LEVEL", "info"))
		pod := read(ctx, appOf(plain)).Spec.Template.Spec
		Expect(pod.Volumes).To(BeEmpty())
		Expect(pod.Containers[0].VolumeMounts).To(BeEmpty())
		Expect(pod.Containers[0].Env).To(BeEmpty())
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(filesOf(plain)), filesOf(plain))).To(MatchError(apierrors.IsNotFound, "not found"))
	}, SpecTimeout(specTimeout))

	It("restart it when they change", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("settings-restart").App(image).Replicas(2).Feature("theme", themes).CustomFields("order", costCentre))
		pods := podUIDs(ctx, tenant)
		change(ctx, tenant, func() {
			feature(tenant, "theme", `{"variants": {"light": "light", "dark": "dark"}, "defaultVariant": "dark"}`)
		})
		pods = restarted(ctx, tenant, pods)
		Expect(read(ctx, filesOf(tenant)).Data["features.json"]).To(ContainSubstring(`"defaultVariant": "dark"`))
		change(ctx, tenant, func() { tenant.Spec.CustomFields = nil })
		restarted(ctx, tenant, pods)
		Expect(read(ctx, filesOf(tenant)).Data).NotTo(HaveKey("custom-fields.json"))
		change(ctx, tenant, func() { tenant.Spec.Features = nil })
		waitGone(ctx, filesOf(tenant))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("change in its running pods with reload: Watch, which are told so", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("settings-watch").App(image).Replicas(2).Reload(v1alpha1.ReloadWatch).
			Config("LOG_LEVEL", "info").Feature("theme", themes).Database(shared))
		Expect(read(ctx, appOf(tenant)).Spec.Template.Spec.Containers[0].VolumeMounts).To(ContainElement(HaveField("MountPath", "/etc/tenantry/config")))
		pods, generation := podUIDs(ctx, tenant), appOf(tenant)
		read(ctx, generation)
		told := revisions(ctx, tenant)
		Eventually(ctx, told).Should(HaveLen(1), "all pods have seen the same files")
		first := told()

		By("flipping a feature")
		change(ctx, tenant, func() {
			feature(tenant, "theme", `{"variants": {"light": "light", "dark": "dark"}, "defaultVariant": "dark"}`)
		})
		Eventually(ctx, told, atOnce).Should(And(HaveLen(1), Not(Equal(first))))
		Expect(read(ctx, filesOf(tenant)).Data["features.json"]).To(ContainSubstring(`"defaultVariant": "dark"`))

		By("changing the config")
		second := told()
		change(ctx, tenant, func() { tenant.Spec.Config["LOG_LEVEL"] = "debug" })
		Eventually(ctx, told, atOnce).Should(And(HaveLen(1), Not(Equal(second))))
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods), "they are the same pods")
		Expect(read(ctx, appOf(tenant)).Generation).To(Equal(generation.Generation))

		By("rotating the password, which is in the environment only")
		requestRotation(ctx, tenant, "now")
		restarted(ctx, tenant, pods)
	}, SpecTimeout(specTimeout))

	It("come from Secrets, whose changes it gets", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("settings-secret").App(image).SecretRefs("stripe"))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonSecretNotFound,
			"The app stays as it is, since spec.secretRefs names Secrets that do not exist in namespace settings-secret: stripe. Create them, or leave them out."))
		Expect(podUIDs(ctx, tenant)).To(BeEmpty())
		secret := stripe(tenant, "sk_1")
		Expect(env.Client.Create(ctx, secret)).To(Succeed())
		waitReady(ctx, tenant)
		container := read(ctx, appOf(tenant)).Spec.Template.Spec.Containers[0]
		Expect(container.EnvFrom).To(ContainElement(HaveField("SecretRef.Name", "stripe")))
		Expect(container.VolumeMounts).To(ContainElement(HaveField("MountPath", "/etc/tenantry/secrets/stripe")))

		By("changing it")
		pods := podUIDs(ctx, tenant)
		change(ctx, secret, func() { secret.Data["STRIPE_KEY"] = []byte("sk_2") })
		pods = restarted(ctx, tenant, pods)

		By("labeling it, which changes nothing of its content")
		generation := read(ctx, appOf(tenant)).Generation
		change(ctx, secret, func() { secret.Labels = map[string]string{"team": "billing"} })
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Settings" })
		waitReady(ctx, tenant)
		Expect(read(ctx, appOf(tenant)).Generation).To(Equal(generation))

		By("deleting it")
		Expect(env.Client.Delete(ctx, secret)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonSecretNotFound, "stripe"))
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods), "the app goes on")
		Expect(env.Client.Create(ctx, stripe(tenant, "sk_3"))).To(Succeed())
		restarted(ctx, tenant, pods)
	}, SpecTimeout(specTimeout))

	It("come from Secrets, whose changes its running pods see with reload: Watch", func(ctx SpecContext) {
		built := builders.Tenant("settings-secret-watch").App(image).SecretRefs("stripe").Reload(v1alpha1.ReloadWatch)
		tenant := apply(ctx, built)
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonSecretNotFound, "stripe"))
		secret := stripe(tenant, "sk_1")
		Expect(env.Client.Create(ctx, secret)).To(Succeed())
		waitReady(ctx, tenant)
		pods, told := podUIDs(ctx, tenant), revisions(ctx, tenant)
		Eventually(ctx, told).Should(HaveLen(1))
		first := told()
		change(ctx, secret, func() { secret.Data["STRIPE_KEY"] = []byte("sk_2") })
		Eventually(ctx, told, atOnce).Should(And(HaveLen(1), Not(Equal(first))))
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))
	}, SpecTimeout(specTimeout))

	DescribeTable("that are wrong keep the app as it is, and say", func(ctx SpecContext, name string, wrong func(*v1alpha1.TenantSpec), sentence string) {
		tenant := applyReady(ctx, builders.Tenant("settings-"+name).App(image).Feature("theme", themes).CustomFields("order", costCentre))
		pods, files := podUIDs(ctx, tenant), read(ctx, filesOf(tenant)).Data
		change(ctx, tenant, func() { wrong(&tenant.Spec) })
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonInvalid, "The app stays as it is, since its settings are wrong: "+sentence),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonInvalid),
			haveCondition(v1alpha1.ConditionNetworkReady, "True", v1alpha1.ReasonReady)))
		Expect(read(ctx, filesOf(tenant)).Data).To(Equal(files))
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))
		change(ctx, tenant, func() {
			tenant.Spec.Features = map[string]apiextensionsv1.JSON{"theme": {Raw: []byte(themes)}}
			tenant.Spec.CustomFields = map[string]apiextensionsv1.JSON{"order": {Raw: []byte(costCentre)}}
		})
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))
	},
		Entry("a feature whose default variant doesn't exist", "variant", func(spec *v1alpha1.TenantSpec) {
			spec.Features["theme"] = apiextensionsv1.JSON{Raw: []byte(`{"variants": {"light": 1, "dark": 2}, "defaultVariant": "dim"}`)}
		}, `spec.features.theme.defaultVariant is "dim", and the variants are dark, light; write one of these.`, SpecTimeout(specTimeout)),
		Entry("a JSON Schema that isn't one", "schema", func(spec *v1alpha1.TenantSpec) {
			spec.CustomFields["order"] = apiextensionsv1.JSON{Raw: []byte(`{"type": "object", "properties": {"costCentre": {"type": "strng"}}}`)}
		}, `spec.customFields.order is no JSON Schema: properties.costCentre.type: `, SpecTimeout(specTimeout)),
		Entry("a schema that another server has", "remote", func(spec *v1alpha1.TenantSpec) {
			spec.CustomFields["order"] = apiextensionsv1.JSON{Raw: []byte(`{"$ref": "http://127.0.0.1:1/order.json"}`)}
		}, `spec.customFields.order is no JSON Schema: `, SpecTimeout(specTimeout)))

	DescribeTable("are refused if a tenant writes", func(ctx SpecContext, reference v1alpha1.SettingsSecret, matcher gomegatypes.GomegaMatcher) {
		tenant := builders.Tenant("settings-refused").App(image).Build()
		tenant.Spec.SecretRefs = []v1alpha1.SettingsSecret{reference}
		Expect(env.Client.Create(ctx, tenant, client.DryRunAll)).To(matcher)
	},
		Entry("a Secret of a foreign namespace", v1alpha1.SettingsSecret{Name: "stripe", Namespace: "platform"},
			MatchError(ContainSubstring("secretRefs names a Secret of a namespace that is not the tenant's; write the Secret into the tenant's primary namespace, and leave namespace out"))),
		Entry("a Secret without a name", v1alpha1.SettingsSecret{}, MatchError(ContainSubstring("an entry of secretRefs needs the name of a Secret, such as stripe"))),
		Entry("a Secret with the name of a path", v1alpha1.SettingsSecret{Name: "../etc"}, MatchError(ContainSubstring("an entry of secretRefs needs the name of a Secret, such as stripe"))),
	)

	It("come from its class, and it changes one of them", func(ctx SpecContext) {
		class(ctx, "settings-gold", `{tenant: {app: {image: `+image+`}, features: {new-checkout: false, theme: `+themes+`}}}`)
		built := builders.Tenant("settings-of-class").Feature("theme", `{"defaultVariant": "dark"}`).Feature("new-checkout", `true`).Build()
		built.Spec.ClassName = new("settings-gold")
		tenant := create(ctx, built)
		waitReady(ctx, tenant)
		Expect(read(ctx, filesOf(tenant)).Data["features.json"]).To(MatchJSON(`{"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {
			"new-checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
			"theme": {"state": "ENABLED", "variants": {"light": "light", "dark": "dark"}, "defaultVariant": "dark"}}}`))
	}, SpecTimeout(specTimeout))
})

// revisions returns the revisions of the files that the pods of a tenant's app were told of, each once; of a pod that
// was told of none, an empty one.
func revisions(ctx context.Context, tenant *v1alpha1.Tenant) func() []string {
	return func() []string {
		pods := &corev1.PodList{}
		if err := env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": "app"}); err != nil {
			return nil
		}
		known := map[string]bool{}
		var found []string
		for _, pod := range pods.Items {
			if revision := pod.Annotations["tenantry.dev/files"]; !known[revision] {
				known[revision] = true
				found = append(found, revision)
			}
		}
		return found
	}
}

// overlap reports whether two lists have an element in common.
func overlap(a, b []types.UID) bool {
	for _, uid := range a {
		if slices.Contains(b, uid) {
			return true
		}
	}
	return false
}
