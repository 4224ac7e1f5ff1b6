package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

const tenantLabel = "tenantry.dev/tenant"

// roomy begins a tenant that may have several namespaces, with an owner of each role.
func roomy(name string, limit int32) *builders.TenantBuilder {
	return bare(name).NamespaceLimit(limit).
		Owner(v1alpha1.OwnerKindUser, "admin@"+name, v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindUser, "editor@"+name, v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindUser, "viewer@"+name, v1alpha1.OwnerRoleViewer)
}

// as returns a client of a user.
func as(user string) client.WithWatch {
	GinkgoHelper()
	config := env.Kubernetes.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	impersonated, err := client.NewWithWatch(config, client.Options{Scheme: env.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return impersonated
}

// asUser runs kubectl as a user, and returns its output and errors.
func asUser(ctx context.Context, user string, args ...string) string {
	output, err := env.Kubernetes.Kubectl(ctx, append(args, "--as", user, "--as-group", "system:authenticated")...)
	if err != nil {
		return output + err.Error()
	}
	return output
}

// named returns a namespace with that name, which is deleted at the end of the spec.
func named(name string, labels map[string]string) *corev1.Namespace {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	DeferCleanup(func(ctx SpecContext) error {
		return client.IgnoreNotFound(env.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}, NodeTimeout(time.Minute))
	return namespace
}

// of returns the labels of a namespace of the tenant.
func of(tenant string) map[string]string { return map[string]string{tenantLabel: tenant} }

// states returns the states of a tenant's namespaces by name.
func states(tenant *v1alpha1.Tenant) map[string]v1alpha1.NamespaceState {
	result := map[string]v1alpha1.NamespaceState{}
	for _, namespace := range tenant.Status.Namespaces {
		result[namespace.Name] = namespace.State
	}
	return result
}

func haveStates(matcher gomegatypes.GomegaMatcher) gomegatypes.GomegaMatcher {
	return WithTransform(states, matcher)
}

// pod returns a pod that meets the Restricted standard.
func pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "app", Image: image, SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}
}

// runs waits until a user can run a pod in a namespace.
func runs(ctx context.Context, user client.Client, namespace string) {
	GinkgoHelper()
	Eventually(ctx, func() error { return user.Create(ctx, pod(namespace, "hello")) }).Should(Succeed())
	Eventually(ctx, komega.Object(pod(namespace, "hello"))).Should(HaveField("Status.Phase", corev1.PodRunning))
}

var _ = Describe("An owner's own namespace", Ordered, func() {
	var tenant *v1alpha1.Tenant
	const manager, worker, reader = "admin@selfmade", "editor@selfmade", "viewer@selfmade"

	BeforeAll(func(ctx SpecContext) {
		tenant = applyReady(ctx, roomy("selfmade", 4).Quota("pods", "10"))
	}, NodeTimeout(specTimeout))

	It("is created by kubectl create, and can be used within a second", func(ctx SpecContext) {
		file := manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: selfmade-dev, labels: {tenantry.dev/tenant: selfmade, stage: dev}}\n")
		begun := time.Now()
		Expect(asUser(ctx, manager, "create", "-f", file)).To(ContainSubstring("namespace/selfmade-dev created"))
		created := time.Now()
		editor := as(worker)
		Eventually(ctx, func() error { return editor.Create(ctx, pod("selfmade-dev", "first")) }).WithPolling(20 * time.Millisecond).Should(Succeed())
		AddReportEntry("seconds from its creation to the first pod of an editor", time.Since(created).Seconds())
		AddReportEntry("seconds with kubectl", time.Since(begun).Seconds())

		namespace := read(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "selfmade-dev"}})
		Expect(namespace.Labels).To(And(
			HaveKeyWithValue("app.kubernetes.io/managed-by", "tenantry"), HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"),
			HaveKeyWithValue("stage", "dev")))
		Expect(metav1.IsControlledBy(namespace, tenant)).To(BeTrue())
		for _, name := range []string{"deny-all", "allow-dns", "allow-tenant"} {
			Eventually(ctx, komega.Get(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "selfmade-dev", Name: name}})).Should(Succeed())
		}
		Expect(as(reader).List(ctx, &corev1.PodList{}, client.InNamespace("selfmade-dev"))).To(Succeed())
		Expect(as(reader).Create(ctx, pod("selfmade-dev", "not-mine"))).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveStates(Equal(map[string]v1alpha1.NamespaceState{"selfmade": v1alpha1.NamespaceUsable, "selfmade-dev": v1alpha1.NamespaceUsable})),
			haveCondition(v1alpha1.ConditionNamespaceReady, "True", v1alpha1.ReasonReady, "2 namespaces are in place."), beReady()))
		Expect(kubectl(ctx, "get", "tenant", "selfmade", "--no-headers")).To(MatchRegexp(`^selfmade +True +Everything is in place\. +2 +`))
	}, SpecTimeout(specTimeout))

	It("is found by its owners in the list that they can read", func(ctx SpecContext) {
		for _, user := range []string{manager, worker, reader} {
			Eventually(ctx, func() string {
				return asUser(ctx, user, "get", "configmap", "tenant-namespaces", "--namespace", "selfmade", "-o", "jsonpath={.data}")
			}).Should(Equal(`{"selfmade":"Usable","selfmade-dev":"Usable"}`))
		}
		Expect(asUser(ctx, "mallory", "get", "configmap", "tenant-namespaces", "--namespace", "selfmade")).To(ContainSubstring("forbidden"))
	}, SpecTimeout(specTimeout))

	It("is refused to all but owners with the role Admin, with a sentence for each case", func(ctx SpecContext) {
		for _, user := range []string{worker, reader, "mallory", "system:serviceaccount:selfmade:default"} {
			Expect(as(user).Create(ctx, named("selfmade-no", of("selfmade")))).To(MatchError(ContainSubstring(
				"You may not create namespaces for the tenant selfmade. That is for its owners with the role Admin, when it may have more than one namespace, has not many beyond that limit and is not cordoned; ask whoever manages the tenant.")))
		}
		owner := as(manager)
		for _, foreign := range []string{"nobodys", "default", "kube-system"} {
			Expect(owner.Create(ctx, named("selfmade-no", of(foreign)))).To(MatchError(ContainSubstring(
				"You may not create namespaces for the tenant " + foreign + ".")))
		}
		for _, labels := range []map[string]string{nil, {"a": "b"}, of("")} {
			Expect(owner.Create(ctx, named("selfmade-no", labels))).To(MatchError(ContainSubstring(
				"The namespace selfmade-no would belong to no tenant. Say which one by the label tenantry.dev/tenant, with the name of your tenant as its value.")))
		}
		generated := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-", Labels: of("selfmade")}}
		for _, namespace := range []*corev1.Namespace{named("kube-mine", of("selfmade")), generated} {
			Expect(owner.Create(ctx, namespace)).To(MatchError(And(
				ContainSubstring("The name kube-"), ContainSubstring("is for namespaces of the cluster itself (default, kube-*, tenantry-system, tenantry-databases); choose another one."))))
		}
		Expect(asUser(ctx, manager, "create", "namespace", "selfmade-no")).To(ContainSubstring("would belong to no tenant"))
		Expect(asUser(ctx, manager, "apply", "--server-side", "-f",
			manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: selfmade-no, labels: {tenantry.dev/tenant: selfmade}}\n"))).To(ContainSubstring("forbidden"))
	}, SpecTimeout(specTimeout))

	DescribeTable("can't be created with what is not the tenants' to set:", func(ctx SpecContext, change func(*corev1.Namespace), sentence string) {
		namespace := named("selfmade-odd", of("selfmade"))
		change(namespace)
		Expect(as(manager).Create(ctx, namespace, client.DryRunAll)).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("the Pod Security Standard", func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "privileged" },
			"The label pod-security.kubernetes.io/enforce of a tenant's namespace is not yours to set; leave it as it is."),
		Entry("a label of the operator", func(n *corev1.Namespace) { n.Labels["tenantry.dev/other"] = "x" }, "The label tenantry.dev/other"),
		Entry("who manages it", func(n *corev1.Namespace) { n.Labels["app.kubernetes.io/managed-by"] = "tenantry" }, "The label app.kubernetes.io/managed-by"),
		Entry("that it is in use", func(n *corev1.Namespace) { n.Annotations = map[string]string{"tenantry.dev/usable": "true"} },
			"The annotation tenantry.dev/usable of a tenant's namespace is not yours to set"),
		Entry("the nodes of its pods", func(n *corev1.Namespace) {
			n.Annotations = map[string]string{"scheduler.alpha.kubernetes.io/node-selector": "pool=gold"}
		}, "The annotation scheduler.alpha.kubernetes.io/node-selector"),
		Entry("an owner", func(n *corev1.Namespace) {
			n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "a", UID: "b"}}
		}, "The owner references of a tenant's namespace say who deletes it; leave them as they are."),
		Entry("a finalizer", func(n *corev1.Namespace) { n.Finalizers = []string{"example.com/forever"} },
			"The finalizers of a tenant's namespace keep it from being deleted; leave them as they are."),
		Entry("a finalizer of its content", func(n *corev1.Namespace) {
			n.Spec.Finalizers = []corev1.FinalizerName{"kubernetes", "example.com/forever"}
		},
			"The finalizers of a tenant's namespace keep it from being deleted"),
	)

	It("gets further labels and annotations from its owner, and keeps the others", func(ctx SpecContext) {
		Expect(asUser(ctx, manager, "label", "namespace", "selfmade-dev", "team=blue", "app.kubernetes.io/part-of=shop")).To(ContainSubstring("labeled"))
		Expect(asUser(ctx, manager, "annotate", "namespace", "selfmade-dev", "example.com/contact=alice")).To(ContainSubstring("annotated"))
		for _, patch := range []struct{ args, sentence string }{
			{"label namespace selfmade-dev tenantry.dev/tenant-", "The namespace selfmade-dev belongs to the tenant selfmade and stays with it; leave the label tenantry.dev/tenant as it is."},
			{"label namespace selfmade-dev tenantry.dev/tenant=other --overwrite", "belongs to the tenant selfmade and stays with it"},
			{"label namespace selfmade-dev pod-security.kubernetes.io/enforce=privileged --overwrite", "The label pod-security.kubernetes.io/enforce"},
			{"label namespace selfmade-dev pod-security.kubernetes.io/enforce-", "The label pod-security.kubernetes.io/enforce"},
			{"label namespace selfmade-dev app.kubernetes.io/managed-by-", "The label app.kubernetes.io/managed-by"},
			{"annotate namespace selfmade-dev tenantry.dev/usable-", "The annotation tenantry.dev/usable"},
			{`patch namespace selfmade-dev --type=merge --patch {"metadata":{"ownerReferences":null}}`, "The owner references of a tenant's namespace"},
			{`patch namespace selfmade-dev --type=merge --patch {"metadata":{"finalizers":["example.com/x"]}}`, "The finalizers of a tenant's namespace"},
			{`label namespace selfmade team=blue`, "forbidden"},
			{`delete namespace selfmade`, "forbidden"},
			{`label namespace default tenantry.dev/tenant=selfmade`, "forbidden"},
		} {
			Expect(asUser(ctx, manager, strings.Fields(patch.args)...)).To(ContainSubstring(patch.sentence), patch.args)
		}
		namespace := read(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "selfmade-dev"}})
		Expect(namespace.Labels).To(And(HaveKeyWithValue("team", "blue"), HaveKeyWithValue(tenantLabel, "selfmade")))
	}, SpecTimeout(specTimeout))

	It("stays safe from somebody whom RBAC lets write all namespaces, by status and finalize as well", func(ctx SpecContext) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "writes-namespaces"}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"},
			Verbs: []string{"get", "update", "patch", "delete"},
		}}}
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "writes-namespaces"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: manager}},
		}
		foreign := named("selfmade-not", nil)
		for _, object := range []client.Object{role, binding, foreign} {
			Expect(env.Client.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, object)) })
		}
		owner := as(manager)
		merge := func(content string) client.Patch {
			return client.RawPatch("application/merge-patch+json", []byte(content))
		}
		mine := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "selfmade-dev"}}
		primary := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "selfmade"}}
		joins := merge(`{"metadata":{"labels":{"tenantry.dev/tenant":"selfmade"}}}`)
		leaves := merge(`{"metadata":{"labels":{"tenantry.dev/tenant":null}}}`)

		By("joining")
		sentence := "The namespace selfmade-not belongs to no tenant and can not be moved into selfmade by setting the label tenantry.dev/tenant; only who may manage tenants can do that. Create a new namespace instead."
		Eventually(ctx, func() error { return owner.Patch(ctx, foreign.DeepCopy(), joins) }).Should(MatchError(ContainSubstring(sentence)))
		Expect(owner.Status().Patch(ctx, foreign.DeepCopy(), joins)).To(MatchError(ContainSubstring(sentence)))
		finalized := read(ctx, foreign.DeepCopy())
		finalized.Labels[tenantLabel] = "selfmade"
		Expect(owner.SubResource("finalize").Update(ctx, finalized)).To(MatchError(ContainSubstring(sentence)))
		Expect(asUser(ctx, manager, "apply", "--server-side", "--force-conflicts", "-f",
			manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: selfmade-not, labels: {tenantry.dev/tenant: selfmade}}\n"))).To(ContainSubstring(sentence))
		Expect(owner.Patch(ctx, foreign.DeepCopy(), merge(fmt.Sprintf(
			`{"metadata":{"ownerReferences":[{"apiVersion":"tenantry.dev/v1alpha1","kind":"Tenant","name":"selfmade","uid":%q,"controller":true}]}}`, tenant.UID)))).To(
			MatchError(ContainSubstring("A namespace becomes a tenant's by its label, not by an owner reference; leave the owner reference out.")))

		By("leaving")
		sentence = "The namespace selfmade-dev belongs to the tenant selfmade and stays with it; leave the label tenantry.dev/tenant as it is."
		Expect(owner.Patch(ctx, mine.DeepCopy(), leaves)).To(MatchError(ContainSubstring(sentence)))
		Expect(owner.Status().Patch(ctx, mine.DeepCopy(), leaves)).To(MatchError(ContainSubstring(sentence)))
		finalized = read(ctx, mine.DeepCopy())
		delete(finalized.Labels, tenantLabel)
		Expect(owner.SubResource("finalize").Update(ctx, finalized)).To(MatchError(ContainSubstring(sentence)))

		By("what is the cluster's to write")
		Expect(owner.Status().Patch(ctx, mine.DeepCopy(), merge(`{"status":{"conditions":[{"type":"NamespaceContentRemaining","status":"True","reason":"x","message":"y"}]}}`))).To(
			MatchError(ContainSubstring("namespaces/status of a tenant's namespace is written by the cluster only; write to the namespace itself.")))

		By("deleting the primary one")
		Expect(owner.Delete(ctx, primary)).To(MatchError(ContainSubstring(
			"The namespace selfmade is the primary one of the tenant selfmade and goes with the tenant only; delete what is in it, or ask whoever manages the tenant.")))

		By("and what has nothing to do with tenants")
		Expect(owner.Patch(ctx, foreign, merge(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"baseline"},"finalizers":["example.com/x"]}}`))).To(Succeed())
		Expect(owner.Patch(ctx, foreign, merge(`{"metadata":{"finalizers":null}}`))).To(Succeed())
		Expect(read(ctx, mine).Labels).To(HaveKeyWithValue(tenantLabel, "selfmade"))
	}, SpecTimeout(specTimeout))

	It("doesn't open a tenant that has its name", func(ctx SpecContext) {
		Expect(as(manager).Create(ctx, named("selfmade-late", of("selfmade")))).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(haveStates(HaveKeyWithValue("selfmade-late", v1alpha1.NamespaceUsable)))
		late := apply(ctx, roomy("selfmade-late", 2))
		Eventually(ctx, komega.Object(late)).Should(stalled(v1alpha1.ReasonConflict, `Namespace "selfmade-late" belongs to Tenant "selfmade" and is left as it is.`))
		Expect(as(manager).Create(ctx, named("selfmade-late-more", of("selfmade-late")))).To(MatchError(ContainSubstring("You may not create namespaces for the tenant selfmade-late.")))
		Expect(as(manager).Delete(ctx, named("selfmade-late", nil))).To(Succeed())
		waitReady(ctx, late)
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("is deleted by its owner, and gives its part of the quota back", func(ctx SpecContext) {
		Expect(asUser(ctx, worker, "delete", "namespace", "selfmade-dev")).To(ContainSubstring("forbidden"))
		Expect(asUser(ctx, manager, "delete", "namespace", "selfmade-dev", "--wait=false")).To(ContainSubstring("deleted"))
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveLen(1)), beReady()))
		Eventually(ctx, komega.Object(in(tenant, &corev1.ResourceQuota{}, "tenant"))).Should(
			WithTransform(func(quota *corev1.ResourceQuota) int64 { return quota.Status.Hard.Pods().Value() }, Equal(int64(10))))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The limit of a tenant's namespaces", func() {
	It("holds when 50 are created at once, and says what to do", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("crowded", 5).Quota("pods", "20"))
		owner := as("admin@crowded")
		var group sync.WaitGroup
		failures := make([]error, 50)
		for i := range failures {
			namespace := named(fmt.Sprintf("crowded-%d", i), of("crowded"))
			group.Go(func() { failures[i] = env.Client.Create(ctx, namespace) })
		}
		group.Wait()
		Expect(failures).To(HaveEach(BeNil()))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveStates(HaveLen(51)),
			stalled(v1alpha1.ReasonNamespaceLimitExceeded, "The tenant may use 5 namespaces, so that nobody can use crowded-",
				"delete namespaces until no more than 5 are left, or raise spec.namespaces.limit.")))
		Expect(tenant.Status.UsableNamespaces).To(HaveValue(Equal(int32(5))))
		usable := func() (names []string) {
			for name, state := range states(tenant) {
				if state == v1alpha1.NamespaceUsable {
					names = append(names, name)
				}
			}
			return names
		}
		first := usable()
		Expect(first).To(HaveLen(5))

		By("letting nobody run anything in the others")
		for name, state := range states(tenant) {
			err := as("editor@crowded").Create(ctx, pod(name, "hello"), client.DryRunAll)
			if state == v1alpha1.NamespaceUsable {
				Expect(fmt.Sprint(err)).NotTo(ContainSubstring("cannot create resource"))
				continue
			}
			Expect(err).To(MatchError(ContainSubstring("cannot create resource")))
			Expect(env.Client.Create(ctx, pod(name, "hello"), client.DryRunAll)).To(MatchError(ContainSubstring("the Tenant crowded has as many namespaces as spec.namespaces.limit allows, so " + name + " can't be used")))
			message := tenant.Status.Namespaces[len(tenant.Status.Namespaces)-1].Message
			Expect(message).To(Equal("The tenant may use 5 namespaces and has that many already; delete one of them, or raise spec.namespaces.limit."))
		}

		By("letting the next one in when there is room")
		for _, name := range first {
			if name != tenant.Name {
				Expect(owner.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
				break
			}
		}
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveLen(50)), HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(5))))))
		Expect(usable()).NotTo(ConsistOf(first))

		By("keeping those in use when the operator starts anew")
		before := usable()
		Expect(env.RestartOperator(ctx)).To(Succeed())
		change(ctx, tenant, func() { tenant.Spec.Namespaces.Limit = 6 })
		Eventually(ctx, komega.Object(tenant)).Should(And(WithTransform(behind, BeZero()), HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(6))))))
		Expect(usable()).To(ContainElements(before))

		By("taking all of them away with the tenant")
		remove(ctx, tenant)
		left := &corev1.NamespaceList{}
		Expect(env.Client.List(ctx, left, client.MatchingLabels(of("crowded")))).To(Succeed())
		Expect(left.Items).To(BeEmpty())
	}, SpecTimeout(2*specTimeout))
})

var _ = Describe("An admin", func() {
	It("moves a namespace into a tenant and out again, with what is in it", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("settled", 3).Quota("pods", "10"))
		namespace := named("settler", map[string]string{"team": "red"})
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		Expect(env.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "settler", Name: "theirs"}})).To(Succeed())
		kubectl(ctx, "label", "namespace", "settler", "tenantry.dev/tenant=settled")
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveKeyWithValue("settler", v1alpha1.NamespaceUsable)), beReady()))
		runs(ctx, as("editor@settled"), "settler")
		Expect(metav1.IsControlledBy(read(ctx, namespace), tenant)).To(BeTrue())

		kubectl(ctx, "label", "namespace", "settler", "tenantry.dev/tenant-")
		Eventually(ctx, komega.Object(namespace)).Should(And(
			HaveField("OwnerReferences", BeEmpty()),
			HaveField("Labels", Equal(map[string]string{"kubernetes.io/metadata.name": "settler", "team": "red"})),
			HaveField("Annotations", BeEmpty())))
		Expect(managedObjects(ctx, "settler")).To(BeEmpty())
		read(ctx, pod("settler", "hello"))
		read(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "settler", Name: "theirs"}})
		Expect(as("editor@settled").Create(ctx, pod("settler", "again"))).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Eventually(ctx, komega.Object(tenant)).Should(And(haveStates(HaveLen(1)), beReady()))
		remove(ctx, tenant)
		read(ctx, namespace)
	}, SpecTimeout(specTimeout))

	It("moves a namespace from one tenant to another", func(ctx SpecContext) {
		from := applyReady(ctx, roomy("mover", 2).Quota("pods", "10"))
		to := applyReady(ctx, roomy("taker", 2).Quota("pods", "10"))
		Expect(as("admin@mover").Create(ctx, named("mover-dev", of("mover")))).To(Succeed())
		runs(ctx, as("editor@mover"), "mover-dev")
		kubectl(ctx, "label", "namespace", "mover-dev", "tenantry.dev/tenant=taker", "--overwrite")
		Eventually(ctx, komega.Object(to)).Should(And(haveStates(HaveKeyWithValue("mover-dev", v1alpha1.NamespaceUsable)), beReady()))
		Eventually(ctx, komega.Object(from)).Should(And(haveStates(HaveLen(1)), beReady()))
		Eventually(ctx, func() error { return as("editor@taker").Create(ctx, pod("mover-dev", "again")) }).Should(Succeed())
		Expect(as("editor@mover").Get(ctx, client.ObjectKey{Namespace: "mover-dev", Name: "hello"}, &corev1.Pod{})).To(MatchError(apierrors.IsForbidden, "forbidden"))
		read(ctx, pod("mover-dev", "hello"))
	}, SpecTimeout(specTimeout))

	It("sees which labeled namespace belongs to somebody else", func(ctx SpecContext) {
		first := applyReady(ctx, roomy("holder", 2))
		second := applyReady(ctx, roomy("claimer", 2))
		foreign := named("claimed", of("claimer"))
		foreign.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Tenant", Name: "gone", UID: "b6d8b3a0-0000-4000-8000-000000000000", Controller: new(true),
		}}
		Expect(env.Client.Create(ctx, foreign)).To(Succeed())
		Eventually(ctx, komega.Object(second)).Should(stalled(v1alpha1.ReasonConflict,
			`The namespace claimed can't be the tenant's. It belongs to Tenant "gone" and is left as it is; take its owner reference off, or the label tenantry.dev/tenant.`))
		Expect(read(ctx, first).Status.Namespaces).To(HaveLen(1))
	}, SpecTimeout(specTimeout))
})
