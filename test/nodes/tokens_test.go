package nodes

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/matrix"
)

// toAPIServer lets a tenant's pods reach the API server, whose address is outside of the pod network.
func toAPIServer() networkingv1.NetworkPolicyEgressRule {
	GinkgoHelper()
	server, _, err := rest.DefaultServerUrlFor(kubernetes.Config())
	Expect(err).NotTo(HaveOccurred())
	port, err := strconv.Atoi(server.Port())
	Expect(err).NotTo(HaveOccurred())
	return networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: fabric.Address + "/32"}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt(port))}},
	}
}

// startAsking starts a pod that asks for the token of a ServiceAccount of its namespace, as an owner of the tenant.
func startAsking(ctx context.Context, owner client.Client, namespace, name, account string) *corev1.Pod {
	GinkgoHelper()
	pod := matrix.Pod(namespace, name, nil)
	pod.Spec.ServiceAccountName, pod.Spec.AutomountServiceAccountToken = account, new(true)
	pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Args = peer, []string{"sleep"}
	Expect(owner.Create(ctx, pod)).To(Succeed())
	Eventually(ctx, komega.Object(pod)).Should(HaveField("Status.Phase", corev1.PodRunning))
	return pod
}

// inPod runs peer in a pod.
func inPod(ctx context.Context, pod *corev1.Pod, args ...string) (string, error) {
	return kubectl(ctx, append([]string{"exec", "--namespace=" + pod.Namespace, pod.Name, "--", "/peer"}, args...)...)
}

// callOf returns what a request with the pod's own token is answered.
func callOf(pod *corev1.Pod) func(context.Context, string) (string, error) {
	return func(ctx context.Context, request string) (string, error) { return inPod(ctx, pod, "call", request) }
}

var _ = Describe("The token of a ServiceAccount", Ordered, func() {
	const (
		tenant  = "keyed"
		other   = "keyless"
		account = "worker"
	)
	var owner client.Client

	BeforeAll(func(ctx SpecContext) {
		owner = as(tenant + "-owner")
		for _, name := range []string{tenant, other} {
			builder := builders.Tenant(name).Owner(v1alpha1.OwnerKindUser, name+"-owner", v1alpha1.OwnerRoleAdmin).
				Database(shared).App(peer).Command("/peer", "serve").Port(8080)
			if name == tenant {
				builder.Egress(toAPIServer())
			}
			made := builder.Build()
			Expect(cl.Create(ctx, made)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, made)).To(Succeed()) })
		}
		for _, name := range []string{tenant, other} {
			Eventually(ctx, komega.Object(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}})).Should(ready())
		}
		Expect(owner.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: account}})).To(Succeed())
		Expect(owner.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: tenant, Name: account}},
		})).To(Succeed())
	}, NodeTimeout(specTimeout))

	It("is in no pod that doesn't ask for it, whether the operator or an owner has made that", func(ctx SpecContext) {
		pod := matrix.Pod(tenant, "silent", nil)
		pod.Spec.ServiceAccountName = account
		pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Args = peer, []string{"sleep"}
		Expect(owner.Create(ctx, pod)).To(Succeed())
		Eventually(ctx, komega.Object(pod)).Should(HaveField("Status.Phase", corev1.PodRunning))
		for _, without := range []*corev1.Pod{pod, new(podsOf(ctx, tenant)[0])} {
			_, err := inPod(ctx, without, "token")
			Expect(err).To(MatchError(ContainSubstring("exit code 1")), without.Name)
			Expect(inPod(ctx, without, "escape")).To(MatchRegexp(`\Atried \d+\z`), without.Name)
		}
	}, SpecTimeout(specTimeout))

	It("is of no use where the tenant's network policies don't lead to the API server", func(ctx SpecContext) {
		pod := startAsking(ctx, as(other+"-owner"), other, "asking", "default")
		Expect(inPod(ctx, pod, "token")).NotTo(BeEmpty())
		Expect(callOf(pod)(ctx, "GET /version")).To(Equal(silent))
	}, SpecTimeout(specTimeout))

	It("gives a pod that asks for it what its owner has given the ServiceAccount, and nothing of others", func(ctx SpecContext) {
		pod := startAsking(ctx, owner, tenant, "asking", account)
		const named = "system:serviceaccount:" + tenant + ":" + account
		answer := callOf(pod)
		for _, request := range []string{
			"GET /api/v1/namespaces/" + tenant + "/secrets/database",
			"GET /apis/apps/v1/namespaces/" + tenant + "/deployments",
			`POST /api/v1/namespaces/` + tenant + `/configmaps {"metadata": {"name": "made"}}`,
		} {
			Expect(answer(ctx, request)).To(HavePrefix("20"), request)
		}
		for _, request := range []string{
			"GET /api/v1/namespaces/" + other + "/secrets/database",
			"GET /api/v1/namespaces/" + other + "/pods",
			`POST /api/v1/namespaces/` + other + `/configmaps {"metadata": {"name": "made"}}`,
			"GET /api/v1/namespaces/" + operator.Namespace + "/secrets",
			"GET /api/v1/namespaces/tenantry-databases/secrets",
			"GET /api/v1/secrets", "GET /api/v1/namespaces", "GET /api/v1/nodes",
			"GET /apis/tenantry.dev/v1alpha1/tenants", "GET /apis/tenantry.dev/v1alpha1/databaseservers",
			`PATCH /apis/tenantry.dev/v1alpha1/tenants/` + tenant + ` {"spec": {"quota": null}}`,
			`POST /api/v1/namespaces/` + operator.Namespace + `/serviceaccounts/tenantry-manager/token {"spec": {}}`,
			`POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings {"metadata": {"name": "all"}, ` +
				`"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}}`,
		} {
			Expect(answer(ctx, request)).To(And(HavePrefix("403 "), ContainSubstring(`User "`+named+`" cannot`)), request)
		}
		By("nor of what is the operator's in the tenant's own namespace")
		for request, why := range map[string]string{
			"DELETE /apis/networking.k8s.io/v1/namespaces/" + tenant + "/networkpolicies/deny-all":                       "deny-all",
			"DELETE /api/v1/namespaces/" + tenant + "/secrets/database":                                                  "database",
			"DELETE /api/v1/namespaces/" + tenant + "/resourcequotas/tenant":                                             "cannot delete",
			`PATCH /api/v1/namespaces/` + tenant + ` {"metadata": {"labels": {"tenantry.dev/tenant": "` + other + `"}}}`: "cannot patch",
			`POST /apis/rbac.authorization.k8s.io/v1/namespaces/` + tenant + `/roles {"metadata": {"name": "more"}, ` +
				`"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}`: "attempting to grant",
		} {
			Expect(answer(ctx, request)).To(And(HavePrefix("403 "), ContainSubstring(why)), request)
		}
	}, SpecTimeout(specTimeout))

	It("ends with the pod, also in the hands of somebody else", func(ctx SpecContext) {
		pod := startAsking(ctx, owner, tenant, "leaving", account)
		stolen, err := inPod(ctx, pod, "token")
		Expect(err).NotTo(HaveOccurred())
		config := rest.AnonymousClientConfig(kubernetes.Config())
		config.BearerToken = stolen
		thief, err := client.New(config, client.Options{Scheme: cl.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		who := func(ctx context.Context) (string, error) {
			review := &authenticationv1.SelfSubjectReview{}
			err := thief.Create(ctx, review)
			return strings.TrimSpace(fmt.Sprint(review.Status.UserInfo.Username, " ", review.Status.UserInfo.Extra["authentication.kubernetes.io/pod-name"])), err
		}
		Expect(who(ctx)).To(Equal("system:serviceaccount:" + tenant + ":" + account + " [leaving]"))
		Expect(owner.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(ctx, func() error {
			_, err := who(ctx)
			return err
		}).Should(MatchError(apierrors.IsUnauthorized, "IsUnauthorized"))
	}, SpecTimeout(specTimeout))
})
