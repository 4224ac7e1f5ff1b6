package membership_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	createsWithLabel = `{"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{},"f:tenantry.dev/tenant":{}}}}`
	creates          = `{"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}`
	labels           = `{"f:metadata":{"f:labels":{"f:tenantry.dev/tenant":{}}}}`
)

// written adds a managed fields entry: somebody has set fields in that second.
func written(manager string, operation metav1.ManagedFieldsOperationType, second int64, fields string) change {
	return func(namespace *corev1.Namespace) {
		namespace.ManagedFields = append(namespace.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: operation, Time: new(metav1.NewTime(time.Unix(second, 0))), FieldsV1: metav1.NewFieldsV1(fields),
		})
	}
}

func movedIn(namespace *corev1.Namespace) {
	namespace.Annotations = map[string]string{naming.AnnotationMovedIn: "true"}
}

func TestWhatBecomesOfANamespace(t *testing.T) {
	const update, apply = metav1.ManagedFieldsOperationUpdate, metav1.ManagedFieldsOperationApply
	acme := builders.Effective(t, builders.Tenant("acme").NamespaceLimit(9).Build())
	for _, test := range []struct {
		name      string
		namespace *corev1.Namespace
		movedIn   bool
	}{
		{"created with the label", namespace("x", 5, written("kubectl-create", update, 5, createsWithLabel)), false},
		{"created with the label, in the next second by the clock", namespace("x", 5, written("kubectl-create", update, 6, createsWithLabel)), false},
		{"created with the label by server-side apply", namespace("x", 5, written("flux", apply, 5, labels)), false},
		{"by nobody that is known", namespace("x", 5), false},
		{"labeled by the operator", namespace("x", 5, written(naming.FieldOwner, update, 9, labels)), false},
		{"labeled later", namespace("x", 5, written("kubectl-create", update, 5, creates), written("kubectl-label", update, 50, labels)), true},
		{"labeled within a second", namespace("x", 5, written("kubectl-create", update, 5, creates), written("kubectl-label", update, 5, labels)), true},
		{"labeled later by who has created it", namespace("x", 5, written("kubectl-client-side-apply", update, 50, createsWithLabel)), true},
		{"labeled later by server-side apply", namespace("x", 5, written("flux", apply, 50, labels)), true},
		{"taken before, when it was created with the label", namespace("x", 5, controlledBy(acme.UID), written("argocd", update, 50, createsWithLabel)), false},
		{"noted before", namespace("x", 5, controlledBy(acme.UID), movedIn), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for policy, released := range map[v1alpha1.NamespaceReclaimPolicy]bool{
				"": test.movedIn, v1alpha1.NamespaceDelete: false, v1alpha1.NamespaceRelease: true,
			} {
				acme.Spec.Namespaces.ReclaimPolicy = policy
				member := membership.Of(acme, []*corev1.Namespace{test.namespace}).All[1]
				if member.MovedIn != test.movedIn || (member.ReclaimPolicy == v1alpha1.NamespaceRelease) != released {
					t.Errorf("with %q, it was moved in: %t, and becomes %q", policy, member.MovedIn, member.ReclaimPolicy)
				}
			}
		})
	}
}

// says adds conditions in the namespace controller's words.
func says(conditions ...corev1.NamespaceCondition) change {
	return func(namespace *corev1.Namespace) {
		terminating(namespace)
		namespace.Status.Conditions = conditions
	}
}

func isTrue(kind corev1.NamespaceConditionType, message string) corev1.NamespaceCondition {
	return corev1.NamespaceCondition{Type: kind, Status: corev1.ConditionTrue, Message: message}
}

func remains(resources, finalizers string) []corev1.NamespaceCondition {
	return []corev1.NamespaceCondition{
		{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse, Message: "All resources successfully discovered"},
		isTrue(corev1.NamespaceContentRemaining, "Some resources are remaining: "+resources),
		isTrue(corev1.NamespaceFinalizersRemaining, "Some content in the namespace has finalizers remaining: "+finalizers),
	}
}

func TestWhatKeepsANamespaceThatIsBeingDeleted(t *testing.T) {
	const bindings = "rolebindings.rbac.authorization.k8s.io has 4 resource instances"
	for _, test := range []struct {
		name       string
		conditions []corev1.NamespaceCondition
		want       string
		onlyRights bool
	}{
		{"nobody has looked yet", nil, "", false},
		{"the rights, and nothing else", remains(bindings, "tenantry.dev/rights in 4 resource instances"), "", true},
		{
			"something else",
			remains("configmaps. has 1 resource instances, "+bindings, "example.com/hold in 1 resource instances, tenantry.dev/rights in 4 resource instances"),
			"Some resources are remaining: configmaps. has 1 resource instances; " +
				"Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances", false,
		},
		{
			"another RoleBinding", remains(bindings, "example.com/hold in 1 resource instances, tenantry.dev/rights in 3 resource instances"),
			"Some resources are remaining: " + bindings + "; " +
				"Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances", false,
		},
		{
			"nobody knows what, since an API is down",
			append(remains(bindings, "tenantry.dev/rights in 4 resource instances"), isTrue(corev1.NamespaceDeletionContentFailure, "it failed")),
			"it failed", false,
		},
		{"what the rights don't keep", []corev1.NamespaceCondition{isTrue(corev1.NamespaceContentRemaining, "Some resources are remaining: "+bindings)},
			"Some resources are remaining: " + bindings, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ending := namespace("x", 1, says(test.conditions...))
			if got := membership.Obstacles(ending); got != test.want {
				t.Errorf("it says\n%s\nwant\n%s", got, test.want)
			}
			if got := membership.OnlyRightsRemain(ending); got != test.onlyRights {
				t.Errorf("only the rights remain: %t", got)
			}
		})
	}
}

func TestAMessageOfANamespaceIsNoLongerThanAStatusTakes(t *testing.T) {
	acme := builders.Effective(t, builders.Tenant("acme").Build())
	members := membership.Of(acme, []*corev1.Namespace{namespace("x", 1, says(remains(strings.Repeat("ä", 600), "f in 1 resource instances")...))})
	if runes := []rune(members.All[1].Message); len(runes) != 512 || !strings.HasSuffix(string(runes), "…") {
		t.Errorf("it has %d characters: %s", len(runes), string(runes))
	}
}

func TestWhichPodsKeepANamespace(t *testing.T) {
	acme := builders.Effective(t, builders.Tenant("acme").Build())
	pod := func(name string, change func(*corev1.Pod)) corev1.Pod {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		change(&pod)
		return pod
	}
	held := pod("held", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/a", "example.com/b"} })
	ending := pod("ending", func(p *corev1.Pod) {
		p.DeletionTimestamp, p.Spec.NodeName = new(metav1.NewTime(time.Unix(0, 0))), "node-1"
	})
	member := membership.Of(acme, []*corev1.Namespace{namespace("x", 1, terminating)}).All[1]
	for _, test := range []struct {
		pods []corev1.Pod
		want string
	}{
		{nil, "It is being deleted."},
		{[]corev1.Pod{held, ending}, "It is being deleted: Some pods are remaining: held with the finalizers example.com/a and example.com/b, ending, which node node-1 was to end by 1970-01-01T00:00:00Z."},
		{slices.Repeat([]corev1.Pod{pod("p", func(*corev1.Pod) {})}, 6), "It is being deleted: Some pods are remaining: " + strings.Repeat("p, ", 5) + "and more."},
	} {
		if got := member.HeldBy(test.pods).Message; got != test.want {
			t.Errorf("it says\n%s\nwant\n%s", got, test.want)
		}
	}
}
