package integration

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("The rights of a tenant's owners", func() {
	// rights returns the lines of kubectl auth can-i --list.
	rights := func(ctx context.Context, user, namespace string) []string {
		GinkgoHelper()
		output, err := env.Kubernetes.Kubectl(ctx, "auth", "can-i", "--list", "--namespace", namespace, "--as", user, "--as-group", "system:authenticated")
		Expect(err).NotTo(HaveOccurred())
		lines := strings.Split(strings.TrimSpace(output), "\n")
		slices.Sort(lines)
		return lines
	}

	It("are those in its namespaces, and elsewhere what everybody has", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("walled", 2))
		Expect(as("admin@walled").Create(ctx, named("walled-in", of("walled")))).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))), beReady()))
		applyReady(ctx, roomy("walled-off", 2))
		for _, user := range []string{"admin@walled", "editor@walled", "viewer@walled"} {
			for _, namespace := range []string{"default", "kube-system", "tenantry-system", "walled-off"} {
				Expect(rights(ctx, user, namespace)).To(Equal(rights(ctx, "somebody", namespace)), user+" in "+namespace)
			}
			for _, namespace := range []string{"walled", "walled-in"} {
				Expect(len(rights(ctx, user, namespace))).To(BeNumerically(">", len(rights(ctx, "somebody", namespace))), user+" in "+namespace)
			}
		}
		Expect(as("admin@walled").List(ctx, &corev1.NamespaceList{})).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(as("admin@walled").List(ctx, &v1alpha1.TenantList{})).To(MatchError(apierrors.IsForbidden, "forbidden"))
	}, SpecTimeout(specTimeout))

	It("end in all its namespaces when the owner is removed", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("parted", 3))
		owner := as("admin@parted")
		Expect(owner.Create(ctx, named("parted-ways", of("parted")))).To(Succeed())
		Eventually(ctx, func() error { return owner.List(ctx, &corev1.PodList{}, client.InNamespace("parted-ways")) }).Should(Succeed())
		change(ctx, tenant, func() { tenant.Spec.Owners = tenant.Spec.Owners[1:] })
		waitReady(ctx, tenant)
		for _, namespace := range []string{"parted", "parted-ways"} {
			Eventually(ctx, func() error { return owner.List(ctx, &corev1.PodList{}, client.InNamespace(namespace)) }).Should(
				MatchError(apierrors.IsForbidden, "forbidden"))
			Expect(as("editor@parted").List(ctx, &corev1.PodList{}, client.InNamespace(namespace))).To(Succeed())
		}
		Eventually(ctx, func() error { return owner.Create(ctx, named("parted-more", of("parted")), client.DryRunAll) }).Should(
			MatchError(ContainSubstring("You may not create namespaces for the tenant parted.")))
		Expect(owner.Delete(ctx, named("parted-ways", nil))).To(MatchError(apierrors.IsForbidden, "forbidden"))
	}, SpecTimeout(specTimeout))

	It("include further ClusterRoles in each namespace, once the operator may give them", func(ctx SpecContext) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "snapshot-maker"}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"apps"}, Resources: []string{"controllerrevisions"}, Verbs: []string{"create"},
		}}}
		may := func(namespace string) string {
			return strings.TrimSpace(asUser(ctx, "maker", "auth", "can-i", "create", "controllerrevisions.apps", "--namespace", namespace))
		}
		tenant := apply(ctx, roomy("extended", 2).
			Owner(v1alpha1.OwnerKindUser, "maker", v1alpha1.OwnerRoleViewer).ClusterRoles("snapshot-maker"))
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonForbidden, "There is no ClusterRole snapshot-maker; create it, or leave it out of spec.owners."),
			haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonForbidden)))

		Expect(env.Client.Create(ctx, role)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, role) })
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Look again" })
		const create, bind = "kubectl create clusterrole tenantry-bind-snapshot-maker --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=snapshot-maker",
			"kubectl create clusterrolebinding tenantry-bind-snapshot-maker --clusterrole=tenantry-bind-snapshot-maker --serviceaccount=tenantry-system:tenantry-manager"
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonForbidden,
			"The operator may not give away the ClusterRole snapshot-maker. To allow it: "+create+" && "+bind))

		By("doing just what it says")
		for _, command := range []string{create, bind} {
			kubectl(ctx, strings.Fields(command)[1:]...)
			DeferCleanup(func(ctx SpecContext) {
				kubectl(ctx, "delete", strings.Fields(command)[2], "tenantry-bind-snapshot-maker")
			})
		}
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "And again" })
		waitReady(ctx, tenant)
		Expect(as("admin@extended").Create(ctx, named("extended-more", of("extended")))).To(Succeed())
		for _, namespace := range []string{"extended", "extended-more"} {
			Eventually(ctx, func() string { return may(namespace) }).Should(Equal("yes"))
		}
		Expect(may("default")).NotTo(Equal("yes"))

		By("and not when the owner no longer has it")
		change(ctx, tenant, func() { tenant.Spec.Owners[3].ClusterRoles = nil })
		for _, namespace := range []string{"extended", "extended-more"} {
			Eventually(ctx, func() string { return may(namespace) }).ShouldNot(Equal("yes"))
		}
	}, SpecTimeout(specTimeout))

	It("can't be raised by owners, nor by ServiceAccounts", func(ctx SpecContext) {
		applyReady(ctx, roomy("climbing", 2))
		owner := as("admin@climbing")
		bind := func(clusterRole string, subject rbacv1.Subject) error {
			return owner.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: "climbing", GenerateName: "climb-"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
				Subjects:   []rbacv1.Subject{subject},
			}, client.DryRunAll)
		}
		account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "climbing", Name: "default"}
		Expect(bind("cluster-admin", account)).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(bind("tenantry-manager", account)).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(bind("tenantry-namespace-owner", account)).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(bind("edit", account)).To(Succeed())
		Expect(as("editor@climbing").Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "climbing", Name: "climb"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"}, Subjects: []rbacv1.Subject{account},
		})).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(as("system:serviceaccount:climbing:default").List(ctx, &corev1.SecretList{}, client.InNamespace("climbing"))).To(
			MatchError(apierrors.IsForbidden, "forbidden"))
	}, SpecTimeout(specTimeout))
})
