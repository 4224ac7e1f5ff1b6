package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("What is in the way of a Tenant", func() {
	create := func(ctx SpecContext, object client.Object) client.Object {
		GinkgoHelper()
		Expect(env.Client.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, object)) })
		return object.DeepCopyObject().(client.Object)
	}

	It("as its Namespace is left alone and named, and when it goes the tenant becomes Ready", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "taken", Labels: map[string]string{"team": "blue"}}}
		before := create(ctx, namespace)
		tenant := apply(ctx, whole("taken"))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonConflict, `Namespace "taken" exists already and is left as it is; delete or rename it to make room.`),
			haveCondition(v1alpha1.ConditionNamespaceReady, "False", v1alpha1.ReasonConflict),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing)))
		Expect(kubectl(ctx, "get", "tenant", "taken", "--no-headers")).To(MatchRegexp(`^taken +False +Namespace "taken" exists already`))
		Expect(read(ctx, namespace)).To(Equal(before))
		Expect(managedObjects(ctx, "taken")).To(BeEmpty())

		remove(ctx, namespace)
		waitReady(ctx, tenant)
		Expect(metav1.IsControlledBy(read(ctx, namespaceOf(tenant)), tenant)).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("as its Namespace stays when the tenant is deleted", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "spared"}}
		before := create(ctx, namespace)
		tenant := apply(ctx, builders.Tenant("spared").Database(shared))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonConflict))
		remove(ctx, tenant)
		Expect(read(ctx, namespace)).To(Equal(before))
	}, SpecTimeout(specTimeout))

	It("as another tenant's Namespace is left alone and its owner named", func(ctx SpecContext) {
		other := applyReady(ctx, bare("first-comer").NamespaceLimit(2))
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "late-comer", Labels: map[string]string{naming.LabelTenant: other.Name},
		}}
		create(ctx, namespace)
		Eventually(ctx, komega.Object(other)).Should(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))))
		tenant := apply(ctx, bare("late-comer"))
		Eventually(ctx, komega.Object(tenant)).Should(
			stalled(v1alpha1.ReasonConflict, `Namespace "late-comer" belongs to Tenant "first-comer" and is left as it is.`))
		Expect(metav1.IsControlledBy(read(ctx, namespace), other)).To(BeTrue())
		Expect(namespace.Labels).To(HaveKeyWithValue(naming.LabelTenant, other.Name))
	}, SpecTimeout(specTimeout))

	It("as a Secret in its namespace holds up the database only, until it goes", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("foreign-secret").App(image))
		secret := in(tenant, &corev1.Secret{StringData: map[string]string{"password": "theirs"}}, "database")
		before := create(ctx, secret).(*corev1.Secret)
		change(ctx, tenant, func() {
			tenant.Spec.Database = &v1alpha1.TenantDatabase{ServerRef: v1alpha1.DatabaseServerReference{Name: shared}}
			tenant.Spec.Quota = corev1.ResourceList{}
			tenant.Spec.Network.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonConflict, `Secret "database" in namespace "foreign-secret" exists already and is left as it is; delete or rename it to make room.`),
			haveCondition(v1alpha1.ConditionDatabaseReady, "False", v1alpha1.ReasonConflict),
			haveCondition(v1alpha1.ConditionNetworkReady, "True", v1alpha1.ReasonReady)))
		read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, "allow-spec"))
		Expect(read(ctx, secret).Data).To(Equal(before.Data))
		Expect(secret.UID).To(Equal(before.UID))

		By("leaving the app as it is, however often the tenant is looked at")
		generation := read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Generation
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Look again" })
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonConflict))
		Expect(read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Generation).To(Equal(generation))

		remove(ctx, secret)
		waitReady(ctx, tenant)
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("as a Service in its namespace holds up the app's condition only, until it goes", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("foreign-service").Database(shared))
		service := in(tenant, &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, "app")
		before := create(ctx, service).(*corev1.Service)
		change(ctx, tenant, func() {
			tenant.Spec.App = &v1alpha1.TenantApp{Image: image, Port: 8080}
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonConflict, `Service "app" in namespace "foreign-service" exists already and is left as it is`),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonConflict),
			haveCondition(v1alpha1.ConditionDatabaseReady, "True", v1alpha1.ReasonReady)))
		Expect(read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template.Spec.Containers[0].Image).To(Equal(image))
		Expect(read(ctx, service).Spec).To(Equal(before.Spec))

		remove(ctx, service)
		waitReady(ctx, tenant)
		Expect(read(ctx, service).Spec.Ports[0].Port).To(Equal(int32(8080)))
	}, SpecTimeout(specTimeout))

	It("because somebody took the owner off it is left alone and named", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("disowned").Quota("pods", "3"))
		quota := read(ctx, in(tenant, &corev1.ResourceQuota{}, "tenant"))
		change(ctx, quota, func() { quota.OwnerReferences = nil })
		Eventually(ctx, komega.Object(tenant)).Should(
			stalled(v1alpha1.ReasonConflict, `ResourceQuota "tenant" in namespace "disowned" exists already and is left as it is`))
		Expect(read(ctx, quota).OwnerReferences).To(BeEmpty())
		remove(ctx, quota)
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
