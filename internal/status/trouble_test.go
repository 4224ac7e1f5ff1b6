package status_test

import (
	"testing"
	"time"

	kstatuses "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAnAppInTroubleFailsAfterAGrace(t *testing.T) {
	unready := builders.Pod("acme", "app-1").Running("app", false, created).
		Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", created.Add(time.Second)).Build()
	after := func(passed time.Duration, deployment *builders.DeploymentBuilder, pods ...corev1.Pod) *v1alpha1.Tenant {
		o := inPlace(t, builders.Tenant("acme").App(image).Replicas(2))
		o.Deployment, o.Pods = deployment.Build(), pods
		o.TroubledSince, o.Now = created, created.Add(passed)
		return &v1alpha1.Tenant{ObjectMeta: o.Tenant.ObjectMeta, Spec: v1alpha1.TenantSpec(o.Tenant.Spec), Status: status.Of(o)}
	}
	app := func() *builders.DeploymentBuilder { return builders.Deployment("acme", "app", 2) }
	for _, test := range []struct {
		name   string
		tenant *v1alpha1.Tenant
		want   kstatuses.Status
	}{
		{"at once", after(0, app().Pods(2, 2, 1), *unready), kstatuses.InProgressStatus},
		{"within the grace", after(29*time.Second, app().Pods(2, 2, 1), *unready), kstatuses.InProgressStatus},
		{"after the grace", after(30*time.Second, app().Pods(2, 2, 1), *unready), kstatuses.FailedStatus},
		{"ready again", after(time.Hour, app().Pods(2, 2, 2), *unready), kstatuses.CurrentStatus},
		{"nothing is wrong, and it takes its time", after(time.Hour, app().Pods(2, 2, 1)), kstatuses.InProgressStatus},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := kstatus(t, test.tenant); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhatIsStalledIsSoForAnOperatorThatHasJustStarted(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason}
	}
	troubled := condition(v1alpha1.ConditionAppReady, metav1.ConditionFalse, "Unhealthy")
	for _, test := range []struct {
		name       string
		conditions []metav1.Condition
		want       time.Time
	}{
		{"nothing is known", nil, later},
		{"within the grace", []metav1.Condition{troubled}, later},
		{"after the grace", []metav1.Condition{troubled, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, "Unhealthy")}, later.Add(-30 * time.Second)},
		{"stalled for another reason", []metav1.Condition{troubled, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, "Conflict")}, later},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := status.TroubleBegun(test.conditions, v1alpha1.ConditionAppReady, later); !got.Equal(test.want) {
				t.Errorf("it has begun at %s, want %s", got, test.want)
			}
		})
	}
}
