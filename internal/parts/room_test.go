package parts_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/test/builders"
)

// rolledOut returns what is seen of a tenant whose app and workers have two replicas each, which all run.
func rolledOut(t *testing.T, tenant *builders.TenantBuilder) parts.Observation {
	t.Helper()
	in := inputsOf(t, tenant)
	o := parts.Observation{
		Tenant: in.Tenant, Problems: map[string]problem.Problem{}, Now: noon, TroubledSince: noon,
		Workers: map[string]*appsv1.Deployment{}, Autoscalers: map[string]*autoscalingv2.HorizontalPodAutoscaler{},
	}
	for _, object := range parts.App.Objects(in) {
		deployment, isDeployment := object.(*appsv1.Deployment)
		if !isDeployment {
			continue
		}
		live := builders.Deployment("acme", deployment.Name, 2).Pods(2, 2, 2).Build()
		live.Spec.Template = deployment.Spec.Template
		if deployment.Name == "app" {
			o.Deployment = live
		} else {
			o.Workers[deployment.Name] = live
		}
	}
	return o
}

// withoutMetrics returns an autoscaler that has had no metrics for some time.
func withoutMetrics(since time.Duration, message string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{Status: autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{
		Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetResourceMetric", Message: message,
		LastTransitionTime: metav1.NewTime(noon.Add(-since)),
	}}}}
}

func TestWhetherTheHighestNumbersOfReplicasFitIntoTheQuota(t *testing.T) {
	// Each pod requests 100m by default, and is one of the pods.
	tenant := func() *builders.TenantBuilder { return builders.Tenant("acme").App(image) }
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		said   string
	}{
		{"no quota", tenant().MaxReplicas(10000), ""},
		{"fixed numbers alone, which the refused pods show", tenant().Replicas(2).Worker("mail", 2, "/w").Quota("pods", "3"), ""},
		{"just room", tenant().MaxReplicas(3).Quota("requests.cpu", "300m"), ""},
		{
			"one too many", tenant().MaxReplicas(4).Quota("requests.cpu", "300m"),
			"spec.app.autoscaling.maxReplicas is 4, and a quota of requests.cpu 300m has room for 3; lower the first or raise spec.quota.",
		},
		{"just room beside a worker", tenant().MaxReplicas(3).Worker("mail", 2, "/w").Quota("pods", "5"), ""},
		{
			"a worker takes the room", tenant().MaxReplicas(3).Worker("mail", 2, "/w").Quota("pods", "4"),
			"spec.app.autoscaling.maxReplicas is 3, and a quota of pods 4 has room for 2 beside the other replicas; lower the first or raise spec.quota.",
		},
		{
			"a worker that scales beside the app", tenant().Replicas(2).ScaledWorker("mail", 9, "/w").Quota("pods", "10").Quota("requests.cpu", "1"),
			"spec.app.workers[mail].autoscaling.maxReplicas is 9, and a quota of pods 10 has room for 8 beside the other replicas; lower the first or raise spec.quota.",
		},
		{
			"no room at all", tenant().Replicas(2).ScaledWorker("mail", 9, "/w").Quota("pods", "1"),
			"spec.app.workers[mail].autoscaling.maxReplicas is 9, and a quota of pods 1 has room for 0 beside the other replicas; lower the first or raise spec.quota.",
		},
		{"two that just fit together", tenant().MaxReplicas(6).ScaledWorker("mail", 4, "/w").Quota("pods", "10"), ""},
		{
			"two that fit alone, and not together", tenant().MaxReplicas(6).ScaledWorker("mail", 5, "/w").Quota("pods", "10").Quota("requests.cpu", "2"),
			"With spec.app.autoscaling.maxReplicas 6 and spec.app.workers[mail].autoscaling.maxReplicas 5, all replicas together need pods 11, and spec.quota has 10; lower one of these numbers or raise spec.quota.",
		},
		{
			"workers beside an app, short of two things", tenant().Replicas(2).ScaledWorker("mail", 6, "/w").ScaledWorker("pdf", 2, "/p").Quota("pods", "9").Quota("requests.cpu", "200m"),
			"With spec.app.workers[mail].autoscaling.maxReplicas 6 and spec.app.workers[pdf].autoscaling.maxReplicas 2, all replicas together need requests.cpu 1, and spec.quota has 200m; lower one of these numbers or raise spec.quota.",
		},
		{
			"a quota of nothing", tenant().MaxReplicas(2).ScaledWorker("mail", 2, "/w").Quota("requests.cpu", "0"),
			"With spec.app.autoscaling.maxReplicas 2 and spec.app.workers[mail].autoscaling.maxReplicas 2, all replicas together need requests.cpu 400m, and spec.quota has 0; lower one of these numbers or raise spec.quota.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := parts.App.State(rolledOut(t, test.tenant))
			reason := "AutoscalingLimited"
			if test.said == "" {
				reason = "Ready"
			}
			if _, said, _ := strings.Cut(state.Message, ". "); state.Status != "True" || state.Reason != reason || said != test.said {
				t.Errorf("it is %s %s, and says\n%q\nwant\n%q", state.Status, state.Reason, said, test.said)
			}
		})
	}
}

func TestAnAutoscalerOfAWorkerWithoutMetrics(t *testing.T) {
	o := rolledOut(t, builders.Tenant("acme").App(image).MaxReplicas(5).ScaledWorker("mail", 5, "/w").ScaledWorker("pdf", 5, "/p").Worker("csv", 1, "/c"))
	o.Autoscalers["mail"], o.Autoscalers["pdf"] = withoutMetrics(time.Minute, "no queue_length."), withoutMetrics(40*time.Second, "no pages")
	state := parts.App.State(o)
	want := "2 of 2 replicas are available, and 6 of 6 of its workers. The number of replicas of the worker mail does not change, since its autoscaler has no metrics: no queue_length. " +
		"Correct spec.app.workers[mail].autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server."
	if state.Status != "True" || state.Reason != "AutoscalingInactive" || state.Message != want {
		t.Errorf("it is %s %s, and says\n%q\nwant\n%q", state.Status, state.Reason, state.Message, want)
	}
	if wait := parts.AutoscalerPatience(o); wait != 20*time.Second {
		t.Errorf("it is looked at again after %s", wait)
	}
	o.Autoscalers["app"] = withoutMetrics(time.Hour, "no CPU")
	if message := parts.App.State(o).Message; !strings.Contains(message, "Their number does not change, since the autoscaler has no metrics: no CPU.") || !strings.Contains(message, "worker mail") {
		t.Errorf("it says %q", message)
	}
	o.Autoscalers["pdf"] = nil
	if wait := parts.AutoscalerPatience(o); wait != 0 {
		t.Errorf("it is looked at again after %s", wait)
	}
}

func TestAnAutoscalerThatLeavesAnAppWithoutReplicasAlone(t *testing.T) {
	o := rolledOut(t, builders.Tenant("acme").App(image).MaxReplicas(5).ScaledWorker("mail", 5, "/w"))
	stopped := withoutMetrics(0, "scaling is disabled since the replica count of the target is zero")
	stopped.Status.Conditions[0].Reason = "ScalingDisabled"
	o.Autoscalers["app"], o.Autoscalers["mail"] = stopped, stopped
	if state := parts.App.State(o); state.Reason != "Ready" {
		t.Errorf("with replicas, which its autoscaler hasn't seen yet, it is %s, and says %q", state.Reason, state.Message)
	}
	o.Deployment = builders.Deployment("acme", "app", 0).Pods(0, 0, 0).Build()
	want := "The app has zero replicas; 2 of 2 of its workers are available. Their number does not change, since the autoscaler leaves the app without replicas alone if it has not scaled it to zero itself. " +
		"For it to begin, run kubectl scale --replicas=1 deployment/app --namespace acme as a cluster admin."
	if state := parts.App.State(o); state.Status != "True" || state.Reason != "AutoscalingInactive" || state.Message != want {
		t.Errorf("it is %s %s, and says\n%q\nwant\n%q", state.Status, state.Reason, state.Message, want)
	}
}

func TestPodsOfAWorkerThatScalesWithoutRoom(t *testing.T) {
	o := rolledOut(t, builders.Tenant("acme").App(image).ScaledWorker("mail", 5, "/w"))
	o.Workers["mail"].Status.AvailableReplicas = 1
	o.Workers["mail"].Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
		Message: `pods "mail-1" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=2, limited: pods=2`,
	}}
	want := "Raise spec.quota, or lower spec.app.workers[mail].resources or spec.app.workers[mail].autoscaling.maxReplicas."
	if state := parts.App.State(o); state.Reason != "QuotaExceeded" || !strings.HasSuffix(state.Message, want) {
		t.Errorf("it is %s, and says %q", state.Reason, state.Message)
	}
}
