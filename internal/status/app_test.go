package status_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

// Messages of Kubernetes' API server, scheduler and kubelet.
const (
	overQuota = `pods "app-7c9d8b6f5-x2v4k" is forbidden: exceeded quota: tenant, requested: requests.cpu=2, used: requests.cpu=500m, limited: requests.cpu=1`
	twice     = `pods "app-7c9d8b6f5-x2v4k" is forbidden: exceeded quota: tenant, requested: pods=1,requests.cpu=2, used: pods=3,requests.cpu=0, limited: pods=3,requests.cpu=1`
	uncounted = `pods "app-7c9d8b6f5-x2v4k" is forbidden: status unknown for quota: tenant, resources: pods`
	unstated  = `pods "app-7c9d8b6f5-x2v4k" is forbidden: failed quota: tenant: must specify limits.cpu for: app`
	overLimit = `pods "app-7c9d8b6f5-x2v4k" is forbidden: maximum cpu usage per Container is 4, but limit is 8`
	noNode    = `0/2 nodes are available: 2 Insufficient cpu.`
	noImage   = `Back-off pulling image "registry.example/none:1"`
	deadline  = `ReplicaSet "app-7c9d8b6f5" has timed out progressing.`
)

func TestTheApp(t *testing.T) {
	app := func() *builders.DeploymentBuilder { return builders.Deployment("acme", "app", 2) }
	pod := func() *builders.PodBuilder { return builders.Pod("acme", "app-1").CreatedAt(created) }
	refused := func(message string) *builders.DeploymentBuilder {
		return app().Condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", message)
	}
	for _, test := range []struct {
		name       string
		deployment *builders.DeploymentBuilder
		pods       []*builders.PodBuilder
		want       string // status and reason
		message    string
	}{
		{"not created yet", nil, nil, "False Progressing", "The app is being rolled out."},
		{
			"the cluster has not seen the new settings yet",
			app().Pods(2, 2, 2).Unobserved(), nil, "False Progressing", "The app is being rolled out.",
		},
		{"no pods yet", app(), nil, "False Progressing", "0 of 2 replicas are available."},
		{"some pods", app().Pods(2, 2, 1), nil, "False Progressing", "1 of 2 replicas are available."},
		{"all pods", app().Pods(2, 2, 2), nil, "True Ready", "2 of 2 replicas are available."},
		{
			"all pods, but with the old settings", app().Pods(2, 0, 2), nil,
			"False Progressing", "0 of 2 replicas are available.",
		},
		{
			"the new pods run and an old one is left", app().Pods(3, 2, 2), nil,
			"False Progressing", "2 of 2 replicas are available, with 1 more to end.",
		},
		{
			"fewer replicas than before", app().Pods(5, 5, 5), nil,
			"False Progressing", "2 of 2 replicas are available, with 3 more to end.",
		},
		{"zero replicas", builders.Deployment("acme", "app", 0), nil, "True ScaledToZero", "The app has zero replicas."},
		{
			"zero replicas, and a pod is left", builders.Deployment("acme", "app", 0).Pods(1, 1, 1), nil,
			"False Progressing", "0 of 0 replicas are available, with 1 more to end.",
		},
		{
			"more than the quota leaves", refused(overQuota), nil, "False QuotaExceeded",
			"The app's pods need more than the quota leaves: requested: requests.cpu=2, used: requests.cpu=500m, limited: requests.cpu=1. " +
				"Raise spec.quota, or lower spec.app.resources or spec.app.replicas.",
		},
		{
			"more of two things than the quota leaves", refused(twice), nil, "False QuotaExceeded",
			"The app's pods need more than the quota leaves: requested: pods=1,requests.cpu=2, used: pods=3,requests.cpu=0, " +
				"limited: pods=3,requests.cpu=1. Raise spec.quota, or lower spec.app.resources or spec.app.replicas.",
		},
		{
			"a quota that the cluster has not counted yet", refused(uncounted), nil, "False Progressing",
			"The app waits until the cluster has counted the new quota.",
		},
		{
			"a quota for what the app does not state", refused(unstated), nil, "False Forbidden",
			"The API server refuses the app's pods: " + unstated + ". spec.quota counts what the app doesn't state; write spec.app.resources.limits.cpu or spec.containers.default.cpu.",
		},
		{
			"above the container limits", refused(overLimit), nil, "False Forbidden",
			"The API server refuses the app's pods: " + overLimit + ". Lower spec.app.resources.limits.cpu to 4 or less, or raise spec.containers.max.cpu.",
		},
		{
			"refused earlier, and no longer",
			app().Pods(2, 2, 1).Condition(appsv1.DeploymentReplicaFailure, corev1.ConditionFalse, "", ""), nil,
			"False Progressing", "1 of 2 replicas are available.",
		},
		{
			"no node has room", app().Pods(1, 1, 0), []*builders.PodBuilder{pod().NotScheduled("Unschedulable", noNode)},
			"False Unschedulable", "Pod app-1 does not run: 0/2 nodes are available: 2 Insufficient cpu. Lower spec.app.resources, or have the cluster's administrator make room on its nodes.",
		},
		{
			"an image that does not exist", app().Pods(1, 1, 0), []*builders.PodBuilder{pod().Waiting("app", "ImagePullBackOff", noImage)},
			"False ImagePullBackOff", "Pod app-1 does not run: " + noImage + ". Correct spec.app.image, or see that the registry answers and lets its nodes in.",
		},
		{
			"a container that the kubelet says nothing more of", app().Pods(1, 1, 0),
			[]*builders.PodBuilder{pod().Waiting("app", "CreateContainerError", "")},
			"False CreateContainerError", "Pod app-1 does not run: CreateContainerError. See \"kubectl describe pod --namespace acme app-1\", and correct spec.app.",
		},
		{
			"an init container that a webhook has put in", app().Pods(1, 1, 0),
			[]*builders.PodBuilder{pod().InitWaiting("proxy", "CrashLoopBackOff", "back-off 10s").Waiting("app", "PodInitializing", "")},
			"False CrashLoopBackOff", "Pod app-1 does not run: back-off 10s. See \"kubectl describe pod --namespace acme app-1\", and correct spec.app.",
		},
		{
			"a pod that was evicted", app().Pods(1, 1, 0), []*builders.PodBuilder{pod().Failed("Evicted", "The node was low on memory.")},
			"False Evicted", "Pod app-1 does not run: The node was low on memory.",
		},
		{
			"a pod that failed without a word", app().Pods(1, 1, 0), []*builders.PodBuilder{pod().Failed("", "")},
			"False PodFailed", "Pod app-1 does not run: it failed.",
		},
		{
			"pods that are about to start", app().Pods(2, 2, 0),
			[]*builders.PodBuilder{pod().Waiting("app", "ContainerCreating", ""), builders.Pod("acme", "app-2").InitWaiting("init", "PodInitializing", "")},
			"False Progressing", "0 of 2 replicas are available.",
		},
		{
			"the newest pod in trouble speaks", app().Pods(2, 1, 0),
			[]*builders.PodBuilder{
				pod().Waiting("app", "CrashLoopBackOff", "old"),
				builders.Pod("acme", "app-2").CreatedAt(later).Waiting("app", "ImagePullBackOff", "new"),
				builders.Pod("acme", "app-3").CreatedAt(later.Add(1)),
			},
			"False ImagePullBackOff", "Pod app-2 does not run: new. Correct spec.app.image, or see that the registry answers and lets its nodes in.",
		},
		{
			"of pods of one age, always the same speaks", app().Pods(2, 2, 0),
			[]*builders.PodBuilder{
				builders.Pod("acme", "app-2").CreatedAt(created).Waiting("app", "CrashLoopBackOff", "second"),
				pod().Waiting("app", "CrashLoopBackOff", "first"),
			},
			"False CrashLoopBackOff", "Pod app-1 does not run: first. See \"kubectl describe pod --namespace acme app-1\", and correct spec.app.",
		},
		{
			"a pod that is going away does not count", app().Pods(2, 2, 1),
			[]*builders.PodBuilder{pod().DeletedAt(later).Waiting("app", "CrashLoopBackOff", "back-off")},
			"False Progressing", "1 of 2 replicas are available.",
		},
		{
			"pods that never become ready", app().Pods(2, 2, 0).
				Condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", deadline), nil,
			"False ProgressDeadlineExceeded", "The app's pods do not become ready: " + deadline,
		},
		{
			"a pod's own reason says more than the deadline", app().Pods(1, 1, 0).
				Condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", deadline),
			[]*builders.PodBuilder{pod().Waiting("app", "ImagePullBackOff", noImage)},
			"False ImagePullBackOff", "Pod app-1 does not run: " + noImage + ". Correct spec.app.image, or see that the registry answers and lets its nodes in.",
		},
		{
			"all pods available: a former failure is history", app().Pods(2, 2, 2).
				Condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", deadline),
			[]*builders.PodBuilder{builders.Pod("acme", "app-0").Failed("Evicted", "The node was low on memory.")},
			"True Ready", "2 of 2 replicas are available.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, builders.Tenant("acme").App(image).Replicas(2))
			o.Deployment = nil
			if test.deployment != nil {
				o.Deployment = test.deployment.Build()
			}
			for _, pod := range test.pods {
				o.Pods = append(o.Pods, *pod.Build())
			}
			list := status.Of(o).Conditions
			if got := conditions(list)["AppReady"]; got != test.want {
				t.Errorf("AppReady is %q, want %q", got, test.want)
			}
			if got := condition(t, list, "AppReady").Message; got != test.message {
				t.Errorf("AppReady says\n%q\nwant\n%q", got, test.message)
			}
			checkConditions(t, list, 1)
		})
	}
}

func TestAnAppThatWasNotCreatedForWantOfItsDatabaseSaysSo(t *testing.T) {
	list := status.Of(inPlace(t, complete(), trouble("DatabaseReady", "ServerNotFound", false), func(o *status.Observation) {
		o.Deployment = nil
	})).Conditions
	if got := condition(t, list, "AppReady"); got.Reason != "Progressing" || got.Message != "The app waits for its database." {
		t.Errorf("AppReady is %s: %q", got.Reason, got.Message)
	}
}

func TestAProblemOfTheAppsObjectsComesBeforeWhatItsPodsSay(t *testing.T) {
	list := status.Of(inPlace(t, complete(), trouble("AppReady", "Conflict", true))).Conditions
	if got := condition(t, list, "AppReady").Message; got != "AppReady: Conflict." {
		t.Errorf("AppReady says %q", got)
	}
}
