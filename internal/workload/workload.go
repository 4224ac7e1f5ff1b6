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

// RolledOut reports whether all pods of a Deployment are from its current spec, and available.
func RolledOut(deployment *appsv1.Deployment) bool {
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	return have.ObservedGeneration >= deployment.Generation &&
		have.UpdatedReplicas == want && have.AvailableReplicas == want && have.Replicas == want
}

// Trouble returns what is wrong with pods. It reports the newest pod in trouble, since that has the newest
// settings, and pods that hang in Terminating. field is the field of the Tenant with the image and the resources
// of the pods, such as spec.app.
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
