package workload_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/workload"
	"github.com/tenantry/tenantry/test/builders"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestWhatIsWrongWithAPod(t *testing.T) {
	const logs = `"kubectl logs --namespace acme app-1 --container app --previous" has its last words; correct spec.app.`
	pod := func() *builders.PodBuilder { return builders.Pod("acme", "app-1").On("node-1") }
	for _, test := range []struct {
		name    string
		pod     *builders.PodBuilder
		reason  string
		message string
	}{
		{"it runs", pod().Running("app", true, noon).Condition(corev1.PodReady, corev1.ConditionTrue, "", noon), "", ""},
		{
			"it has just started, and is not ready yet",
			pod().Running("app", false, noon).Starting().Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", noon), "", "",
		},
		{
			"a container was not ready yet, and has run for less than a minute",
			pod().Running("app", false, noon.Add(9*time.Minute+1)).Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", noon), "", "",
		},
		{
			"a container was never ready",
			pod().Running("app", false, noon).Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", noon),
			"Unhealthy", `Pod app-1 is not ready: its container "app" runs since 2026-03-01T12:00:00Z, and its readiness probe has not succeeded. ` +
				`See "kubectl describe pod --namespace acme app-1" for what the probe was answered, and "kubectl logs" for what the container does.`,
		},
		{
			"its probe fails, since it was ready",
			pod().Running("app", false, noon).Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", noon.Add(time.Minute)),
			"Unhealthy", `Pod app-1 is not ready since 2026-03-01T12:01:00Z: the readiness probe of container "app" fails. ` +
				`See "kubectl describe pod --namespace acme app-1" for what the probe was answered; mend what the container needs, or delete the pod to start it anew.`,
		},
		{
			"a container has ended", pod().Ended("app", 3, "Error"),
			"Error", `Pod app-1 does not run: container "app" has ended with exit code 3 (Error). ` + logs,
		},
		{
			"a container has ended well, and should not have", pod().Ended("app", 0, "Completed"),
			"Completed", `Pod app-1 does not run: container "app" has ended with exit code 0 (Completed). ` + logs,
		},
		{"a container that isn't started again has ended well", pod().RunsOnce().Ended("app", 0, "Completed"), "", ""},
		{
			"a container that isn't started again has failed", pod().RunsOnce().Ended("app", 3, "Error"),
			"Error", `Pod app-1 does not run: container "app" has ended with exit code 3 (Error). ` + logs,
		},
		{
			"a container has said why it ends", pod().Ended("app", 1, "Error").Saying("Traceback:\nKeyError: 'DATABASE_URL'\n"),
			"Error", `Pod app-1 does not run: container "app" has ended with exit code 1 (Error): KeyError: 'DATABASE_URL'. ` + logs,
		},
		{
			"PostgreSQL has said why it ends, and more",
			pod().Ended("app", 1, "Error").Saying("2026-03-01 12:00:00.000 UTC [1] FATAL:  could not write lock file \"postmaster.pid\": No space left on device\n2026-03-01 12:00:00.001 UTC [1] LOG:  database system is shut down\n"),
			"Error", `Pod app-1 does not run: container "app" has ended with exit code 1 (Error): could not write lock file "postmaster.pid": No space left on device. ` + logs,
		},
		{
			"a container has said too much", pod().Ended("app", 1, "Error").Saying(strings.Repeat("ä", 200)),
			"Error", `Pod app-1 does not run: container "app" has ended with exit code 1 (Error): ` + strings.Repeat("ä", 150) + `…. ` + logs,
		},
		{
			"a container crashes", pod().Waiting("app", "CrashLoopBackOff", "back-off 40s").Restarted(4, 1, "Error"),
			"CrashLoopBackOff", `Pod app-1 does not run: back-off 40s; container "app" has ended 4 times, the last time with exit code 1 (Error). ` + logs,
		},
		{
			"a container lacks memory", pod().Waiting("app", "CrashLoopBackOff", "back-off 40s").Restarted(4, 137, "OOMKilled"),
			"CrashLoopBackOff", `Pod app-1 does not run: back-off 40s; container "app" has ended 4 times, the last time with exit code 137 (OOMKilled). ` +
				"It needs more memory than its limit; raise spec.app.resources.limits.memory.",
		},
		{
			"a container lacks memory to start", pod().Ended("app", 128, "StartError").Saying("failed to create containerd task: container init was OOM-killed (memory limit too low?): unknown"),
			"StartError", `Pod app-1 does not run: container "app" has ended with exit code 128 (StartError): failed to create containerd task: container init was OOM-killed (memory limit too low?): unknown. ` +
				"It needs more memory than its limit; raise spec.app.resources.limits.memory.",
		},
		{
			"a container was started anew, and is not ready yet", pod().Running("app", false, noon).Restarted(2, 137, "OOMKilled"),
			"OOMKilled", `Pod app-1 does not run: container "app" has ended 2 times, the last time with exit code 137 (OOMKilled). ` +
				"It needs more memory than its limit; raise spec.app.resources.limits.memory.",
		},
		{"a container was started anew, and is ready", pod().Running("app", true, noon).Restarted(2, 137, "OOMKilled"), "", ""},
		{
			"its node does not answer",
			pod().Running("app", true, noon.Add(-time.Hour)).Condition(corev1.ContainersReady, corev1.ConditionTrue, "", noon).Condition(corev1.PodReady, corev1.ConditionFalse, "", noon),
			"NodeNotReady", "Pod app-1 is not ready since 2026-03-01T12:00:00Z: its node node-1 does not answer. " +
				"Kubernetes replaces the pod some minutes later; have the cluster's administrator mend the node, or delete it if it is gone.",
		},
		{
			"a readiness gate is closed",
			pod().Running("app", true, noon).Condition(corev1.ContainersReady, corev1.ConditionTrue, "", noon).Condition(corev1.PodReady, corev1.ConditionFalse, "ReadinessGatesNotReady", noon),
			"", "",
		},
		{"it waits for its image", pod().Condition(corev1.PodScheduled, corev1.ConditionTrue, "", noon.Add(6*time.Minute)).Waiting("app", "ContainerCreating", ""), "", ""},
		{
			"it waits for long", pod().Condition(corev1.PodScheduled, corev1.ConditionTrue, "", noon).Waiting("app", "ContainerCreating", ""),
			"ContainerCreating", `Pod app-1 has a node since 2026-03-01T12:00:00Z, and its container "app" is not made yet. ` +
				`See "kubectl describe pod --namespace acme app-1" for what it waits for: its image, a volume or the network.`,
		},
		{"it ends", pod().DeletedAt(noon.Add(9*time.Minute+40*time.Second)).Running("app", false, noon), "", ""},
		{
			"it does not end", pod().DeletedAt(noon).Running("app", false, noon),
			"Terminating", "Pod app-1 hangs in Terminating since 2026-03-01T12:00:00Z: its node node-1 does not say that it has ended. " +
				`Have the cluster's administrator mend the node; if that is gone, delete the Node, or the pod by "kubectl delete pod --namespace acme app-1 --force --grace-period=0".`,
		},
		{
			"it may not end", pod().DeletedAt(noon).Finalizer("example.com/forever").Running("app", false, noon),
			"Terminating", "Pod app-1 hangs in Terminating since 2026-03-01T12:00:00Z: it has the finalizers example.com/forever. " +
				"Have what has set them do its work, or take them off the pod.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, troubled := workload.Trouble([]corev1.Pod{*test.pod.Build()}, "spec.app", noon.Add(10*time.Minute))
			if troubled != (test.reason != "") || found.Reason != test.reason || found.Message != test.message {
				t.Errorf("it says %s\n%q\nwant %s\n%q", found.Reason, found.Message, test.reason, test.message)
			}
		})
	}
}

func TestAPodThatIsToRunSpeaksBeforeOneThatHangs(t *testing.T) {
	found, _ := workload.Trouble([]corev1.Pod{
		*builders.Pod("acme", "app-1").On("node-1").DeletedAt(noon).Build(),
		*builders.Pod("acme", "app-2").CreatedAt(noon).NotScheduled("Unschedulable", "no node").Build(),
	}, "spec.app", noon.Add(time.Hour))
	want := "Pod app-2 does not run: no node. Lower spec.app.resources, or have the cluster's administrator make room on its nodes. " +
		"Pod app-1 hangs in Terminating since 2026-03-01T12:00:00Z: its node node-1 does not say that it has ended."
	if found.Reason != "Unschedulable" || len(found.Message) < len(want) || found.Message[:len(want)] != want {
		t.Errorf("it says %s: %s", found.Reason, found.Message)
	}
}

func TestAPodIsLookedAtAgainWhenItSaysSomethingElse(t *testing.T) {
	crashing := func(times int32) *corev1.Pod {
		return builders.Pod("acme", "app-1").Waiting("app", "CrashLoopBackOff", "back-off").Restarted(times, 1, "Error").Build()
	}
	ready := builders.Pod("acme", "app-1").Running("app", true, noon).Condition(corev1.PodReady, corev1.ConditionTrue, "", noon).Build()
	unready := builders.Pod("acme", "app-1").Running("app", false, noon).Condition(corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", noon.Add(1)).Build()
	if workload.Signs(crashing(1)) == workload.Signs(crashing(2)) {
		t.Error("it shows nothing of a further restart")
	}
	if workload.Signs(ready) == workload.Signs(unready) {
		t.Error("it shows nothing of a probe that fails")
	}
	if workload.Signs(ready) != "" {
		t.Error("it shows something of a pod that runs")
	}
}
