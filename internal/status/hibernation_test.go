package status_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

// ended is a tenant whose app has ended, and whose logins are disabled.
func ended(o *status.Observation) {
	o.Asleep, o.Database.Suspended = true, true
	o.Deployment = builders.Deployment("acme", "app", 0).Build()
	o.Deployment.Annotations = map[string]string{"tenantry.dev/awake-replicas": "2"}
}

// was sets the state that the status had.
func was(state v1alpha1.HibernationState) func(*status.Observation) {
	return func(o *status.Observation) {
		o.Tenant.Status.Hibernation = &v1alpha1.TenantHibernationStatus{State: state}
	}
}

func TestATenantThatSleeps(t *testing.T) {
	for _, test := range []struct {
		name           string
		changes        []func(*status.Observation)
		ready, message string
		state          v1alpha1.HibernationState
		app, database  string
	}{
		{
			"it is awake", nil, "True Ready", "Everything is in place.", v1alpha1.HibernationAwake, "True Ready", "True Ready",
		},
		{
			"it is to sleep", []func(*status.Observation){func(o *status.Observation) { o.Asleep = true }},
			"False Progressing", "Database t_brewsrmdqcfqkxdoaomm keeps its logins until the app has ended.", v1alpha1.HibernationFallingAsleep, "False Progressing", "False Progressing",
		},
		{
			"it sleeps", []func(*status.Observation){ended},
			"True Hibernated", "The tenant sleeps until spec.hibernation.suspended is false.", v1alpha1.HibernationAsleep, "True Hibernated", "True Hibernated",
		},
		{
			"it sleeps by a schedule", []func(*status.Observation){ended, func(o *status.Observation) { o.Wakes = later }},
			"True Hibernated", "The tenant sleeps until 2026-03-01T10:00:00Z.", v1alpha1.HibernationAsleep, "True Hibernated", "True Hibernated",
		},
		{
			"it sleeps, and something else is wrong", []func(*status.Observation){ended, was(v1alpha1.HibernationAsleep), trouble("QuotaReady", "Conflict", true)},
			"False Conflict", "QuotaReady: Conflict.", v1alpha1.HibernationAsleep, "True Hibernated", "True Hibernated",
		},
		{
			"it wakes, and its database is not open yet", []func(*status.Observation){ended, was(v1alpha1.HibernationAsleep), trouble("DatabaseReady", "Progressing", false), func(o *status.Observation) { o.Asleep = false }},
			"False Progressing", "DatabaseReady: Progressing.", v1alpha1.HibernationWaking, "False Progressing", "False Progressing",
		},
		{
			"it wakes, and its app starts", []func(*status.Observation){was(v1alpha1.HibernationWaking), rollingOut},
			"False Progressing", "1 of 2 replicas are available.", v1alpha1.HibernationWaking, "False Progressing", "True Ready",
		},
		{
			"its app is rolled out while it is awake", []func(*status.Observation){was(v1alpha1.HibernationAwake), rollingOut},
			"False Progressing", "1 of 2 replicas are available.", v1alpha1.HibernationAwake, "False Progressing", "True Ready",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := status.Of(inPlace(t, complete().Hibernation(v1alpha1.TenantHibernation{}), test.changes...))
			list := conditions(result.Conditions)
			if list["Ready"] != test.ready || list["AppReady"] != test.app || list["DatabaseReady"] != test.database {
				t.Errorf("the conditions are %v", list)
			}
			if message := condition(t, result.Conditions, "Ready").Message; message != test.message {
				t.Errorf("it says %q", message)
			}
			if result.Hibernation == nil || result.Hibernation.State != test.state {
				t.Errorf("its state is %+v, want %s", result.Hibernation, test.state)
			}
		})
	}
	if state := status.Of(inPlace(t, complete())).Hibernation; state != nil {
		t.Errorf("a tenant without hibernation says %+v", state)
	}
}

func TestWhatAnAppSaysOfItsAutoscaling(t *testing.T) {
	idle := func(since time.Time) *autoscalingv2.HorizontalPodAutoscaler {
		return &autoscalingv2.HorizontalPodAutoscaler{Status: autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{
			Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetResourceMetric", Message: "no metrics",
			LastTransitionTime: metav1.NewTime(since),
		}}}}
	}
	running := func(cpu string) *appsv1.Deployment {
		app := builders.Deployment("acme", "app", 2).Pods(2, 2, 2).Build()
		app.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app"}}
		if cpu != "" {
			app.Spec.Template.Spec.Containers[0].Resources = builders.Tenant("acme").Limit("cpu", cpu).Build().Spec.App.Resources
		}
		return app
	}
	for _, test := range []struct {
		name          string
		cpu           string
		autoscaler    *autoscalingv2.HorizontalPodAutoscaler
		want, message string
	}{
		{"all is well", "", nil, "True Ready", "2 of 2 replicas are available."},
		{"it has had no metrics for some seconds", "", idle(created.Add(-59 * time.Second)), "True Ready", "2 of 2 replicas are available."},
		{
			"it has had no metrics for a minute", "", idle(created.Add(-time.Minute)), "True AutoscalingInactive",
			"2 of 2 replicas are available. Their number does not change, since the autoscaler has no metrics: no metrics. Correct spec.app.autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server.",
		},
		{
			"they don't all fit", "1", nil, "True AutoscalingLimited",
			"2 of 2 replicas are available. spec.app.autoscaling.maxReplicas is 10, and a quota of requests.cpu 3500m has room for 3; lower the first or raise spec.quota.",
		},
		{"the defaults of its containers just fit", "", nil, "True Ready", "2 of 2 replicas are available."},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, builders.Tenant("acme").App(image).Replicas(2).Quota("requests.cpu", "3500m").Quota("pods", "10"))
			o.Tenant = builders.Effective(t, builders.Tenant("acme").App(image).MaxReplicas(10).Quota("requests.cpu", "3500m").Quota("pods", "10").Build())
			o.Deployment = running(test.cpu)
			o.Autoscalers = map[string]*autoscalingv2.HorizontalPodAutoscaler{"app": test.autoscaler}
			list := status.Of(o).Conditions
			if got := conditions(list); got["AppReady"] != test.want || got["Ready"] != "True Ready" {
				t.Errorf("the conditions are %v", got)
			}
			if got := condition(t, list, "AppReady").Message; got != test.message {
				t.Errorf("AppReady says\n%q\nwant\n%q", got, test.message)
			}
		})
	}
}
