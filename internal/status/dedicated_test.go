package status_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAServerThatDoesNotRunYetSaysWhatItWaitsFor(t *testing.T) {
	waiting := func(reason, message string) []corev1.Pod {
		pod := corev1.Pod{}
		pod.Name = "dedicated-acme-0"
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}}}
		return []corev1.Pod{pod}
	}
	cluster := func(fields map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": fields}}
	}
	full := builders.Pod("tenantry-databases", "dedicated-acme-0").Waiting("postgres", "CrashLoopBackOff", "back-off").
		Restarted(1, 1, "Error").Saying(`FATAL:  could not write lock file "postmaster.pid": No space left on device`).Build()
	set := &appsv1.StatefulSet{}
	set.Namespace, set.Name = "tenantry-databases", "dedicated-acme"
	running := &appsv1.StatefulSet{Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}}
	for _, test := range []struct {
		name string
		got  *problem.Problem
		want *problem.Problem
	}{
		{"a pod that is ready", status.OfStatefulSet(running, nil, later), nil},
		{"no pod yet", status.OfStatefulSet(set, nil, later), &problem.Problem{
			Reason: v1alpha1.ReasonProgressing, Message: `The server is starting; it has no pod yet; "kubectl describe statefulset --namespace tenantry-databases dedicated-acme" says why if that lasts.`,
		}},
		{"no image", status.OfStatefulSet(set, waiting("ErrImagePull", "there is no postgres:99"), later), &problem.Problem{
			Reason: "ErrImagePull", Message: "Pod dedicated-acme-0 does not run: there is no postgres:99. Correct spec.database.dedicated.image, or see that the registry answers and lets its nodes in.",
		}},
		{"a volume without room", status.OfStatefulSet(set, []corev1.Pod{*full}, later), &problem.Problem{
			Reason: "CrashLoopBackOff",
			Message: `Pod dedicated-acme-0 does not run: back-off; container "postgres" has ended with exit code 1 (Error): could not write lock file "postmaster.pid": No space left on device. ` +
				`"kubectl logs --namespace tenantry-databases dedicated-acme-0 --container postgres --previous" has its last words; correct spec.database.dedicated. ` +
				"Its volume is full; raise spec.database.dedicated.storage of the Tenant.",
		}},
		{"no image for CloudNativePG", status.OfCluster(cluster(map[string]any{"phase": "Setting up primary"}), waiting("ErrImagePull", "there is no postgres:99"), later), &problem.Problem{
			Reason: "ErrImagePull", Message: "Pod dedicated-acme-0 does not run: there is no postgres:99. Correct spec.database.dedicated.image, or see that the registry answers and lets its nodes in.",
		}},
		{"an instance that is ready", status.OfCluster(cluster(map[string]any{"readyInstances": int64(1)}), nil, later), nil},
		{"a Cluster that nobody has looked at", status.OfCluster(cluster(nil), nil, later), &problem.Problem{
			Reason: v1alpha1.ReasonProgressing, Message: "The server is starting; CloudNativePG has not looked at it yet.",
		}},
		{"a Cluster that is set up", status.OfCluster(cluster(map[string]any{"phase": "Setting up primary", "phaseReason": "Creating primary instance dedicated-acme-1"}), nil, later), &problem.Problem{
			Reason: v1alpha1.ReasonProgressing, Message: `The server is starting; CloudNativePG says "Setting up primary": Creating primary instance dedicated-acme-1.`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			switch {
			case test.got == nil || test.want == nil:
				if test.got != test.want {
					t.Errorf("it says %+v, want %+v", test.got, test.want)
				}
			case *test.got != *test.want:
				t.Errorf("it says %+v, want %+v", *test.got, *test.want)
			}
		})
	}
}
