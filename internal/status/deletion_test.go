package status_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/tenantry/tenantry/internal/status"
)

func TestATenantThatIsBeingDeletedSaysWhatItWaitsFor(t *testing.T) {
	for _, test := range []struct {
		name    string
		stalled bool
		also    string
		not     string
	}{
		{"it goes on by itself", false, "Reconciling", "Stalled"},
		{"it waits for somebody", true, "Stalled", "Reconciling"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, complete())
			o.Tenant.Status = stored(t, status.Of(o))
			o.Tenant.Generation, o.Now = 2, later
			result := status.Terminating(o, "It waits for its namespace.", test.stalled)
			got := conditions(result.Conditions)
			if got["Ready"] != "False Terminating" || got[test.also] != "True Terminating" {
				t.Errorf("its conditions are %v", got)
			}
			if _, found := got[test.not]; found {
				t.Errorf("it is %s as well", test.not)
			}
			if message := condition(t, result.Conditions, "Ready").Message; message != "It waits for its namespace." {
				t.Errorf("Ready says %q", message)
			}
			if result.ObservedGeneration != 2 {
				t.Errorf("the status is about generation %d, not 2", result.ObservedGeneration)
			}
			if result.Database == nil || !equality.Semantic.DeepEqual(result.Database, o.Database) {
				t.Errorf("it forgot where its database is: %v", result.Database)
			}
			o.Tenant.Status, o.Now = stored(t, result), later.Add(1e12)
			if next := status.Terminating(o, "It waits for its namespace.", test.stalled); !equality.Semantic.DeepEqual(o.Tenant.Status, next) {
				t.Errorf("it changes without a reason:\n%s", diff.Diff(o.Tenant.Status, next))
			}
		})
	}
}

func TestWhatTheDeletionOfANamespaceWaitsFor(t *testing.T) {
	for _, test := range []struct {
		name       string
		conditions []corev1.NamespaceCondition
		want       string
	}{
		{"nothing in particular", nil, `The namespace acme is being deleted.`},
		{
			"what is left, and what holds it",
			[]corev1.NamespaceCondition{
				{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse, Message: "All resources successfully discovered"},
				{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue, Message: "Some resources are remaining: pods. has 1 resource instances"},
				{Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionTrue, Message: "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"},
			},
			`The namespace acme is being deleted: Some resources are remaining: pods. has 1 resource instances; ` +
				`Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances.`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Status: corev1.NamespaceStatus{Conditions: test.conditions}}
			if got := status.NamespaceDeletion(namespace); got != test.want {
				t.Errorf("it says\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
