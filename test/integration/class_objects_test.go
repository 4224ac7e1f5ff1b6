package integration

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// classObject reads an object that a tenant has from its class.
func classObject(namespace, kind, name string) func(context.Context) (*unstructured.Unstructured, error) {
	return func(ctx context.Context) (*unstructured.Unstructured, error) {
		object := &unstructured.Unstructured{}
		version := schema.GroupVersion{Version: "v1"}
		if kind != "ConfigMap" && kind != "Secret" {
			version.Group = "objects.example"
		}
		object.SetGroupVersionKind(version.WithKind(kind))
		return object, env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	}
}

// haveValue matches an object with a value at a path.
func haveValue(want any, path ...string) OmegaMatcher {
	return WithTransform(func(object *unstructured.Unstructured) any {
		value, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...)
		return value
	}, Equal(want))
}

// goneObject reports whether an object that a tenant had from its class doesn't exist.
func goneObject(namespace, kind, name string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		_, err := classObject(namespace, kind, name)(ctx)
		return apierrors.IsNotFound(err)
	}
}

// setObjects changes what a class adds.
func setObjects(ctx context.Context, made *v1alpha1.TenantClass, spec string) {
	GinkgoHelper()
	changed := &v1alpha1.TenantClassSpec{}
	Expect(yaml.UnmarshalStrict([]byte(spec), changed)).To(Succeed())
	changeClass(ctx, made, func(spec *v1alpha1.TenantClassSpec) { spec.Objects, spec.Copies = changed.Objects, changed.Copies })
}

// mark is where the operator's requests are now.
func mark() environment.Mark {
	GinkgoHelper()
	now, err := env.Audit.Mark()
	Expect(err).NotTo(HaveOccurred())
	return now
}

// kind installs a kind of the group objects.example, and deletes it at the end of the spec.
func kind(ctx context.Context, name string, scope apiextensionsv1.ResourceScope) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	plural := strings.ToLower(name) + "s"
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + ".objects.example"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "objects.example", Scope: scope,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: name, Plural: plural, Singular: strings.ToLower(name), ListKind: name + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
							"size": {Type: "integer"}, "host": {Type: "string"},
						}},
						"status": {Type: "object", XPreserveUnknownFields: new(true)},
					},
				}},
			}},
		},
	}
	Expect(env.Client.Create(ctx, definition)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, definition))).To(Succeed())
		waitGone(ctx, definition)
	}, NodeTimeout(specTimeout))
	return definition
}

// permit gives the operator the rights to a kind of objects.example, as an admin does, and takes them at the end.
func permit(ctx context.Context, plural string) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "tenantry-class-" + plural, Labels: map[string]string{"tenantry.dev/aggregate-to-class-objects": "true"}},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"objects.example"}, Resources: []string{plural}, Verbs: []string{"get", "list", "watch", "create", "patch", "delete"},
		}},
	}
	Expect(env.Client.Create(ctx, role)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, role)).To(Succeed()) }, NodeTimeout(specTimeout))
}

// ownedBy makes a user an owner of a tenant who may edit all in its namespaces.
func ownedBy(tenant *v1alpha1.Tenant, user string) *v1alpha1.Tenant {
	tenant.Spec.Owners = []v1alpha1.Owner{{Kind: v1alpha1.OwnerKindUser, Name: user, Role: v1alpha1.OwnerRoleAdmin}}
	return tenant
}

var _ = Describe("Objects of a TenantClass", func() {
	It("are in the namespace of each tenant with its values, follow the class, and go with it", func(ctx SpecContext) {
		gold := class(ctx, "objects-plain", `
tenant: {quota: {pods: "7"}, app: {image: "registry.example/shop:1", port: 8080}}
objects:
- template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "plan-${class.name}", labels: {pods: "${spec.quota['pods']}"}}
    data:
      host: "${tenant.name}.shop.example"
      shown: "${tenant.displayName}"
      url: "${app.internalURL} ${app.?url.orValue('none')}"
      image: "${app.image}"
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: second}, data: {x: "1"}}
`)
		written := member("objects-acme", "objects-plain")
		written.Spec.DisplayName = "${class.name}\ndata: {evil: true}"
		tenant := create(ctx, written)
		waitReady(ctx, tenant)
		Expect(read(ctx, tenant)).To(haveCondition(v1alpha1.ConditionObjectsReady, "True", v1alpha1.ReasonReady))
		Expect(tenant.Status.ObjectKinds).To(ConsistOf(v1alpha1.TenantObjectKind{APIVersion: "v1", Kind: "ConfigMap"}))
		plan, err := classObject("objects-acme", "ConfigMap", "plan-objects-plain")(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(plan.Object["data"]).To(Equal(map[string]any{
			"host": "objects-acme.shop.example", "shown": "${class.name}\ndata: {evil: true}",
			"url": "http://app.objects-acme.svc:8080 none", "image": "registry.example/shop:1",
		}), "what a tenant writes is a value and nothing else")
		Expect(plan.GetLabels()).To(HaveKeyWithValue("pods", "7"))

		By("what changes nothing for a tenant is no write for it, nor is a restart of the operator")
		Eventually(ctx, func() string {
			usage := read(ctx, tenant).Status.Usage
			if usage == nil {
				return ""
			}
			return new(usage.Used[corev1.ResourcePods]).String()
		}).Should(Equal("1"))
		before := mark()
		Expect(env.RestartOperator(ctx)).To(Succeed())
		change(ctx, tenant, func() { metav1.SetMetaDataAnnotation(&tenant.ObjectMeta, "example.com/note", "x") })
		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) { spec.Description = "Others" })
		Eventually(ctx, func() int64 { return classState(ctx, "objects-plain").Status.ObservedGeneration }).Should(Equal(gold.Generation))
		waitReady(ctx, tenant)
		Expect(requestsOn(before, "objects-acme")).To(BeEmpty())

		By("a change of the class reaches its tenants, and what it says no longer is deleted")
		setObjects(ctx, gold, `objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "plan-${class.name}"}, data: {host: "${tenant.name}.shop.test"}}}]`)
		Eventually(ctx, classObject("objects-acme", "ConfigMap", "plan-objects-plain")).Should(haveValue(map[string]any{"host": "objects-acme.shop.test"}, "data"))
		Eventually(ctx, goneObject("objects-acme", "ConfigMap", "second")).Should(BeTrue())

		By("what is deleted comes back")
		Expect(env.Client.Delete(ctx, plan)).To(Succeed())
		Eventually(ctx, classObject("objects-acme", "ConfigMap", "plan-objects-plain")).Should(HaveField("GetUID()", Not(Equal(plan.GetUID()))))

		By("without objects, nothing is left of them")
		setObjects(ctx, gold, `{}`)
		Eventually(ctx, goneObject("objects-acme", "ConfigMap", "plan-objects-plain")).Should(BeTrue())
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(lack(v1alpha1.ConditionObjectsReady), HaveField("Status.ObjectKinds", BeEmpty()), beReady()))
	}, SpecTimeout(specTimeout))

	It("can be changed by no one of the tenant, and are not taken from others", func(ctx SpecContext) {
		class(ctx, "objects-guarded", `objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {name: guarded}, data: {a: "1"}}}]`)
		tenant := create(ctx, ownedBy(member("objects-guarding", "objects-guarded"), "olga"))
		waitReady(ctx, tenant)
		owner := as("olga")
		guarded := in(tenant, &corev1.ConfigMap{}, "guarded")
		Expect(owner.Get(ctx, client.ObjectKeyFromObject(guarded), guarded)).To(Succeed())
		refused := MatchError(ContainSubstring("guarded is from the class of the tenant objects-guarding and stays as the class says"))
		for _, patch := range []string{
			`{"data":{"a":"2"}}`, `{"data":null}`, `{"metadata":{"labels":{"tenantry.dev/class-object":null}}}`,
			`{"metadata":{"labels":{"tenantry.dev/class-object":"other"}}}`, `{"metadata":{"ownerReferences":null}}`, `{"metadata":{"managedFields":[{}]}}`,
		} {
			Expect(owner.Patch(ctx, guarded.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))).To(refused, patch)
		}
		Expect(owner.Delete(ctx, guarded.DeepCopy())).To(refused)
		Expect(owner.Patch(ctx, guarded.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":["example.com/x"]}}`)))).
			To(Succeed(), "who works on it may change the rest")
		Expect(owner.Patch(ctx, guarded.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		forged := in(tenant, &corev1.ConfigMap{}, "forged")
		forged.Labels = map[string]string{"tenantry.dev/class-object": "objects-guarding"}
		Expect(owner.Create(ctx, forged)).To(MatchError(ContainSubstring("the label tenantry.dev/class-object is the operator's alone; leave it out")))

		By("an admin's value stays, and is said")
		Expect(env.Client.Patch(ctx, guarded.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"data":{"a":"3"}}`)), client.FieldOwner("admin"))).To(Succeed())
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonConflict,
			`ConfigMap "guarded" in namespace "objects-guarding" is not as spec.objects[0].template of the class objects-guarded says, since others have set .data.a (admin).`))
		Expect(env.Client.Delete(ctx, guarded)).To(Succeed())
		waitReady(ctx, tenant)
		Expect(read(ctx, guarded).Data).To(Equal(map[string]string{"a": "1"}))
	}, SpecTimeout(specTimeout))

	It("that exist and are somebody else's are left alone, and said", func(ctx SpecContext) {
		gold := class(ctx, "objects-foreign", `{}`)
		tenant := create(ctx, ownedBy(member("objects-taken", "objects-foreign"), "otto"))
		waitReady(ctx, tenant)
		theirs := in(tenant, &corev1.ConfigMap{}, "theirs")
		theirs.Data = map[string]string{"mine": "yes"}
		Expect(as("otto").Create(ctx, theirs)).To(Succeed())
		setObjects(ctx, gold, `objects:
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: theirs}, data: {mine: "no"}}
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: free}, data: {a: "1"}}`)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonConflict,
			`spec.objects[0].template of the class objects-foreign: ConfigMap "theirs" in namespace "objects-taken" exists already and is left as it is; delete or rename it to make room.`))
		Eventually(ctx, classObject("objects-taken", "ConfigMap", "free")).Should(haveValue("1", "data", "a"), "the others are there")
		Expect(read(ctx, theirs).Data).To(Equal(map[string]string{"mine": "yes"}))
		setObjects(ctx, gold, `{}`)
		waitReady(ctx, tenant)
		Eventually(ctx, goneObject("objects-taken", "ConfigMap", "free")).Should(BeTrue())
		Expect(read(ctx, theirs).Data).To(Equal(map[string]string{"mine": "yes"}))
	}, SpecTimeout(specTimeout))

	It("are of any kind, which is waited for, permitted by one rule, and whose health counts", func(ctx SpecContext) {
		class(ctx, "objects-dynamic", `
tenant: {app: {image: "registry.example/shop:1", replicas: 2}, quota: {pods: "9"}}
objects:
- template: {apiVersion: objects.example/v1, kind: Widget, metadata: {name: w}, spec: {size: "${spec.app.replicas}", host: "${tenant.name}"}}`)
		tenant := create(ctx, member("objects-widgets", "objects-dynamic"))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			haveCondition(v1alpha1.ConditionObjectsReady, "False", v1alpha1.ReasonKindNotFound,
				"spec.objects[0].template of the class objects-dynamic is a Widget of objects.example/v1, which the cluster does not know; the object is created once that is installed."),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady)), "which holds up nothing else")

		kind(ctx, "Widget", apiextensionsv1.NamespaceScoped)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(haveCondition(v1alpha1.ConditionObjectsReady, "False", v1alpha1.ReasonForbidden,
			"kubectl create clusterrole tenantry-class-widgets --verb=get,list,watch,create,patch,delete --resource=widgets.objects.example && kubectl label clusterrole tenantry-class-widgets tenantry.dev/aggregate-to-class-objects=true"))

		permit(ctx, "widgets")
		waitReady(ctx, tenant)
		widget, err := classObject("objects-widgets", "Widget", "w")(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(widget.Object["spec"]).To(Equal(map[string]any{"size": int64(2), "host": "objects-widgets"}))

		state := func(conditions ...any) {
			GinkgoHelper()
			widget, err := classObject("objects-widgets", "Widget", "w")(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(unstructured.SetNestedSlice(widget.Object, conditions, "status", "conditions")).To(Succeed())
			Expect(env.Client.Status().Update(ctx, widget)).To(Succeed())
		}
		state(map[string]any{"type": "Reconciling", "status": "True", "reason": "Working", "message": "Working on it"})
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(haveCondition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonProgressing, `Widget "w" of the class says: Working on it.`))
		state(map[string]any{"type": "Stalled", "status": "True", "reason": "Broken", "message": "It is broken"})
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonObjectFailed, `Widget "w" of the class says: It is broken.`))
		state(map[string]any{"type": "Ready", "status": "True", "reason": "Fine", "message": "Fine"})
		waitReady(ctx, tenant)

		By("what is deleted comes back")
		Expect(env.Client.Delete(ctx, widget)).To(Succeed())
		Eventually(ctx, classObject("objects-widgets", "Widget", "w")).Should(HaveField("GetUID()", Not(Equal(widget.GetUID()))))
	}, SpecTimeout(specTimeout))

	It("must be in a namespace", func(ctx SpecContext) {
		kind(ctx, "Planet", apiextensionsv1.ClusterScoped)
		class(ctx, "objects-cluster", `objects: [{template: {apiVersion: objects.example/v1, kind: Planet, metadata: {name: p}}}]`)
		tenant := create(ctx, member("objects-clustered", "objects-cluster"))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonInvalid,
			"is a Planet, and objects of this kind are in no namespace, so that a tenant can't have one; leave it out of the class."))
	}, SpecTimeout(specTimeout))

	It("are in each of a tenant's namespaces if the class says so, and have the values of its database", func(ctx SpecContext) {
		class(ctx, "objects-each", `
tenant: {database: {serverRef: {name: shared}}}
objects:
- each: Namespace
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: each}, data: {here: "${tenant.namespace}"}}
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: database}, data: {host: "${database.host}:${database.port}", name: "${database.name}", secret: "${database.secretName}"}}`)
		written := ownedBy(member("objects-spread", "objects-each"), "oona")
		written.Spec.Namespaces.Limit = 2
		tenant := create(ctx, written)
		waitReady(ctx, tenant)
		Expect(classObject("objects-spread", "ConfigMap", "database")(ctx)).To(haveValue(map[string]any{
			"host": fmt.Sprintf("%s:%d", env.Postgres.Host, env.Postgres.Port), "name": tenant.Status.Database.Name, "secret": tenant.Status.Database.SecretName,
		}, "data"))
		further := named("objects-spread-two", of("objects-spread"))
		Expect(as("oona").Create(ctx, further)).To(Succeed())
		Eventually(ctx, classObject("objects-spread-two", "ConfigMap", "each")).Should(haveValue("objects-spread-two", "data", "here"))
		Expect(classObject("objects-spread", "ConfigMap", "each")(ctx)).To(haveValue("objects-spread", "data", "here"))
		Expect(goneObject("objects-spread-two", "ConfigMap", "database")(ctx)).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("with mistakes are not used, and the class says where they are", func(ctx SpecContext) {
		gold := class(ctx, "objects-mistaken", `{tenant: {quota: {pods: "3"}}, objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {name: good}, data: {a: "1"}}}]}`)
		tenant := create(ctx, member("objects-mistaking", "objects-mistaken"))
		waitReady(ctx, tenant)
		revision := tenant.Status.Class.Revision
		setObjects(ctx, gold, `objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {name: bad}, data: {a: "x ${tennant.name}", b: "${tenant.name + 1}"}}}]`)
		Eventually(ctx, func() []metav1.Condition { return classState(ctx, "objects-mistaken").Status.Conditions }).Should(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionStalled),
			HaveField("Message", And(
				ContainSubstring("Its tenants stay at what it said before, since it has mistakes: spec.objects[0].template.data.a, line 1, column 5: undeclared reference to 'tennant'"),
				ContainSubstring("spec.objects[0].template.data.b, line 1, column 15: found no matching overload for '_+_' applied to '(string, int)'"))))))
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Changed" })
		waitReady(ctx, tenant)
		Expect(tenant.Status.Class.Revision).To(Equal(revision))
		Expect(goneObject("objects-mistaking", "ConfigMap", "good")(ctx)).To(BeFalse())

		By("what only a tenant shows is said by it")
		setObjects(ctx, gold, `objects:
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: good}, data: {a: "${tenant.labels['ring']}"}}
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: twice}}
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${'tw' + 'ice'}"}}
- template: {apiVersion: v1, kind: ConfigMap, metadata: {name: typo}, dta: {a: "1"}}`)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonInvalid,
			"spec.objects[0].template.data.a: ${tenant.labels['ring']} has no value for this tenant: no such key: ring",
			`spec.objects[1].template and spec.objects[2].template of the class objects-mistaken are both ConfigMap "twice" in namespace "objects-mistaking" for this tenant`,
			`spec.objects[3].template of the class objects-mistaken:`, `unknown field "dta"`))
		Expect(goneObject("objects-mistaking", "ConfigMap", "good")(ctx)).To(BeFalse(), "what it should be isn't known, so it stays")
	}, SpecTimeout(specTimeout))

	DescribeTable("that can't be are refused by the API server",
		func(ctx SpecContext, spec, want string) {
			made := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "objects-refused"}}
			Expect(yaml.UnmarshalStrict([]byte(spec), &made.Spec)).To(Succeed())
			Expect(env.Client.Create(ctx, made, client.DryRunAll)).To(MatchError(ContainSubstring(want)))
		},
		Entry("without a kind", `objects: [{template: {apiVersion: v1, metadata: {name: x}}}]`, "spec.objects[0].template.kind: Required value", SpecTimeout(specTimeout)),
		Entry("without a name", `objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {}}}]`, "spec.objects[0].template.metadata.name: Required value", SpecTimeout(specTimeout)),
		Entry("with a namespace", `objects: [{template: {apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: default}}}]`, "an object of a class is in the namespaces of its tenants", SpecTimeout(specTimeout)),
		Entry("of a kind that depends on the tenant", `objects: [{template: {apiVersion: v1, kind: "${tenant.name}", metadata: {name: x}}}]`, "apiVersion and kind must be known before the tenant is", SpecTimeout(specTimeout)),
		Entry("copies of the operator's own", `copies: [{kind: Secret, namespace: tenantry-databases, name: x}]`, "is the operator's own", SpecTimeout(specTimeout)),
		Entry("two copies of one name", `copies: [{kind: Secret, namespace: a, name: x}, {kind: Secret, namespace: b, name: x}]`, "Duplicate value", SpecTimeout(specTimeout)),
	)

	It("are for cluster admins to write, and so are revisions", func(ctx SpecContext) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "objects-writer"}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"tenantry.dev"}, Resources: []string{"tenantclasses", "tenantclassrevisions"}, Verbs: []string{"get", "create", "update", "patch"},
		}}}
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "objects-writer"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "objects-writer"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "oscar"}},
		}
		for _, object := range []client.Object{role, binding} {
			Expect(env.Client.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, object)).To(Succeed()) }, NodeTimeout(specTimeout))
		}
		class(ctx, "objects-admins", `{tenant: {quota: {pods: "3"}}}`)
		refused := MatchError(ContainSubstring("needs the verb manage on tenantclasses of tenantry.dev"))
		writer := as("oscar")
		Eventually(ctx, func() error {
			return writer.Create(ctx, &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "objects-oscar"}})
		}).Should(refused)
		Eventually(ctx, func() error { // The operator may write it at the same time.
			gold := classState(ctx, "objects-admins")
			gold.Spec.Description = "Oscar's"
			return writer.Update(ctx, gold)
		}).Should(refused)
		Expect(writer.Create(ctx, &v1alpha1.TenantClassRevision{
			ObjectMeta: metav1.ObjectMeta{Name: "objects-admins-0123456789"}, Spec: v1alpha1.TenantClassRevisionSpec{ClassName: "objects-admins"},
		})).To(refused)
		Eventually(ctx, func() error {
			gold := classState(ctx, "objects-admins")
			metav1.SetMetaDataAnnotation(&gold.ObjectMeta, "example.com/note", "x")
			return writer.Update(ctx, gold)
		}).Should(Succeed(), "what is no spec needs no more than RBAC says")
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Copies of a TenantClass", func() {
	It("follow their original, with its type, and stay when it is gone", func(ctx SpecContext) {
		platform := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "copies-platform"}}
		Expect(env.Client.Create(ctx, platform)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, platform)).To(Succeed()) }, NodeTimeout(specTimeout))
		gold := class(ctx, "copies-plain", `
copies:
- {kind: Secret, namespace: copies-platform, name: login, each: Namespace}
- {kind: ConfigMap, namespace: copies-platform, name: roots}`)
		tenant := create(ctx, ownedBy(member("copies-acme", "copies-plain"), "carl"))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(haveCondition(v1alpha1.ConditionObjectsReady, "False", v1alpha1.ReasonSourceNotFound,
			`There is no Secret "login" in namespace "copies-platform", of which the class copies-plain has copies; create it.`,
			`There is no ConfigMap "roots" in namespace "copies-platform"`))

		login := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "copies-platform", Name: "login", Labels: map[string]string{"example.com/x": "y"}},
			Type:       corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)}, Immutable: new(true),
		}
		roots := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "copies-platform", Name: "roots"}, Data: map[string]string{"ca": "1"}}
		Expect(env.Client.Create(ctx, login)).To(Succeed())
		Expect(env.Client.Create(ctx, roots)).To(Succeed())
		waitReady(ctx, tenant)
		copied := in(tenant, &corev1.Secret{}, "login")
		Expect(read(ctx, copied)).To(And(HaveField("Type", corev1.SecretTypeDockerConfigJson), HaveField("Data", login.Data), HaveField("Immutable", BeNil()),
			HaveField("Labels", Not(HaveKey("example.com/x")))))
		Expect(as("carl").Delete(ctx, copied.DeepCopy())).To(MatchError(ContainSubstring("is managed by Tenantry")))

		before := mark()
		change(ctx, roots, func() { roots.Data["ca"] = "2" })
		Eventually(ctx, func() map[string]string { return read(ctx, in(tenant, &corev1.ConfigMap{}, "roots")).Data }).Should(Equal(map[string]string{"ca": "2"}))
		Expect(requestsOn(before, "copies-acme")).To(HaveEach(HaveField("Resource", "configmaps")))

		By("the type changes with the original")
		Expect(env.Client.Delete(ctx, login)).To(Succeed())
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(haveCondition(v1alpha1.ConditionObjectsReady, "False", v1alpha1.ReasonSourceNotFound, "A copy that is there stays as it is."))
		Expect(read(ctx, copied).Data).To(Equal(login.Data))
		again := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "copies-platform", Name: "login"}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("b")}}
		Expect(env.Client.Create(ctx, again)).To(Succeed())
		waitReady(ctx, tenant)
		Eventually(ctx, func() (*corev1.Secret, error) {
			return copied, env.Client.Get(ctx, client.ObjectKeyFromObject(copied), copied)
		}).Should(And(HaveField("Type", corev1.SecretTypeOpaque), HaveField("Data", again.Data)))

		By("what the class has no longer is deleted")
		setObjects(ctx, gold, `copies: [{kind: ConfigMap, namespace: copies-platform, name: roots}]`)
		waitGone(ctx, copied)
		Expect(read(ctx, in(tenant, &corev1.ConfigMap{}, "roots")).Data).To(Equal(map[string]string{"ca": "2"}))
	}, SpecTimeout(specTimeout))

	It("are not made of what a tenant could write, nor take the place of what the operator has", func(ctx SpecContext) {
		other := create(ctx, builders.Tenant("copies-origin").Build())
		waitReady(ctx, other)
		class(ctx, "copies-bad", `
tenant: {app: {image: "registry.example/shop:1"}}
copies:
- {kind: Secret, namespace: copies-origin, name: theirs}
- {kind: ConfigMap, namespace: default, name: app-config}`)
		tenant := create(ctx, member("copies-refusing", "copies-bad"))
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			haveCondition(v1alpha1.ConditionObjectsReady, "False", v1alpha1.ReasonInvalid,
				`which is one of the tenant copies-origin, who could change what all tenants get; move the original to a namespace of no tenant.`,
				`The class copies-bad has copies of ConfigMap "app-config", and the tenant has one of this name from the operator already`),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady)))
	}, SpecTimeout(specTimeout))
})
