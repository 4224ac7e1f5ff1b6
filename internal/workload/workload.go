// Package workload has what all workloads have in common. It is pure.
package workload

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/internal/problem"
)

// RolledOut reports whether all pods of a Deployment are those that its spec asks for, and available.
func RolledOut(deployment *appsv1.Deployment) bool {
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	return have.ObservedGeneration >= deployment.Generation &&
		have.UpdatedReplicas == want && have.AvailableReplicas == want && have.Replicas == want
}

// Trouble returns what is wrong with pods, of which the newest that is in trouble speaks, since it has the newest
// settings. Those that hang in Terminating are told of besides. field is that of the Tenant which has the
// image and the resources of the pods, such as spec.app.
func Trouble(pods []corev1.Pod, field string, now time.Time) (problem.Problem, bool) {
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
			cmp.Compare(a.Name, b.Name),
		)
	})
	var found []problem.Problem
	for _, trouble := range []func(*corev1.Pod, string, time.Time) (problem.Problem, bool){inTrouble, hanging} {
		for i := range pods {
			if what, troubled := trouble(&pods[i], field, now); troubled {
				found = append(found, what)
				break
			}
		}
	}
	if len(found) == 0 {
		return problem.Problem{}, false
	}
	return problem.Together(found...), true
}
