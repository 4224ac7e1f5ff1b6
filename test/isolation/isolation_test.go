package isolation

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/internal/database"
)

var _ = Describe("The people and workloads of a tenant", Ordered, ContinueOnFailure, func() {
	for _, stopped := range []bool{false, true} {
		text := "while the operator runs"
		if stopped {
			text = "while the operator is stopped"
		}
		Context(text, func() {
			BeforeAll(func() {
				if stopped {
					Expect(env.Operator.Stop()).To(Succeed())
				}
			})

			DescribeTable("don't get to", closed, ways)
			DescribeTable("pass the check of kubectl-mtb", closed, checks)
			It("don't spend more than the budget by spreading it, all at once", spendAtOnce, SpecTimeout(specTimeout))
			It("don't get to volumes of others by having a controller claim them", claimThroughControllers, SpecTimeout(specTimeout))
			It("are nobody else", actAsOthers, SpecTimeout(specTimeout))
			DescribeTable("don't get to a neighbor by SQL, with the isolation", attackBySQL,
				Entry(nil, database.IsolationDatabase, SpecTimeout(specTimeout)),
				Entry(nil, database.IsolationSchema, SpecTimeout(specTimeout)),
				Entry(nil, database.IsolationRow, SpecTimeout(specTimeout)))
			It("keep a protected Tenant from the cluster's admin as well", func(ctx SpecContext) {
				Expect(remove(thing("tenantry.dev/v1alpha1", "Tenant", "", "acme"))(ctx, env.Client)).To(refused(policy("tenants")))
				Expect(remove(thing("tenantry.dev/v1alpha1", "Tenant", "", "globex"))(ctx, env.Client)).To(Succeed())
			}, SpecTimeout(specTimeout))
		})
	}
})

// claimThroughControllers has Kubernetes' own controllers create claims that name a volume. They process templates
// in the order of creation.
func claimThroughControllers(ctx SpecContext) {
	template := func(more string) string {
		return fmt.Sprintf("{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, %s}", more)
	}
	for _, who := range everyone {
		made := func(text string) client.Object {
			created := object(text)
			Expect(clients[who].Create(ctx, created)).To(Succeed(), who.String())
			DeferCleanup(func(ctx SpecContext) error {
				return client.IgnoreNotFound(env.Client.Delete(ctx, created, client.GracePeriodSeconds(0)))
			})
			return created
		}
		ephemeral := func(more string) client.Object {
			return made(pod("acme", "volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: "+template(more)+"}}}]"))
		}
		theirs, own := ephemeral("volumeName: theirs"), ephemeral("")
		set := made(spec("apps/v1", "StatefulSet", fmt.Sprintf(`serviceName: none, selector: {matchLabels: {app: set}},
			template: {metadata: {labels: {app: set}}, spec: {securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [%s]}},
			volumeClaimTemplates: [{metadata: {name: v}, spec: %s}]`, container("main", image, ""), template("volumeName: theirs"))))
		claim := func(name string) func() error {
			return komega.Get(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name}})
		}
		Eventually(ctx, claim(own.GetName()+"-v")).Should(Succeed(), who.String())
		Expect(claim(theirs.GetName()+"-v")()).NotTo(Succeed(), who.String())
		Eventually(ctx, func() ([]corev1.Event, error) {
			events := &corev1.EventList{}
			err := env.Client.List(ctx, events, client.InNamespace("acme"), client.MatchingFields{"involvedObject.uid": string(set.GetUID())})
			return events.Items, err
		}).Should(ContainElement(HaveField("Message", ContainSubstring("but only Kubernetes itself may choose the volume"))), who.String())
	}
}

// spendAtOnce creates many more Services than the budget allows, in all namespaces, as everyone.
func spendAtOnce(ctx SpecContext) {
	label := client.MatchingLabels{"spent": "at-once"}
	const count = 40
	var group sync.WaitGroup
	var outcomes [count]error
	for i := range count {
		group.Go(func() {
			namespace := []string{"acme", "acme-dev"}[i%2]
			outcomes[i] = clients[i%3].Create(ctx, object(fmt.Sprintf(
				"{apiVersion: v1, kind: Service, metadata: {namespace: %s, generateName: burst-, labels: {spent: at-once}}, spec: {ports: [{port: 80}]}}", namespace)))
		})
	}
	group.Wait()
	for i, err := range outcomes[:] {
		switch inDev := i%2 == 1; {
		case inDev && actor(i%3) == account:
			Expect(err).To(refused(rbac), "it has no rights in acme-dev")
		case err != nil && !apierrors.IsConflict(err):
			Expect(err).To(refused(quota))
		}
	}
	quotas := func() (hard, used int64) {
		GinkgoHelper()
		list := &corev1.ResourceQuotaList{}
		Expect(env.Client.List(ctx, list, client.MatchingLabels{"tenantry.dev/tenant": "acme"})).To(Succeed())
		for _, quota := range list.Items {
			hard += quantity(quota.Spec.Hard, corev1.ResourceServices)
			used += quantity(quota.Status.Used, corev1.ResourceServices)
		}
		return hard, used
	}
	hard, used := quotas()
	Expect(hard).To(BeNumerically("<=", 10))
	Expect(used).To(BeNumerically("<=", 10))
	for _, namespace := range []string{"acme", "acme-dev"} {
		services := &corev1.ServiceList{}
		Expect(env.Client.List(ctx, services, client.InNamespace(namespace), label)).To(Succeed())
		Expect(services.Items).NotTo(BeEmpty())
		for _, service := range services.Items {
			Expect(env.Client.Delete(ctx, &service)).To(Succeed())
		}
	}
	Eventually(ctx, func() int64 { _, used := quotas(); return used }).Should(BeEquivalentTo(1), "the app's own")
}

func quantity(list corev1.ResourceList, name corev1.ResourceName) int64 {
	amount := list[name]
	return (&amount).Value()
}

// actAsOthers asks the API server whom the tenant's users may impersonate, since a client that already
// impersonates can't try it.
func actAsOthers(ctx SpecContext) {
	may := func(who actor, attributes authorizationv1.ResourceAttributes) bool {
		GinkgoHelper()
		attributes.Verb = "impersonate"
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
		Expect(clients[who].Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}
	for _, who := range everyone {
		Expect(may(who, authorizationv1.ResourceAttributes{Resource: "users", Name: "carol"})).To(BeFalse(), who.String())
		Expect(may(who, authorizationv1.ResourceAttributes{Resource: "groups", Name: "system:masters"})).To(BeFalse(), who.String())
		Expect(may(who, authorizationv1.ResourceAttributes{Resource: "serviceaccounts", Namespace: "globex", Name: "default"})).To(BeFalse(), who.String())
		Expect(may(who, authorizationv1.ResourceAttributes{Resource: "serviceaccounts", Namespace: "acme", Name: "worker"})).To(BeTrue(), who.String())
	}
}

// configured expects the quota of a namespace to limit these resources.
func configured(namespace string, resources ...corev1.ResourceName) act {
	return func(ctx context.Context, who client.Client) error {
		quota := &corev1.ResourceQuota{}
		if err := who.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "tenant"}, quota); err != nil {
			return err
		}
		for _, name := range resources {
			if _, limited := quota.Status.Hard[name]; !limited {
				return fmt.Errorf("the quota of the namespace %s doesn't limit %s", namespace, name)
			}
		}
		return nil
	}
}
